"""What a folder of inputs says about itself: its tables, its images, and what it stands in for.

Every task's table must satisfy: no repeats, a group for all, a whole split.
"""
from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Optional, Protocol

from data_prep import images
from layerwise.contracts import SPLITS, Record, read_table
from layerwise.errors import InputError

MANIFEST, ORIGIN, STAND_IN = "manifest.csv", "origin.json", "stand_in"
GROUP_COLUMNS = ("group", "video", "sequence", "patient")
OPTIONAL_FRAME_COLUMNS = ("frame_in_sequence", "split")


class Member(NamedTuple):
    """One input of a table as named in messages, its group, and its split ("" if not given)."""

    name: str
    group: str
    split: str


def read_columns(table: Path, required: Sequence[str], optional: Sequence[str] = ()
                 ) -> list[Record]:
    """Rows of a CSV with all `required` columns, any of the `optional` ones and no others."""
    header, _ = read_table(table)
    _, rows = read_table(table, [*required, *(name for name in optional if name in header)])
    return rows


def no_repeats(table: Path, what: str, values: Iterable[str]) -> None:
    """InputError naming the most frequent of `values` if it occurs more than once."""
    for value, count in Counter(values).most_common(1):
        if count > 1:
            raise InputError(f"{table}: duplicate {what} {value}")


def check_groups(table: Path, members: Iterable[Member]) -> None:
    """InputError unless all have a group, there are two groups, and splits are whole or absent.

    A given split names train or test for every member, both occur, and none cuts through a group.
    """
    splits_of: dict[str, set[str]] = {}
    for name, group, split in members:
        if not group:
            raise InputError(f"{table}: {name} has no group")
        splits_of.setdefault(group, set()).add(split)
    if len(splits_of) < 2:
        raise InputError(f"{table}: only one group ({', '.join(splits_of)}); training and test "
                         "data need different groups")
    for group, splits in splits_of.items():
        if len(splits) > 1:
            raise InputError(f"{table}: group {group} is on two sides of the split; "
                             "a group must be wholly train or wholly test")
    given = {split for splits in splits_of.values() for split in splits}
    if given != {""} and given != set(SPLITS):
        raise InputError(f"{table}: column split must hold both train and test and nothing else, "
                         f"found {', '.join(repr(split) for split in sorted(given))}")


class Image(Protocol):
    """A case that is one image."""

    @property
    def case(self) -> str: ...
    @property
    def group(self) -> str: ...
    @property
    def split(self) -> str: ...
    @property
    def image_path(self) -> Path: ...


def check_images(table: Path, frames: Sequence[Image]) -> None:
    """InputError for an image or a name that repeats, and as `check_groups`."""
    no_repeats(table, "image", (str(frame.image_path) for frame in frames))
    no_repeats(table, "image name", (frame.case for frame in frames))
    check_groups(table, (Member(frame.image_path.name, frame.group, frame.split)
                         for frame in frames))


def image_files(folder: Path, expected: str) -> dict[str, Path]:
    """Image files of a folder by stem.

    InputError when it is missing (naming what was `expected`), empty or ambiguous.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; expected {expected}")
    files: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or path.suffix.lower() not in images.IMAGE_SUFFIXES:
            continue
        if path.stem in files:
            raise InputError(f"{path}: duplicate image, {files[path.stem].name} has the same name")
        files[path.stem] = path
    if not files:
        raise InputError(f"{folder}: no images ({', '.join(images.IMAGE_SUFFIXES)})")
    return files


def group_table(folder: Path, columns: Sequence[str] = ()) -> Path:
    """The one CSV of a folder.

    InputError for none or several; with `columns` it names the other layout, a manifest of these.
    """
    tables = sorted(path for path in folder.glob("*.csv") if not path.name.startswith("."))
    if len(tables) != 1:
        found = "no CSV file" if not tables else "several CSV files"
        other = f"{MANIFEST} ({', '.join(columns)}) or " if columns else ""
        raise InputError(f"{folder}: {found}; expected {other}one CSV with the columns frame and "
                         "group")
    return tables[0]


def grouped_frames(table: Path, files: Mapping[str, Path], place: str) -> list[Member]:
    """Stem, group and split of every line of a CSV that lists `files`, all of them.

    Columns: frame (stem or file name), one of GROUP_COLUMNS, and any of OPTIONAL_FRAME_COLUMNS.
    InputError for a listed frame that is missing from `place`, and for a file that is not listed.
    """
    header, _ = read_table(table)
    group_columns = [name for name in header if name in GROUP_COLUMNS]
    if len(group_columns) != 1:
        raise InputError(f"{table}: expected the column frame and exactly one of "
                         f"{', '.join(GROUP_COLUMNS)}")
    members = []
    rows = read_columns(table, ["frame", group_columns[0]], OPTIONAL_FRAME_COLUMNS)
    for row in rows:
        named = Path(row["frame"])
        stem = named.stem if named.suffix.lower() in images.IMAGE_SUFFIXES else row["frame"]
        if stem not in files:
            raise InputError(f"{table}, line {row.number}: frame {row['frame']!r} "
                             f"is missing from {place}")
        members.append(Member(stem, row[group_columns[0]].strip(), row.get("split", "").strip()))
    listed = {member.name for member in members}
    for stem, path in files.items():
        if stem not in listed:
            raise InputError(f"{path}: frame has no group; add a line to {table.name}")
    return members


def case_names(paths: Sequence[Path]) -> list[str]:
    """Names of images: their paths without suffix, and without the folder that all of them share.

    So frames/0001.png is simply 0001.
    """
    shared = len(paths[0].parts[:-1]) if len({path.parent for path in paths}) == 1 else 0
    return ["/".join(path.with_suffix("").parts[shared:]) for path in paths]


def write_origin(folder: Path, stand_in: str, about: str) -> None:
    """Say in a folder of our own making what its data are: origin.json, and README.txt."""
    (folder / ORIGIN).write_text(json.dumps({STAND_IN: stand_in}) + "\n")
    (folder / "README.txt").write_text(about)


def origin_of(folder: Path) -> Optional[str]:
    """What a folder's data are where they stand in for real ones (origin.json), None otherwise."""
    path = folder / ORIGIN
    try:
        origin = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: not a JSON file ({error})") from None
    if not isinstance(origin, dict) or set(origin) != {STAND_IN} \
            or not isinstance(origin[STAND_IN], str) or not origin[STAND_IN].strip():
        raise InputError(f'{path}: expected {{"{STAND_IN}": "what the data are"}}')
    return str(origin[STAND_IN])


def origin_or_name(folder: Path, what: str) -> str:
    """`origin_of`, else "FOLDER what": whatever is not the paper's own data stands in for it."""
    return origin_of(folder) or f"{folder.resolve().name} {what}"
