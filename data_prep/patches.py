"""Patches of a candidate box: 3 scales x 5 positions x 8 symmetries = 120 (paper, section IV-A).

The paper extracts patches "at three scales", enlarging the box by 1.0, 1.2 and 1.5, translates "by
10% of the resized bounding box in horizontal and vertical directions" and adds "8 rotations ... by
mirroring and flipping". Read here as: the centre and one shift each way, and the eight symmetries
of the square. Every patch is stretched to 227x227 without keeping the box's aspect ratio.
"""
from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from layerwise.errors import InputError

PATCH_PX = 227  # input of AlexNet as Caffe's bvlc_alexnet crops it
SCALES = (1.0, 1.2, 1.5)
SHIFT = 0.1
SHIFTS = (("centre", 0.0, 0.0), ("up", 0.0, -SHIFT), ("down", 0.0, SHIFT),
          ("left", -SHIFT, 0.0), ("right", SHIFT, 0.0))
TURNS = (("r0", None), ("r90", cv2.ROTATE_90_COUNTERCLOCKWISE), ("r180", cv2.ROTATE_180),
         ("r270", cv2.ROTATE_90_CLOCKWISE))
SYMMETRIES = tuple(turn + mirror for mirror in ("", "m") for turn, _ in TURNS)

Box = tuple[float, float, float, float]  # x, y of the top left corner, w, h; pixels


@dataclass(frozen=True)
class Augmentation:
    """One view of a box. dx, dy: shift of the box, right and down, in widths of the scaled box."""

    name: str
    scale: float
    dx: float
    dy: float
    symmetry: str


AUGMENTATIONS = tuple(Augmentation(f"s{scale}_{shift}_{symmetry}", scale, dx, dy, symmetry)
                      for scale in SCALES for shift, dx, dy in SHIFTS for symmetry in SYMMETRIES)


def test_augmentations(count: int) -> tuple[Augmentation, ...]:
    """The first `count` views of a fixed order whose every prefix is well spread.

    The i-th view takes scale i mod 3, shift i mod 5 and symmetry i mod 8. The three numbers have no
    common factor, so the 120 views come once each, and neighbours differ in everything. The first
    is the plain box. Raises InputError unless 1 <= count <= 120.
    """
    total = len(AUGMENTATIONS)
    if not 1 <= count <= total:
        raise InputError(f"{count} patches per test candidate; expected 1 to {total}")
    per_scale = len(SHIFTS) * len(SYMMETRIES)
    return tuple(AUGMENTATIONS[i % len(SCALES) * per_scale + i % len(SHIFTS) * len(SYMMETRIES)
                               + i % len(SYMMETRIES)] for i in range(count))


# pytest takes names that begin with test_ for tests wherever they are imported.
test_augmentations.__test__ = False  # type: ignore[attr-defined]


def view_box(box: Box, augmentation: Augmentation) -> Box:
    """The box of one view: scaled about the centre, then shifted by a part of its own new size."""
    x, y, width, height = box
    new_width, new_height = width * augmentation.scale, height * augmentation.scale
    return (x + width / 2 - new_width / 2 + augmentation.dx * new_width,
            y + height / 2 - new_height / 2 + augmentation.dy * new_height,
            new_width, new_height)


def apply_symmetry(patch: np.ndarray, symmetry: str) -> np.ndarray:
    """One of the square's eight symmetries, exact: rN turns N degrees anticlockwise, m mirrors it.

    Mirroring (left to right) comes after turning.
    """
    code = dict(TURNS)[symmetry.rstrip("m")]
    turned = patch if code is None else cv2.rotate(patch, code)
    return cv2.flip(turned, 1) if symmetry.endswith("m") else turned


def stretch(image: np.ndarray, box: Box) -> np.ndarray:
    """(227, 227, 3) uint8: the box resampled bilinearly, corner to corner, at sub-pixel position.

    Pixels cover unit squares, so x = 0 is the left edge of the first. Beyond the image the border
    pixel is repeated: mirroring would show a polyp at the border twice. Along an axis on which two
    or more image pixels fall on one of the patch, whole groups of pixels are averaged first, as
    bilinear interpolation alone would skip pixels.
    """
    x, y, width, height = box
    if not (width > 0 and height > 0):
        raise ValueError(f"box {box} has no area")
    step_x, step_y = max(1, int(width / PATCH_PX)), max(1, int(height / PATCH_PX))
    if step_x > 1 or step_y > 1:
        image, x, y = _averaged(image, box, step_x, step_y)
        width, height = width / step_x, height / step_y
    scale_x, scale_y = width / PATCH_PX, height / PATCH_PX
    # Centre of patch pixel u lies at x + (u + 1/2) scale; OpenCV counts from pixel centres.
    matrix = np.array([[scale_x, 0.0, x + scale_x / 2 - 0.5],
                       [0.0, scale_y, y + scale_y / 2 - 0.5]])
    return cv2.warpAffine(image, matrix, (PATCH_PX, PATCH_PX),
                          flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
                          borderMode=cv2.BORDER_REPLICATE)


def _averaged(image: np.ndarray, box: Box, step_x: int, step_y: int
              ) -> tuple[np.ndarray, float, float]:
    """Surroundings of the box, averaged over step_x x step_y pixels, and the box's corner there."""
    x, y, width, height = box
    left, top = math.floor(x) - step_x, math.floor(y) - step_y
    columns = math.ceil((x + width - left) / step_x) + 1
    rows = math.ceil((y + height - top) / step_y) + 1
    # Repeating the border is indexing with the nearest index inside the image.
    across = np.clip(np.arange(left, left + columns * step_x), 0, image.shape[1] - 1)
    down = np.clip(np.arange(top, top + rows * step_y), 0, image.shape[0] - 1)
    nearby = image.take(down, axis=0).take(across, axis=1)
    small = cv2.resize(nearby, (columns, rows), interpolation=cv2.INTER_AREA)
    return small, (x - left) / step_x, (y - top) / step_y


def extract(image: np.ndarray, box: Box, augmentation: Augmentation) -> np.ndarray:
    """(227, 227, 3) uint8 BGR: one view of a box (pixels) in an (h, w, 3) uint8 image."""
    return apply_symmetry(stretch(image, view_box(box, augmentation)), augmentation.symmetry)
