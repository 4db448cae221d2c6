"""Your own images: a table that names them, or one folder for each class.

* `manifest.csv` (or a CSV of any name) with the columns path (or image), label, group and, where
  there is more to say, split (train or test) and x, y, w, h, a box in pixels, empty for the whole
  image; paths relative to the table. An image may have several lines when each has its own box.
* a folder for each class, and in it either a folder for each group, or the images, with one CSV
  beside the class folders that names their groups (columns frame and group, see `manifest`).

Files in the folders are images by their suffix, or DICOM by their content.

A group is what must not be split: all images of one patient, video or specimen. The negative class
is label 0; the others follow by name.
"""
from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Optional

from data_prep import images, manifest
from data_prep.dicom_file import is_dicom
from data_prep.own.pixels import DICOM_SUFFIXES
from layerwise.contracts import read_table
from layerwise.errors import InputError

Box = tuple[float, float, float, float]     # x, y of the top left corner, w, h; pixels
PATH_COLUMNS, BOX_COLUMNS = ("path", "image"), ("x", "y", "w", "h")
SUFFIXES = (*images.IMAGE_SUFFIXES, *DICOM_SUFFIXES)
LAYOUT = "manifest.csv (path, label, group), or one folder for each class"
SIDES = ("train", "training", "val", "valid", "validation", "test", "testing")
_NAME = re.compile(r"[^,/\\\"\x00-\x1f]{1,60}")


@dataclass(frozen=True)
class OwnImage:
    """One image: unique name, its group, its file, and the label and box of each region in it.

    `split` is "" where not given; a box of None is the whole image.
    """

    case: str
    group: str
    split: str
    image_path: Path
    regions: tuple[tuple[int, Optional[Box]], ...]


class Line(NamedTuple):
    """One line of a table, or one file of a class's folder."""

    path: Path
    label: str
    group: str
    split: str
    box: Optional[Box]


def read_images(source: Path, negative: str = "") -> list[OwnImage]:
    """All images of a folder or a table, sorted by case; no image is decoded.

    Raises InputError naming file and line for: no such source, unknown or missing column, missing
    or repeated image, a box without area, an image without a group, a single group, a split that is
    incomplete or cuts through a group, fewer than two classes, a class name that no file can have
    or that differs from another in case only; and of folders: those of a split, one without an
    image, an image deeper than CLASS/GROUP/.
    """
    table, lines = _lines(source)
    label_of = {name: label for label, name in enumerate(_classes(table, lines, negative))}
    by_path: dict[Path, list[Line]] = {}
    for line in lines:
        by_path.setdefault(line.path, []).append(line)
    cases = manifest.case_names([_relative(path, source) for path in by_path])
    found = [OwnImage(case, rows[0].group, rows[0].split, path,
                      tuple((label_of[row.label], row.box) for row in rows))
             for case, (path, rows) in zip(cases, by_path.items())]
    for path, rows in by_path.items():
        if len(rows) > 1 and (len(set(rows)) < len(rows) or any(row.box is None for row in rows)):
            raise InputError(f"{table}: duplicate image {path}; several lines of one image need a "
                             "different box (x, y, w, h) each")
        if len({(row.group, row.split) for row in rows}) > 1:
            raise InputError(f"{table}: the lines of {path} differ in group or split")
    manifest.check_images(table, found)
    return sorted(found, key=lambda image: image.case)


def read_classes(source: Path, negative: str = "") -> tuple[str, ...]:
    """Names of the classes, index = label.

    The first is `negative`, or the class with the most lines where that is "" (of equally many the
    first by name).

    Raises InputError as `read_images` does for the table.
    """
    return _classes(*_lines(source), negative)


def _classes(table: Path, lines: Sequence[Line], negative: str) -> tuple[str, ...]:
    counts = Counter(line.label for line in lines)
    names = sorted(counts)
    for name in names:
        if not _NAME.fullmatch(name):
            raise InputError(f"{table}: {name!r} cannot be the name of a class; use 1 to 60 "
                             'characters without , / \\ and "')
    if len(names) < 2:
        raise InputError(f"{table}: only one class ({', '.join(names)}); there must be two or more")
    if negative and negative not in counts:
        raise InputError(f"{table}: no image of class {negative!r}, the negative one; the classes "
                         f"are {', '.join(names)}")
    written: dict[str, str] = {}
    for name in names:
        other = written.setdefault(name.strip().casefold(), name)
        if other != name:
            raise InputError(f"{table}: classes {other!r} and {name!r} differ only in case or "
                             "blanks; give both the same name")
    first = negative or max(names, key=lambda name: counts[name])
    return (first, *(name for name in names if name != first))


def left_out(source: Path) -> list[Path]:
    """Files in a folder of classes that `read_images` does not read; none where a table names them.

    The tables of groups beside the classes are not counted. Raises InputError as `read_images`.
    """
    if source.is_file() or (source / manifest.MANIFEST).is_file():
        return []
    used = {path for path in _visible(source) if path.suffix == ".csv"}
    used.update(line.path for line in _from_folders(source))
    return [path for path in _files(source) if path not in used]


def _files(folder: Path) -> Iterator[Path]:
    """Files in a folder and its folders, however deep."""
    for path in _visible(folder):
        if path.is_dir():
            yield from _files(path)
        else:
            yield path


