"""Emboli: filling defects in arteries, synthetic or with the shapes of real clots.

A synthetic embolus is described in the coordinates of its vessel: along it, and across it in
radii from the centreline, so that it follows bends and forks.
"""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Optional

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from data_prep.pe.anatomy import ARTERY, Anatomy
from data_prep.pe.raster import box
from data_prep.pe.trees import Centreline

SMALLEST_MM3 = 80.0
"""A smaller embolus is not placed. Of 48 real ones (median 600 mm3) 5 were smaller; at 1.25 mm
voxels it would be fewer than 41 of them."""
FEWEST_VOXELS = 10
APART_VOXELS = 2                    # between two emboli, so that they stay two
EMBOLUS_HU = (30.0, 80.0)
"""At least 120 HU below the blood around it, whose mean is at least 250 and varies by 15%."""
SYNTHETIC, REAL = "synthetic", "real"
ATTEMPTS = 160                      # sites tried for one embolus,
PATIENCE = 20                       # of them one after the other on the same level
_FEWEST_VOXELS_ACROSS = 3.0         # calibre below which a filling defect cannot be drawn

# level, calibre from and to in mm, share of the emboli
LEVELS = (("main", 14.0, 40.0, 0.2), ("lobar", 8.0, 14.0, 0.3), ("segmental", 4.5, 8.0, 0.5))
# shape, share of the emboli, length in calibres from and to
SHAPES = (("central", 0.45, 1.2, 4.0), ("wall-adherent", 0.3, 1.0, 3.0),
          ("occlusive", 0.25, 1.0, 3.5))
NEVER = ("main", "occlusive")       # not survived long enough to be scanned
LENGTHS_MM = (6.0, 45.0)
SAME_VESSEL = (0.5, 1.45)           # calibres of branches, in that of the site, that it extends to


@dataclass(frozen=True)
class Embolus:
    """One filling defect."""

    voxels: np.ndarray      # (n, 3) int32, z, y, x; 26-connected, inside the arteries
    kind: str               # level and shape
    shape: str              # SYNTHETIC or REAL
    calibre_mm: float       # of the artery at its site
    hu: float


def mask(emboli: list[Embolus], shape: tuple[int, ...]) -> np.ndarray:
    """(z, y, x) int32: 0 outside, 1..n in the order of the list."""
    ids = np.zeros(shape, np.int32)
    for number, embolus in enumerate(emboli, start=1):
        ids[tuple(embolus.voxels.T)] = number
    return ids


def place(anatomy: Anatomy, count: int, rng: np.random.Generator) -> list[Embolus]:
    """`count` synthetic emboli, fewer where the arteries have no room for more."""
    return place_by(anatomy, count, lambda level, shape, _: synthetic(anatomy, level, shape, rng),
                    rng)


def place_by(anatomy: Anatomy, count: int, make: Callable[[str, str, int], Optional[Embolus]],
             rng: np.random.Generator) -> list[Embolus]:
    """`count` emboli of drawn levels and shapes, or fewer, apart from each other.

    `make` gets level, shape and the number of the attempt, and gives None where it fails.
    """
    placed: list[Embolus] = []
    taken = np.zeros(anatomy.labels.shape, bool)
    for _ in range(count):
        level, shape = _draw_kind(rng)
        for attempt in range(ATTEMPTS):
            if attempt and attempt % PATIENCE == 0:
                level, shape = _draw_kind(rng)
            embolus = make(level, shape, attempt)
            if embolus is not None and claim(taken, embolus.voxels):
                placed.append(embolus)
                break
    return placed


def _draw_kind(rng: np.random.Generator) -> tuple[str, str]:
    """A level and a shape by their shares."""
    level = LEVELS[rng.choice(len(LEVELS), p=[share for *_, share in LEVELS])][0]
    shares = np.array([0.0 if (level, name) == NEVER else share for name, share, _, _ in SHAPES])
    return level, SHAPES[rng.choice(len(SHAPES), p=shares / shares.sum())][0]


def draw_site(anatomy: Anatomy, level: str, rng: np.random.Generator) -> Optional[int]:
    """A point of the centreline on a level; None when there is none."""
    line = anatomy.arteries
    low, high = next((low, high) for name, low, high, _ in LEVELS if name == level)
    calibre = 2 * line.radius_mm
    wide = max(low, _FEWEST_VOXELS_ACROSS * max(anatomy.spacing_mm))
    extent = np.array(anatomy.spacing_mm) * (np.array(anatomy.labels.shape) - 1)
    inside = np.all((line.points_mm > 4) & (line.points_mm < extent - 4), axis=1)
    sites = np.flatnonzero((calibre >= wide) & (calibre < high) & inside)
    return int(rng.choice(sites)) if len(sites) else None


