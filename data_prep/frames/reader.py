"""Folders of colonoscopy frames with labels and the videos they come from.

Two layouts, told apart by manifest.csv:

* `manifest.csv` with the columns image, label (informative or noninformative), group and optionally
  split (train or test); paths relative to the manifest;
* two folders, `informative/` and `noninformative/`, and one CSV with the column frame (file stem or
  file name), the group in a column named group, video, sequence or patient, and optionally
  frame_in_sequence and split.

Beside either, origin.json where the frames stand in for real ones (see `manifest.origin_of`).
"""
from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from data_prep.manifest import (
    MANIFEST,
    case_names,
    check_images,
    group_table,
    grouped_frames,
    image_files,
    read_columns,
)
from layerwise.errors import InputError

LABELS = ("noninformative", "informative")      # index = label
MANIFEST_COLUMNS = ("image", "label", "group")
LAYOUT = f"informative/, noninformative/ and a CSV, or {MANIFEST}"


@dataclass(frozen=True)
class Frame:
    """One frame: unique name, its video, its file; `split` is "" where not given."""

    case: str
    group: str
    split: str
    image_path: Path
    informative: bool


def read_frames(folder: Path) -> list[Frame]:
    """All frames of a folder in either layout, sorted by case; no image is opened.

    Raises InputError naming the file for: no such folder, no CSV or several, unknown or missing
    column, another label, missing or repeated image, one in both folders, a frame without a group,
    a single group, a split that is incomplete or cuts through a group.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder")
    manifest = folder / MANIFEST
    if manifest.exists():
        table, frames = manifest, _from_manifest(manifest)
    else:
        table = group_table(folder, MANIFEST_COLUMNS)
        frames = _from_folders(folder, table)
    check_images(table, frames)
    return sorted(frames, key=lambda frame: frame.case)


def _from_manifest(manifest: Path) -> list[Frame]:
    rows = read_columns(manifest, MANIFEST_COLUMNS, ["split"])
    if not rows:
        raise InputError(f"{manifest}: lists no images")
    frames = []
    for row, case in zip(rows, case_names([Path(row["image"]) for row in rows])):
        path, label = manifest.parent / row["image"], row["label"].strip()
        if not row["image"] or not path.is_file():
            raise InputError(f"{manifest}, line {row.number}: image {row['image']!r} is missing; "
                             "no such file")
        if label not in LABELS:
            raise InputError(f"{manifest}, line {row.number}: label {label!r}, expected "
                             f"{' or '.join(LABELS)}")
        frames.append(Frame(case, row["group"].strip(), row.get("split", "").strip(), path,
                            label == LABELS[1]))
    return frames


def _from_folders(folder: Path, table: Path) -> list[Frame]:
    by_label = {label: image_files(folder / label, LAYOUT) for label in LABELS}
    negative, positive = by_label.values()
    for stem in sorted(set(negative) & set(positive)):
        raise InputError(f"{positive[stem]}: duplicate image, {LABELS[0]}/ has one of the same "
                         "name; give each frame a name of its own")
    members = grouped_frames(table, {**negative, **positive},
                             " and ".join(str(folder / label) for label in LABELS))
    return [Frame(stem, group, split, positive.get(stem, negative.get(stem, folder)),
                  stem in positive)
            for stem, group, split in members]