def _lines(source: Path) -> tuple[Path, list[Line]]:
    """What errors should name, and all lines in their order."""
    if not source.exists():
        raise InputError(f"{source}: no such file or folder; expected {LAYOUT}")
    table = source / manifest.MANIFEST if source.is_dir() else source
    if table.is_file():
        return table, _from_table(table)
    return source, _from_folders(source)


def _from_table(table: Path) -> list[Line]:
    header, _ = read_table(table)
    column = next((name for name in PATH_COLUMNS if name in header), PATH_COLUMNS[0])
    boxes = BOX_COLUMNS if any(name in header for name in BOX_COLUMNS) else ()
    rows = manifest.read_columns(table, [column, "label", "group", *boxes], ["split"])
    if not rows:
        raise InputError(f"{table}: lists no images")
    lines = []
    for row in rows:
        place = f"{table}, line {row.number}"
        path = table.parent / row[column]
        if not row[column] or not path.is_file():
            raise InputError(f"{place}: image {row[column]!r} is missing; no such file")
        if not row["label"].strip():
            raise InputError(f"{place}: no label")
        box = _box(place, [row[name].strip() for name in boxes])
        lines.append(Line(path, row["label"].strip(), row["group"].strip(),
                          row.get("split", "").strip(), box))
    return lines


def _box(place: str, texts: Sequence[str]) -> Box | None:
    if not any(texts):
        return None
    try:
        x, y, width, height = (float(text) for text in texts)
    except ValueError:
        x = y = width = height = math.nan
    if not (width > 0 and height > 0 and math.isfinite(x + y + width + height)):
        raise InputError(f"{place}: box {', '.join(map(repr, texts))}; expected four numbers "
                         "x, y, w, h with w and h above 0, or nothing for the whole image")
    return x, y, width, height


def _from_folders(folder: Path) -> list[Line]:
    classes = [path for path in _visible(folder) if path.is_dir()]
    if not classes:
        raise InputError(f"{folder}: neither {manifest.MANIFEST} nor folders; expected {LAYOUT}")
    _check_layout(folder, classes)
    nested = [Line(path, one.name, group.name, "", None) for one in classes
              for group in _visible(one) if group.is_dir() for path in _images(group)]
    flat = [(path, one.name) for one in classes for path in _images(one)]
    if nested and flat:
        raise InputError(f"{flat[0][0]}: beside folders of groups; put it into the folder of its "
                         "group")
    return nested or _with_groups(folder, flat)


def _check_layout(folder: Path, classes: Sequence[Path]) -> None:
    """Raises InputError for folders of a split, too deep an image, a folder without an image."""
    sides = [one for one in classes if one.name.lower() in SIDES]
    if len(sides) >= min(2, len(classes)):     # one among others may be a class: trains and cars
        raise InputError(f"{sides[0]}: the name of a side of the split, not of a class; expected "
                         "one folder for each class (CLASS/GROUP/image), or a "
                         f"{manifest.MANIFEST} with the columns path, label, group, split")
    for one in classes:
        groups = [path for path in _visible(one) if path.is_dir()]
        for group in groups:
            deep = next((path for path in _files(group)
                         if path.parent != group and _is_image(path)), None)
            if deep:
                raise InputError(f"{deep}: deeper than CLASS/GROUP/image; move it into the "
                                 "folder of its group, or name the folder above the classes")
        for place in groups or [one]:
            if not _images(place):
                raise InputError(f"{place}: no image in it ("
                                 f"{', '.join(images.IMAGE_SUFFIXES)}, DICOM); add or convert its "
                                 "images, or remove the folder")


def _with_groups(folder: Path, flat: Sequence[tuple[Path, str]]) -> list[Line]:
    if not any(path.suffix == ".csv" for path in _visible(folder)):
        raise InputError(f"{folder}: nothing says which images belong together; put those of one "
                         "patient into a folder CLASS/PATIENT/, or add a CSV with the columns "
                         "frame and group")
    table = manifest.group_table(folder)
    files: dict[str, Path] = {}
    for path, _ in flat:
        stem = _suffixed(path).stem
        if stem in files:
            raise InputError(f"{path}: duplicate image, {files[stem]} has the same name; give "
                             "each image a name of its own")
        files[stem] = path
    members = manifest.grouped_frames(table, files, f"the folders of {folder}")
    label_of = {path: label for path, label in flat}
    return [Line(files[stem], label_of[files[stem]], group, split, None)
            for stem, group, split in members]


def _visible(folder: Path) -> Iterable[Path]:
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


def _images(folder: Path) -> list[Path]:
    return [path for path in _visible(folder) if _is_image(path)]


def _is_image(path: Path) -> bool:
    return path.is_file() and (path.suffix.lower() in SUFFIXES or _is_dicom(path))


def _is_dicom(path: Path) -> bool:
    try:
        with path.open("rb") as handle:
            return is_dicom(handle.read(132))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None


def _relative(path: Path, source: Path) -> Path:
    root = source if source.is_dir() else source.parent
    named = _suffixed(path)
    return named.relative_to(root) if named.is_relative_to(root) else named


def _suffixed(path: Path) -> Path:
    """The path with a suffix of an image: of DICOM's usual names, 1.2.840.7, the end is none."""
    return path if path.suffix.lower() in SUFFIXES else path.with_name(path.name + ".dcm")