def synthetic(anatomy: Anatomy, level: str, shape: str, rng: np.random.Generator
              ) -> Optional[Embolus]:
    """An embolus at a random site of a level; None where it does not fit."""
    site = draw_site(anatomy, level, rng)
    if site is None:
        return None
    line, spacing = anatomy.arteries, np.array(anatomy.spacing_mm)
    centre, calibre = line.points_mm[site], float(2 * line.radius_mm[site])
    shortest, longest = next(lengths for name, _, *lengths in SHAPES if name == shape)
    length = float(np.clip(calibre * rng.uniform(shortest, longest), *LENGTHS_MM))
    reach = length / 2 + calibre
    where = box(centre - reach, centre + reach, anatomy.labels.shape, anatomy.spacing_mm)
    if where is None:
        return None
    corner = np.array([part.start for part in where])
    voxels = np.argwhere(anatomy.labels[where] == ARTERY) + corner
    inside = _shape(shape, voxels * spacing, line, site, length, rng)
    voxels = connected(voxels[inside], centre / spacing)
    if not large_enough(voxels, anatomy):
        return None
    return Embolus(voxels, f"{level} {shape}", SYNTHETIC, calibre, rng.uniform(*EMBOLUS_HU))


def _shape(shape: str, points_mm: np.ndarray, line: Centreline, site: int, length_mm: float,
           rng: np.random.Generator) -> np.ndarray:
    """bool (n,): which points lie in the embolus."""
    centre, tangent = line.points_mm[site], line.tangent[site]
    near = np.flatnonzero(np.linalg.norm(line.points_mm - centre, axis=1)
                          < length_mm / 2 + 4 * line.radius_mm[site])
    nearest = near[cKDTree(line.points_mm[near]).query(points_mm)[1]]
    calibre = line.radius_mm[nearest] / line.radius_mm[site]
    same = (calibre > SAME_VESSEL[0]) & (calibre < SAME_VESSEL[1])
    radius = np.maximum(line.radius_mm[nearest], 1e-3)
    across = (points_mm - line.points_mm[nearest]) / radius[:, None]
    along = 2 * ((points_mm - centre) @ tangent) / length_mm
    side = np.cross(tangent, rng.standard_normal(3))
    side /= np.linalg.norm(side)
    # Lumps: a few waves around and along the clot.
    phase = rng.uniform(0, 2 * np.pi, 3)
    other = np.cross(tangent, side)
    angle = np.arctan2(across @ other, across @ side)
    lumps = 1 + 0.12 * (np.sin(2 * angle + phase[0]) + np.sin(4 * along + phase[1])
                        + np.sin(3 * angle + 5 * along + phase[2]))
    if shape == "central":
        off = across - rng.uniform(0, 0.15) * side
        thickness = rng.uniform(0.5, 0.72)
        return np.asarray(same & ((np.linalg.norm(off, axis=1) / (thickness * lumps)) ** 2
                                  + np.abs(along) ** 3 < 1))
    if shape == "wall-adherent":
        start = rng.uniform(-0.1, 0.3)
        return np.asarray(same & (across @ side > start * lumps + (1.1 - start) * along ** 2))
    return np.asarray(same & (along ** 2 + 0.25 * (across * across).sum(axis=1) * lumps < 1))


def connected(voxels: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """Of voxels (n, 3) the 26-connected part nearest to a place (in voxels), sorted, int32."""
    if not len(voxels):
        return np.zeros((0, 3), np.int32)
    corner = voxels.min(axis=0)
    grid = np.zeros(np.ptp(voxels, axis=0) + 1, bool)
    grid[tuple((voxels - corner).T)] = True
    parts, _ = ndimage.label(grid, np.ones((3, 3, 3)))
    nearest = voxels[np.argmin(((voxels - centre) ** 2).sum(axis=1))] - corner
    return np.asarray(np.argwhere(parts == parts[tuple(nearest)]) + corner, np.int32)


def large_enough(voxels: np.ndarray, anatomy: Anatomy) -> bool:
    """Whether an embolus has at least SMALLEST_MM3 and FEWEST_VOXELS."""
    volume = len(voxels) * float(np.prod(anatomy.spacing_mm))
    return len(voxels) >= FEWEST_VOXELS and volume >= SMALLEST_MM3


def claim(taken: np.ndarray, voxels: np.ndarray) -> bool:
    """Mark voxels and their surroundings as taken; False, and no mark, if one is already."""
    if taken[tuple(voxels.T)].any():
        return False
    low = np.maximum(voxels.min(axis=0) - APART_VOXELS, 0)
    where = tuple(slice(start, stop + APART_VOXELS + 1)
                  for start, stop in zip(low, voxels.max(axis=0)))
    grown = np.zeros(taken[where].shape, bool)
    grown[tuple((voxels - low).T)] = True
    taken[where] |= ndimage.binary_dilation(grown, np.ones((3, 3, 3)), APART_VOXELS)
    return True
