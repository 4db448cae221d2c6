"""Folders of colonoscopy frames and lesion masks.

Two layouts, told apart by manifest.csv:

* a manifest: `manifest.csv` with the columns image, mask, group and optionally split (train or
  test) and kinds (maps of what makes edges, see `edge_kinds`); paths relative to the manifest;
* two folders: `frames/`, `masks/` (same file stem; the suffix may differ) and one CSV file with the
  column frame (file stem or file name), the group in a column named group, video, sequence or
  patient, and optionally frame_in_sequence and split.

Every frame has a mask; an empty mask is a frame without a polyp.
"""
from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data_prep import images
from data_prep.manifest import (
    MANIFEST,
    case_names,
    check_images,
    group_table,
    grouped_frames,
    image_files,
    read_columns,
)
from data_prep.polyp.edge_kinds import KINDS, MAPPED
from layerwise.errors import InputError

MANIFEST_COLUMNS = ("image", "mask", "group")
LAYOUT = f"frames/, masks/ and a CSV, or {MANIFEST}"


@dataclass(frozen=True)
class Frame:
    """One frame: unique name, video it belongs to, its files.

    `split` is "" and `kinds_path` None where not given.
    """

    case: str
    group: str
    image_path: Path
    mask_path: Path
    split: str = ""
    kinds_path: Path | None = None


def read_frames(folder: Path) -> list[Frame]:
    """All frames of a folder in either layout, sorted by case.

    Raises InputError naming the file for: no such folder, no CSV or several, unknown or missing
    column, missing or repeated image, missing mask, frame without a group, a single group, a split
    that is incomplete or cuts through a group.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder")
    manifest = folder / MANIFEST
    if manifest.exists():
        table, frames = manifest, _from_manifest(manifest)
    else:
        table, frames = _from_folders(folder)
    check_images(table, frames)
    return sorted(frames, key=lambda frame: frame.case)


def load_image(frame: Frame) -> np.ndarray:
    """(h, w, 3) BGR uint8; 16-bit files by `images.to_bgr8`. InputError names a damaged file."""
    return images.load_bgr8(frame.image_path)


def load_mask(frame: Frame) -> np.ndarray:
    """(h, w) bool, True inside a polyp, by the rule of `images.to_mask`."""
    path = frame.mask_path
    return mask_of(path, images.decode(path, images.read_bytes(path)))


def load_kinds(frame: Frame, mask: np.ndarray) -> np.ndarray | None:
    """(h, w) uint8, `edge_kinds.MAPPED` or 0, of a frame with this mask; None where none is given.

    Raises InputError for a damaged file, another size than the mask's and other values.
    """
    path = frame.kinds_path
    return None if path is None else kinds_of(frame, path, images.read_bytes(path), mask)


def kinds_of(frame: Frame, path: Path, data: bytes, mask: np.ndarray) -> np.ndarray:
    """The map of kinds of a frame from the bytes of its file; InputError as `load_kinds`."""
    pixels = images.decode(path, data)
    if pixels.shape != mask.shape:
        raise InputError(f"{path}: a map of kinds has one channel and the size of the mask "
                         f"{frame.mask_path.name}")
    if pixels.dtype != np.uint8 or not np.isin(pixels, (0, *MAPPED)).all():
        raise InputError(f"{path}: the values of a map of kinds are 0 and "
                         + ", ".join(f"{kind} ({KINDS[kind]})" for kind in MAPPED))
    return pixels


def mask_of(path: Path, pixels: np.ndarray) -> np.ndarray:
    """Decoded pixels of a mask file as (h, w) bool."""
    return images.to_mask(pixels, lossy=path.suffix.lower() in images.JPEG_SUFFIXES)


def check_sizes(frame: Frame, image: np.ndarray, mask: np.ndarray) -> None:
    """InputError unless image and mask have the same height and width."""
    if image.shape[:2] != mask.shape[:2]:
        (height, width), (mask_height, mask_width) = image.shape[:2], mask.shape[:2]
        raise InputError(f"{frame.mask_path}: mask is {mask_width}x{mask_height} pixels but "
                         f"{frame.image_path.name} is {width}x{height}; they must agree")


def _from_manifest(manifest: Path) -> list[Frame]:
    rows = read_columns(manifest, MANIFEST_COLUMNS, ["split", "kinds"])
    if not rows:
        raise InputError(f"{manifest}: lists no images")
    paths = [Path(row["image"]) for row in rows]
    frames = []
    for row, path, case in zip(rows, paths, case_names(paths)):
        for column in ("image", "mask", *(["kinds"] if row.get("kinds") else [])):
            if not row[column] or not (manifest.parent / row[column]).is_file():
                raise InputError(f"{manifest}, line {row.number}: {column} {row[column]!r} "
                                 "is missing; no such file")
        frames.append(Frame(case, row["group"].strip(), manifest.parent / path,
                            manifest.parent / row["mask"], row.get("split", "").strip(),
                            manifest.parent / row["kinds"] if row.get("kinds") else None))
    return frames


def _from_folders(folder: Path) -> tuple[Path, list[Frame]]:
    """The CSV of the groups, and the frames."""
    frame_files = image_files(folder / "frames", LAYOUT)
    mask_files = image_files(folder / "masks", LAYOUT)
    table, frames = group_table(folder, MANIFEST_COLUMNS), []
    for stem, group, split in grouped_frames(table, frame_files, str(folder / "frames")):
        if stem not in mask_files:
            raise InputError(f"{folder / 'masks' / stem}.png: mask is missing; a frame without "
                             "a polyp needs an empty mask")
        frames.append(Frame(stem, group, frame_files[stem], mask_files[stem], split))
    return table, frames
