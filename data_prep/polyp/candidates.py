"""What the polyp detector proposes in a frame, and which lesion each proposal hits."""
from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from data_prep import images
from data_prep.patches import Box
from data_prep.polyp import reader, shape
from data_prep.polyp.reader import Frame
from data_prep.recipe import Detection, Inspection
from layerwise.contracts import BoxCandidate
from layerwise.errors import InputError

LEARNT_FRAMES = 500
MIN_LESION_PX = 25  # smaller components of a mask are slips of the pen, not polyps


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


def inspect(frame: Frame) -> Inspection:
    """Hashes of a frame's files and the number of its lesions.

    Raises InputError for a damaged file, a mask or map of kinds of another size or with other
    values.
    """
    image_bytes = images.read_bytes(frame.image_path)
    mask_bytes = images.read_bytes(frame.mask_path)
    mask = reader.mask_of(frame.mask_path, images.decode(frame.mask_path, mask_bytes))
    reader.check_sizes(frame, images.decode(frame.image_path, image_bytes), mask)
    contents = [image_bytes, mask_bytes]
    if frame.kinds_path is not None:
        contents.append(images.read_bytes(frame.kinds_path))
        reader.kinds_of(frame, frame.kinds_path, contents[-1], mask)
    return Inspection(tuple(hashlib.sha256(each).hexdigest() for each in contents),
                      lesion_map(mask)[1])


def learn(frames: Sequence[Frame], path: Path, seed: int) -> None:
    """Write the detector's model, learnt from frames: all, or so many at equal steps."""
    step = max(1, math.ceil(len(frames) / LEARNT_FRAMES))
    shown = tqdm(frames[::step], desc="learning to find polyps", unit=" frames")
    try:
        model = shape.learn(map(_example, shown), seed)
    except ValueError as error:
        raise InputError(f"{frames[0].image_path.parent if frames else path}: {error}") from None
    shape.write_model(path, model)


def _example(frame: Frame) -> shape.Example:
    mask = reader.load_mask(frame)
    return shape.Example(frame.group, reader.load_image(frame), mask,
                         reader.load_kinds(frame, mask))


def detect(frame: Frame, keep: int, model: Path) -> Detection:
    """The `keep` best candidates of a frame, best first, labelled by the centre of their box."""
    lesions, _ = lesion_map(reader.load_mask(frame))
    rows: list[BoxCandidate] = []
    for row in shape.detect(reader.load_image(frame), shape.read_model(model))[:keep]:
        lesion = lesion_at_centre(lesions, (row.x, row.y, row.w, row.h))
        rows.append(BoxCandidate(
            frame.case, frame.group, f"{frame.case}:c{len(rows) + 1:02d}",
            f"{frame.case}:{lesion}" if lesion else "", int(lesion > 0),
            row.x, row.y, row.w, row.h, row.score))
    return Detection(tuple(rows), np.zeros((len(rows), 0)))
