"""From frames to labelled candidates: what each file holds, what the detector proposes, recall."""
from __future__ import annotations

import functools
import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from data_prep import images
from data_prep.parallel import ordered_map
from data_prep.patches import Box
from data_prep.polyp import detector, reader
from data_prep.polyp.reader import Frame
from data_prep.seal import digest, read_json, write_json
from layerwise.contracts import Candidate, Case
from layerwise.errors import InputError

MIN_LESION_PX = 25  # smaller components of a mask are slips of the pen, not polyps
RECALL_AT = (1, 2, 3, 5, 10)  # candidates per frame


@dataclass(frozen=True)
class Inspection:
    """What the files of one frame hold."""

    image_sha256: str
    mask_sha256: str
    lesions: int


def lesion_map(mask: np.ndarray) -> tuple[np.ndarray, int]:
    """(h, w) numbers of the lesions of a bool mask, 0 outside, and how many there are.

    A lesion is an 8-connected component of at least MIN_LESION_PX pixels.
    """
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8),
                                                               connectivity=8)
    number, lesions = np.zeros(count, np.int32), 0
    for component in range(1, count):
        if stats[component, cv2.CC_STAT_AREA] >= MIN_LESION_PX:
            lesions += 1
            number[component] = lesions
    return number[labels], lesions


def lesion_at_centre(lesions: np.ndarray, box: Box) -> int:
    """Number of the lesion under the centre of a box, 0 for none or a centre outside the frame."""
    x, y, width, height = box
    column, row = math.floor(x + width / 2), math.floor(y + height / 2)
    inside = 0 <= row < lesions.shape[0] and 0 <= column < lesions.shape[1]
    return int(lesions[row, column]) if inside else 0


def _inspect(frames: Sequence[Frame]) -> list[Inspection]:
    found = []
    for frame in frames:
        image_bytes = images.read_bytes(frame.image_path)
        mask_bytes = images.read_bytes(frame.mask_path)
        mask = reader.mask_of(frame.mask_path, images.decode(frame.mask_path, mask_bytes))
        reader.check_sizes(frame, images.decode(frame.image_path, image_bytes), mask)
        found.append(Inspection(hashlib.sha256(image_bytes).hexdigest(),
                                hashlib.sha256(mask_bytes).hexdigest(), lesion_map(mask)[1]))
    return found


def _stamp(frame: Frame) -> list[Any]:
    """Path, size and time of change of both files: while these stay, so do the hashes."""
    status = [(path, path.stat()) for path in (frame.image_path, frame.mask_path)]
    return [value for path, stat in status
            for value in (str(path), stat.st_size, stat.st_mtime_ns)]


def inspect_frames(frames: Sequence[Frame], cache: Path, jobs: int) -> dict[str, Inspection]:
    """Decode and hash every file by case; files unchanged since the last time are not read again.

    `cache` (JSON) is written once all files are found to be sound. Raises InputError for a damaged
    file or sizes that differ.
    """
    known = read_json(cache)
    entries: Mapping[str, Any] = \
        known["frames"] if known.get("min_lesion_px") == MIN_LESION_PX else {}
    stamps = {frame.case: _stamp(frame) for frame in frames}
    found = {case: Inspection(**entries[case]["found"]) for case, stamp in stamps.items()
             if case in entries and entries[case]["stamp"] == stamp}
    unknown = [frame for frame in frames if frame.case not in found]
    if unknown:
        inspected = list(ordered_map(_inspect, unknown, jobs, 16, "checking frames", "frames"))
        found.update(zip((frame.case for frame in unknown), inspected))
    if unknown or len(entries) != len(frames):
        write_json(cache, {"min_lesion_px": MIN_LESION_PX, "frames": {
            case: {"stamp": stamp, "found": vars(found[case])} for case, stamp in stamps.items()}})
    return found


def refuse_shared_images(frames: Sequence[Frame], found: Mapping[str, Inspection]) -> None:
    """InputError when the same image file is in two groups: it could be trained and tested on."""
    first: dict[str, Frame] = {}
    for frame in frames:
        other = first.setdefault(found[frame.case].image_sha256, frame)
        if other.group != frame.group:
            raise InputError(f"{frame.image_path}: duplicate image, the same file as "
                             f"{other.image_path.name} of group {other.group}; remove one of them")


def inputs_digest(frames: Sequence[Frame], found: Mapping[str, Inspection]) -> str:
    """SHA-256 over all frames: name, group, split and the hashes of image and mask."""
    return digest([[frame.case, frame.group, frame.split, found[frame.case].image_sha256,
                    found[frame.case].mask_sha256] for frame in frames])


def _detect(keep: int, frames: Sequence[Frame]) -> list[list[Candidate]]:
    """The `keep` best candidates of each frame, best first, labelled by the centre of their box."""
    found = []
    for frame in frames:
        lesions, _ = lesion_map(reader.load_mask(frame))
        rows: list[Candidate] = []
        for row in detector.detect(reader.load_image(frame))[:keep]:
            lesion = lesion_at_centre(lesions, (row.x, row.y, row.w, row.h))
            rows.append(Candidate(
                frame.case, frame.group, f"{frame.case}:c{len(rows) + 1:02d}",
                f"{frame.case}:{lesion}" if lesion else "", int(lesion > 0),
                row.x, row.y, row.w, row.h, row.score))
        found.append(rows)
    return found


def detect_all(frames: Sequence[Frame], keep: int, jobs: int) -> list[Candidate]:
    """Labelled candidates of all frames in their order, at most `keep` each, best first."""
    per_frame = ordered_map(functools.partial(_detect, keep), frames, jobs, 4,
                            "finding candidates", "frames")
    return [row for rows in per_frame for row in rows]


def best(candidates: Sequence[Candidate], keep: int) -> list[Candidate]:
    """The first `keep` candidates of each case; they come best first."""
    count: dict[str, int] = {}
    chosen = []
    for row in candidates:
        count[row.case] = count.get(row.case, 0) + 1
        if count[row.case] <= keep:
            chosen.append(row)
    return chosen


def recall(cases: Sequence[Case], candidates: Sequence[Candidate]) -> dict[str, dict[str, float]]:
    """Part of the lesions of each split hit by the first 1, 2, 3, 5, 10 candidates of a frame.

    A lesion is hit however many candidates hit it; a split without lesions has no entry.
    """
    table: dict[str, dict[str, float]] = {}
    for split in sorted({case.split for case in cases}):
        names = {case.case for case in cases if case.split == split}
        lesions = sum(case.lesions for case in cases if case.split == split)
        if lesions:
            table[split] = {str(keep): len({row.lesion for row in best(candidates, keep)
                                            if row.lesion and row.case in names}) / lesions
                            for keep in RECALL_AT}
    return table
