"""The box of the lungs' vessels as the search for clots sees it.

Every voxel with the lung's share taken out, what of it is bright blood and what is as dark as a
clot, its distance from air and how many of the directions around it lead to blood.
"""
from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from data_prep.pe.segment import GRID_MM, LUNG_HU, VESSEL_HU, Grid, lung_field

SMOOTHING_MM = 0.6
"""Gaussian sigma: halves the noise, and a clot of 3 mm keeps most of its depth."""
BLUR_MM = 0.9
"""Gaussian sigma of a scanner's blur (0.5 to 0.75 mm) and the smoothing together."""
LEAST_SHARE = 0.3
"""Of tissue in a voxel; with less the lung's share cannot be taken out."""
CLOT_HU, DARKEST_HU = 50.0, -100.0
"""A usual clot, and the darkest that noise makes of one."""
BLOOD_HU, BRIGHTEST_HU, LUMEN_MM = 150.0, 500.0, 6.0
"""Blood nearby is the mean of vessel brighter than the first, cut at the second (the great veins
before they mix), weighted by a Gaussian with this sigma."""
LIMIT_HU = (float(VESSEL_HU), 200.0)
"""Dark is what is nearer to a clot than to the blood nearby, yet at least and at most this."""
REACH_MM = 15.0
"""How far blood may be to wall in a voxel: half of the widest pulmonary trunk."""
DIRECTIONS = 26
DEPTH_MM = 4.0
"""Distances from air are told up to this."""


@dataclass(frozen=True)
class Scene:
    """All arrays (z, y, x)."""

    surface: np.ndarray     # float32: HU without the lung's share
    limit: np.ndarray       # float32: HU below which tissue is dark
    tissue: np.ndarray      # bool: not air
    bright: np.ndarray      # bool: blood with contrast, in the vessels of the segmentation
    dark: np.ndarray        # bool: tissue of a clot's density, in a vessel or not
    field: np.ndarray       # bool: the lungs with their vessels and hilum
    depth_mm: np.ndarray    # float32: from air
    enclosure: np.ndarray   # uint8: directions that lead to blood


def look(hu: np.ndarray, lungs: np.ndarray, vessels: np.ndarray,
         spacing_mm: tuple[float, ...]) -> Scene:
    """The scene of a box: `hu` int16, `lungs` and `vessels` bool, all (z, y, x)."""
    smooth = smoothed(hu, spacing_mm)
    tissue = smooth > LUNG_HU
    surface = _without_lung(smooth, tissue, _lung_hu(hu, lungs), spacing_mm)
    limit = _limit(surface, vessels, spacing_mm)
    bright = vessels & (surface >= np.maximum(limit, np.float32(BLOOD_HU)))
    return Scene(surface, limit, tissue, bright,
                 tissue & (surface > DARKEST_HU) & (surface < limit),
                 lung_field(lungs, spacing_mm), distance_mm(~tissue, DEPTH_MM, spacing_mm),
                 enclosed_directions(bright, tissue, spacing_mm))


def smoothed(hu: np.ndarray, spacing_mm: tuple[float, ...]) -> np.ndarray:
    """float32: HU with most of the noise taken out."""
    return ndimage.gaussian_filter(hu, [SMOOTHING_MM / mm for mm in spacing_mm], output=np.float32)


def enclosed_directions(blood: np.ndarray, passable: np.ndarray,
                        spacing_mm: tuple[float, ...]) -> np.ndarray:
    """uint8 (z, y, x): of the 26 directions to neighbours, those in which a walk of `REACH_MM`
    through passable voxels meets blood.

    A closing of the vessels, counted by direction: unlike the closing with a ball it fills a vessel
    of any width and leaves the space beside a vessel open.
    """
    count = np.zeros(blood.shape, np.uint8)
    for direction in itertools.product((-1, 0, 1), repeat=3):
        step_mm = math.hypot(*(d * mm for d, mm in zip(direction, spacing_mm)))
        if step_mm == 0:
            continue
        steps = max(1, int(REACH_MM / step_mm))
        # Doubling. met: blood within `walked` steps, the start included; unblocked: no obstacle.
        met, unblocked, walked = blood.copy(), passable.copy(), 1
        while walked < steps:
            stride = min(walked, steps - walked)
            here, there = _overlap(tuple(stride * d for d in direction), blood.shape)
            met[here] |= unblocked[here] & met[there]
            ahead = np.zeros_like(unblocked)
            ahead[here] = unblocked[here] & unblocked[there]
            unblocked = ahead
            walked += stride
        here, there = _overlap(direction, blood.shape)
        count[here] += met[there]
    return count


def distance_mm(mask: np.ndarray, most_mm: float, spacing_mm: tuple[float, ...]) -> np.ndarray:
    """float32: Euclidean distance to the nearest voxel of the mask, at most `most_mm`.

    Axis by axis; where the cap is small, in a tenth of the memory of SciPy's.
    """
    squared = np.where(mask, np.float32(0), np.float32(most_mm**2))
    for axis, mm in enumerate(spacing_mm):
        lower = squared.copy()
        for step in range(1, int(most_mm / mm) + 1):
            for sign in (-step, step):
                offset = tuple(sign if a == axis else 0 for a in range(mask.ndim))
                here, there = _overlap(offset, mask.shape)
                np.minimum(lower[here], squared[there] + np.float32((step * mm)**2),
                           out=lower[here])
        squared = lower
    return np.sqrt(squared)


def _lung_hu(hu: np.ndarray, lungs: np.ndarray) -> float:
    air = hu[lungs]
    return float(np.median(air[::max(1, len(air) // 100_000)])) if len(air) else -850.0


def _without_lung(smooth: np.ndarray, tissue: np.ndarray, lung_hu: float,
                  spacing_mm: tuple[float, ...]) -> np.ndarray:
    """float32: `smooth`, in tissue relieved of the share of lung that blur mixed into it."""
    share = ndimage.gaussian_filter(tissue.astype(np.float32), [BLUR_MM / mm for mm in spacing_mm])
    surface = smooth - np.float32(lung_hu) * (1 - share)
    surface /= np.maximum(share, np.float32(LEAST_SHARE))
    surface[~tissue] = smooth[~tissue]
    return surface


def _limit(surface: np.ndarray, vessels: np.ndarray, spacing_mm: tuple[float, ...]) -> np.ndarray:
    """float32: half way from a clot to the blood nearby."""
    grid = Grid(spacing_mm, GRID_MM)
    sigma = [LUMEN_MM / mm for mm in grid.spacing_mm]
    blood = vessels & (surface > BLOOD_HU)
    level = np.where(blood, np.minimum(surface, np.float32(BRIGHTEST_HU)), np.float32(0))
    weight = ndimage.gaussian_filter(grid.mean(blood), sigma)
    level = ndimage.gaussian_filter(grid.mean(level), sigma)
    # Far from all blood its mean over the box.
    mean = level.sum() / max(float(weight.sum()), 1e-6)
    lumen = (level + 1e-4 * mean) / (weight + 1e-4)
    return grid.spread(np.clip((CLOT_HU + lumen) / 2, *LIMIT_HU).astype(np.float32), surface.shape)


def _overlap(offset: tuple[int, ...], shape: tuple[int, ...]
             ) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Slices of the voxels whose neighbour at the offset is in the array, and of the neighbours."""
    here = tuple(slice(max(-o, 0), max(n - max(o, 0), 0)) for o, n in zip(offset, shape))
    there = tuple(slice(max(o, 0), max(n - max(-o, 0), 0)) for o, n in zip(offset, shape))
    return here, there
