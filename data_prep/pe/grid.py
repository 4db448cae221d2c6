"""Where voxels lie in the patient: axes turned to left, back and head without resampling.

Positions are DICOM's (LPS: x to the left, y to the back, z to the head, mm). NIfTI's are RAS and
are converted here.
"""
from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from nibabel import orientations

from layerwise.errors import InputError

# Axes count as perpendicular, or as equal, up to this sine (0.57 degrees).
MAX_SINE = 0.01
SPACING_RANGE_MM = (0.1, 10.0)
_SPACING_TOLERANCE = 0.01
_RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


@dataclass(frozen=True)
class Grid:
    """Voxels of an array (z, y, x) in the patient."""

    shape: tuple[int, int, int]
    affine: np.ndarray          # (4, 4) from the index (x, y, z, 1) to mm, LPS

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Distances of neighbours, z, y, x."""
        x, y, z = np.linalg.norm(self.affine[:3, :3], axis=0)
        return float(z), float(y), float(x)


def plain_affine(spacing_mm: tuple[float, float, float]) -> np.ndarray:
    """(4, 4) from the index (x, y, z, 1) to mm, RAS: axes LPS, first voxel at the origin."""
    return _RAS_TO_LPS @ np.diag([*spacing_mm[::-1], 1.0])


def lps_to_ras(affine: np.ndarray) -> np.ndarray:
    """The same map (4, 4) with its positions in RAS."""
    return _RAS_TO_LPS @ affine


def straighten(path: Path, stored: np.ndarray, ras: np.ndarray) -> tuple[np.ndarray, Grid]:
    """A view (z, y, x) of `stored` (i, j, k) whose axes are the closest to LPS, and its grid.

    `ras` (4, 4) maps the index (i, j, k, 1) to mm, RAS. Axes are permuted and reversed, nothing is
    resampled: an oblique volume stays oblique and its grid says so. Raises InputError for an array
    that is not three-dimensional, no or implausible geometry and axes not at right angles.
    """
    if stored.ndim != 3 or min(stored.shape) < 2:
        size = "x".join(str(length) for length in stored.shape)
        raise InputError(f"{path}: array of {size}, expected one three-dimensional volume; "
                         "store one time point and channel")
    _check_axes(path, ras)
    turn = orientations.ornt_transform(orientations.io_orientation(ras),
                                       orientations.axcodes2ornt("LPS"))
    turned = orientations.apply_orientation(stored, turn)
    affine = _RAS_TO_LPS @ ras @ orientations.inv_ornt_aff(turn, stored.shape)
    depth, height, width = turned.shape[::-1]
    return turned.transpose(2, 1, 0), Grid((depth, height, width), affine)


def check_same(path: Path, grid: Grid, volume: Grid) -> None:
    """InputError unless a mask has the volume's shape, spacing, axes and position.

    Tolerances: 1% of spacing, 0.57 degrees, half of the smallest spacing for the first voxel.
    """
    check_shape(path, grid.shape, volume.shape)
    ours, theirs = np.array(grid.spacing_mm), np.array(volume.spacing_mm)
    if np.any(np.abs(ours - theirs) > _SPACING_TOLERANCE * theirs):
        raise InputError(f"{path}: voxels of {_by(grid.spacing_mm)} mm (z, y, x) but the volume's "
                         f"are {_by(volume.spacing_mm)} mm; they must agree")
    turned = np.linalg.norm(_directions(grid.affine) - _directions(volume.affine), axis=0)
    if np.any(turned > MAX_SINE):
        raise InputError(f"{path}: its axes point elsewhere than the volume's; "
                         "store the mask on the volume's own grid")
    shift = float(np.linalg.norm(grid.affine[:3, 3] - volume.affine[:3, 3]))
    if shift > 0.5 * theirs.min():
        raise InputError(f"{path}: lies {shift:.1f} mm from the volume; "
                         "store the mask on the volume's own grid")


def check_shape(path: Path, shape: tuple[int, int, int], wanted: tuple[int, int, int]) -> None:
    """InputError unless a mask has as many voxels along every axis as its volume."""
    if shape != wanted:
        raise InputError(f"{path}: mask of {'x'.join(map(str, shape))} voxels (z, y, x) but the "
                         f"volume has {'x'.join(map(str, wanted))}; they must agree")


def _by(spacing_mm: tuple[float, float, float]) -> str:
    return " x ".join(f"{value:.3g}" for value in spacing_mm)


def _directions(affine: np.ndarray) -> np.ndarray:
    axes = affine[:3, :3]
    return np.asarray(axes / np.linalg.norm(axes, axis=0))


def _check_axes(path: Path, affine: np.ndarray) -> None:
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    if not np.isfinite(affine).all() or not spacing.all():
        raise InputError(f"{path}: no geometry (a voxel size is zero or not a number); "
                         "export it again with its voxel sizes")
    low, high = SPACING_RANGE_MM
    if spacing.min() < low or spacing.max() > high:
        raise InputError(f"{path}: voxels of {_by(tuple(spacing))} mm, expected {low} to {high}; "
                         "correct the geometry, which must be in mm")
    axes = _directions(affine)
    if np.abs(axes.T @ axes - np.eye(3)).max() > MAX_SINE:
        raise InputError(f"{path}: sheared (its axes are not at right angles, as after gantry "
                         "tilt); resample it to a straight grid")
