"""Emboli with the shapes of real clots: turned along an artery, and cut to its lumen."""
from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Optional

import numpy as np
from scipy import ndimage

from data_prep.pe import nifti
from data_prep.pe.anatomy import ARTERY, Anatomy
from data_prep.pe.emboli import (
    EMBOLUS_HU,
    REAL,
    Embolus,
    connected,
    draw_site,
    large_enough,
    place_by,
    synthetic,
)
from data_prep.pe.grid import straighten
from data_prep.pe.raster import box
from layerwise.errors import InputError

FILLING = (0.45, 1.25)      # thickness of a clot in calibres of the artery it is put into
SMALLEST_KEPT = 0.5         # share of the clot's volume that must lie in the lumen
REAL_ATTEMPTS = 80          # sites tried before a synthetic shape is taken
ROLLS = 6                   # turns about the artery that are tried


@dataclass(frozen=True)
class Clot:
    """The shape of a real clot. Vectors are (z, y, x) in mm from the centre of the first voxel."""

    name: str
    mask: np.ndarray            # bool (z, y, x)
    spacing_mm: np.ndarray      # (3,)
    centre_mm: np.ndarray       # (3,), where it is thickest
    axis: np.ndarray            # (3,), its longest direction
    thickness_mm: float
    reach_mm: float             # largest distance from the centre


def read_clots(folder: Path) -> list[Clot]:
    """The clots of a folder of NIfTI masks, by name. InputError when there are none."""
    paths = sorted(path for path in folder.glob("*") if path.name.endswith(nifti.SUFFIXES))
    if not paths:
        raise InputError(f"{folder}: no masks of clots (.nii or .nii.gz)")
    return [_read_clot(path) for path in paths]


def dealt(clots: list[Clot]) -> tuple[list[Clot], list[Clot]]:
    """The clots in two halves, all of one patient (the name up to its first `_`) in one of them.

    The patients with most clots come first, each to the half that has fewer.
    """
    patients: dict[str, list[Clot]] = {}
    for clot in clots:
        patients.setdefault(clot.name.split("_")[0], []).append(clot)
    halves: tuple[list[Clot], list[Clot]] = ([], [])
    for own in sorted(patients.values(), key=len, reverse=True):
        min(halves, key=len).extend(own)
    return halves


def _read_clot(path: Path) -> Clot:
    stored = nifti.read(path)
    turned, grid = straighten(path, stored.values, stored.ras)
    mask = turned > 0
    if not mask.any():
        raise InputError(f"{path}: an empty mask; remove the file")
    spacing = np.array(grid.spacing_mm)
    points = np.argwhere(mask) * spacing
    depth = ndimage.distance_transform_edt(np.pad(mask, 1), spacing)[1:-1, 1:-1, 1:-1]
    centre = np.array(np.unravel_index(np.argmax(depth), mask.shape)) * spacing
    spread = points - points.mean(axis=0)
    return Clot(path.name.split(".")[0], mask, spacing, centre,
                np.linalg.eigh(spread.T @ spread)[1][:, -1], 2 * float(depth.max()),
                float(np.linalg.norm(points - centre, axis=1).max()) + float(spacing.max()))


def place_clots(anatomy: Anatomy, clots: list[Clot], count: int, rng: np.random.Generator
                ) -> list[Embolus]:
    """`count` emboli of the shapes of `clots`; synthetic ones instead where none fits.

    Fewer where the arteries have no room for more.
    """
    def make(level: str, shape: str, attempt: int) -> Optional[Embolus]:
        return fitted(anatomy, clots, level, rng) if clots and attempt < REAL_ATTEMPTS \
            else synthetic(anatomy, level, shape, rng)

    return place_by(anatomy, count, make, rng)


def fitted(anatomy: Anatomy, clots: list[Clot], level: str, rng: np.random.Generator
           ) -> Optional[Embolus]:
    """One of the clots in an artery of its calibre; None when the site and the clot do not fit."""
    site = draw_site(anatomy, level, rng)
    if site is None:
        return None
    line = anatomy.arteries
    centre, tangent, calibre = (line.points_mm[site], line.tangent[site],
                                float(2 * line.radius_mm[site]))
    fitting = [clot for clot in clots
               if FILLING[0] * calibre < clot.thickness_mm < FILLING[1] * calibre]
    if not fitting:
        return None
    clot = fitting[int(rng.integers(len(fitting)))]
    where = box(centre - clot.reach_mm, centre + clot.reach_mm, anatomy.labels.shape,
                anatomy.spacing_mm)
    if where is None:
        return None
    voxels = np.argwhere(anatomy.labels[where] == ARTERY) + [part.start for part in where]
    away = voxels * np.array(anatomy.spacing_mm) - centre
    along = tangent * rng.choice([-1, 1])
    inside = max((_inside(clot, away @ _turn(along, clot.axis, angle).T)
                  for angle in rng.uniform(0, 2 * np.pi, ROLLS)), key=np.count_nonzero)
    kept = connected(voxels[inside], centre / anatomy.spacing_mm)
    share = len(kept) * np.prod(anatomy.spacing_mm) / (clot.mask.sum() * np.prod(clot.spacing_mm))
    if share < SMALLEST_KEPT or not large_enough(kept, anatomy):
        return None
    return Embolus(kept, f"{level} clot", f"{REAL} {clot.name}", calibre,
                   rng.uniform(*EMBOLUS_HU))


def _inside(clot: Clot, away_mm: np.ndarray) -> np.ndarray:
    """bool (n,): which points, (n, 3) mm from its centre, lie in the clot."""
    index = np.rint((away_mm + clot.centre_mm) / clot.spacing_mm).astype(np.int64)
    within = np.all((index >= 0) & (index < clot.mask.shape), axis=1)
    found = np.zeros(len(index), bool)
    found[within] = clot.mask[tuple(index[within].T)]
    return found


def _turn(source: np.ndarray, target: np.ndarray, angle: float) -> np.ndarray:
    """(3, 3) rotation that takes the unit vector `source` to `target`, by any angle about it."""
    def frame(axis: np.ndarray) -> np.ndarray:
        side = np.cross(axis, np.eye(3)[np.argmin(np.abs(axis))])
        side /= np.linalg.norm(side)
        return np.stack([axis, side, np.cross(axis, side)])

    roll = np.array([[1, 0, 0], [0, np.cos(angle), -np.sin(angle)],
                     [0, np.sin(angle), np.cos(angle)]])
    return np.asarray(frame(target).T @ roll @ frame(source))
