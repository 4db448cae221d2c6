"""Views along and across a vessel: 3 widths x 5 shifts x 6 rotations = 90 (paper, section IV-B).

The paper extracts "10 mm-, 15 mm-, and 20 mm-wide patches", translates the candidate "along the
direction of the affected vessel 3 times, up to 20% of the physical size of the patches" and rotates
"the longitudinal and cross-sectional vessel planes around the vessel axis, resulting in 5
additional variations". Read here as: steps of 0, 10 and 20% in either direction, and six rotations
with the first. The paper's 434 true positives then give 39,060 patches, 78,120 with as many of the
other class: of all readings the nearest to its stratified set of 81,000.

A view has two planes through one point. In both, columns run along `side`; rows, downwards, run
along the vessel in the longitudinal plane and along `cross` in the cross-section, which is thus
seen looking along the vessel's axis.
"""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from data_prep.patches import PATCH_PX
from data_prep.pe.alignment import VesselFrame
from data_prep.pe.volume import Volume

# In the order in which TEST_ORDER takes them: the plain view first, then far apart.
WIDTHS_MM = (15, 10, 20)
SHIFTS_PERCENT = (0, 10, -10, 20, -20)
# All round, not over half a turn: every view's mirror image is then among the views, and the set of
# views does not depend on the sign of `side`, which is arbitrary.
TURNS_DEGREES = (0, 120, 240, 180, 300, 60)

# Width 700, level 100, common in reading pulmonary angiograms. A clot has some 30-80 HU, the lumen
# 200-500; lung and air become 0.
WINDOW_HU = (-250.0, 450.0)
AIR_HU = -1000.0

# In Caffe's order: blue, green, red. The paper repeats "the second channel" of two.
CHANNELS = ("longitudinal", "cross-section", "cross-section")

# Pixel centres from the middle, in widths: the pixels' outer edges lie half a width from it.
_OFFSETS = (np.arange(PATCH_PX) + 0.5) / PATCH_PX - 0.5


@dataclass(frozen=True)
class View:
    """One augmentation of a candidate. shift: along the axis, in widths of the patch."""

    width_mm: float
    shift: float
    turn_degrees: float


def _name(width_mm: int, shift_percent: int, turn_degrees: int) -> str:
    return f"w{width_mm}_s{shift_percent:+03d}_r{turn_degrees:03d}"


VIEWS = {_name(width, shift, turn): View(width, shift / 100, turn)
         for width in sorted(WIDTHS_MM) for shift in sorted(SHIFTS_PERCENT)
         for turn in sorted(TURNS_DEGREES)}
VIEW_NAMES = tuple(VIEWS)

# Shift i mod 5 and rotation i mod 6 come in all 30 pairs before one comes again. Widths change with
# every view and are put off by one after every round of rotations (3 divides 6), so that 18 views
# show each rotation at each width, and 90 every combination once.
TEST_ORDER = tuple(_name(WIDTHS_MM[(i + i // 6) % 3], SHIFTS_PERCENT[i % 5], TURNS_DEGREES[i % 6])
                   for i in range(len(VIEWS)))


def cut(volume: Volume, frame: VesselFrame, view: str) -> np.ndarray:
    """(227, 227, 3) uint8 BGR: longitudinal plane, cross-section, cross-section of one view.

    `view` is one of VIEW_NAMES. The shift moves both planes, by a part of the width, towards the
    positive axis; the rotation turns `side` towards `cross`.
    """
    chosen = VIEWS[view]
    turn = np.deg2rad(chosen.turn_degrees)
    side = np.cos(turn) * frame.side + np.sin(turn) * frame.cross
    cross = np.cos(turn) * frame.cross - np.sin(turn) * frame.side
    centre_mm = frame.centre_mm + chosen.shift * chosen.width_mm * frame.axis
    rows = {"longitudinal": frame.axis, "cross-section": cross}
    planes = {name: to_grey(sample(volume, centre_mm, down, side, chosen.width_mm))
              for name, down in rows.items()}
    return np.stack([planes[name] for name in CHANNELS], axis=-1)


def sample(volume: Volume, centre_mm: np.ndarray, down: np.ndarray, right: np.ndarray,
           width_mm: float) -> np.ndarray:
    """(227, 227) float32 HU of a square plane about a point, trilinear; air outside the volume.

    down, right: unit vectors (z, y, x) along which rows and columns run. The volume ends at the
    centres of its outermost voxels.
    """
    spacing_mm = np.asarray(volume.spacing_mm, float)
    step_down, step_right = (width_mm * direction / spacing_mm for direction in (down, right))
    centre = centre_mm / spacing_mm
    reach = (np.abs(step_down) + np.abs(step_right)) / 2
    # One voxel to spare on each side, so that only the volume's own border is a border.
    low = np.clip(np.floor(centre - reach) - 1, 0, volume.hu.shape).astype(int)
    high = np.clip(np.ceil(centre + reach) + 2, low, volume.hu.shape).astype(int)
    box = volume.hu[tuple(slice(a, b) for a, b in zip(low, high))]
    if box.size == 0:
        return np.full((PATCH_PX, PATCH_PX), AIR_HU, np.float32)
    places = ((centre - low)[:, None, None] + step_down[:, None, None] * _OFFSETS[:, None]
              + step_right[:, None, None] * _OFFSETS)
    return np.asarray(ndimage.map_coordinates(box, places, np.float32, order=1, mode="constant",
                                              cval=AIR_HU))


def to_grey(hu: np.ndarray) -> np.ndarray:
    """uint8: HU clipped to the window, its ends at 0 and 255, linear between."""
    low, high = WINDOW_HU
    return np.asarray(np.rint((np.clip(hu, low, high) - low) * (255 / (high - low))), np.uint8)
