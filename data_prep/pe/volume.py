"""CT volumes in Hounsfield units and masks of their emboli, from any orientation."""
from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Optional

import numpy as np
from scipy import ndimage

from data_prep.pe import dicom, nifti
from data_prep.pe.grid import Grid, check_same, check_shape, plain_affine, straighten
from data_prep.pe.hounsfield import check_chest, to_hu
from layerwise.errors import InputError


@dataclass(frozen=True)
class Volume:
    """Voxels (z, y, x), axes to the patient's head, back and left (exactly or the closest)."""

    hu: np.ndarray                              # (z, y, x) int16, Hounsfield units
    spacing_mm: tuple[float, float, float]      # z, y, x


def read_volume(path: Path) -> Volume:
    """A NIfTI file or the folder of one DICOM series, by the rules of `read_on_grid`."""
    return read_on_grid(path)[0]


def read_on_grid(path: Path) -> tuple[Volume, Grid]:
    """A volume and where it lies in the patient.

    Axes are permuted and reversed to the closest of LPS, never resampled; values are clipped to
    `hounsfield.HU_RANGE`. Raises InputError naming the file for anything that is not one readable
    chest CT with geometry at right angles: see `nifti`, `dicom`, `grid` and `hounsfield`.
    """
    if path.is_dir():
        stack, ras = dicom.read_series(path)
        turned, grid = straighten(path, stack, ras)
        hu = np.ascontiguousarray(turned)
    else:
        stored = nifti.read(path)
        turned, grid = straighten(path, stored.values, stored.ras)
        hu = to_hu(path, turned, stored.slope, stored.intercept)
    check_chest(path, hu)
    return Volume(hu, grid.spacing_mm), grid


def read_emboli(path: Path, shape: tuple[int, int, int], grid: Optional[Grid] = None) -> np.ndarray:
    """(z, y, x) int32: 0 outside, 1..n inside the unique emboli of a mask in NIfTI.

    More than one distinct positive value: these are instance ids, renumbered in ascending order.
    One: a mask, whose 26-connected components are the emboli, numbered in order of (z, y, x). A
    file with the intent "label" (as `write_emboli` writes) holds ids however many there are.
    Raises InputError for another shape than the volume's, another grid where `grid` is given, and
    values that are negative or no whole numbers.
    """
    stored = nifti.read(path)
    turned, own = straighten(path, stored.values, stored.ras)
    if grid is None:
        check_shape(path, own.shape, shape)
    else:
        check_same(path, own, grid)
    if (stored.slope, stored.intercept) != (1.0, 0.0):
        turned = turned * stored.slope + stored.intercept
    inside = turned != 0
    values = turned[inside]
    # NaN fails the comparison too.
    if not np.all(values > 0) or not np.all(values == np.rint(values)) or np.isinf(values).any():
        raise InputError(f"{path}: holds values that are negative or no whole numbers; a mask of "
                         "emboli is 0 outside and 1, or the number of the embolus, inside")
    ids, numbers = np.unique(values, return_inverse=True)
    if len(ids) == 1 and stored.intent != "label":
        return np.asarray(ndimage.label(inside, np.ones((3, 3, 3)))[0], np.int32)
    emboli = np.zeros(turned.shape, np.int32)
    emboli[inside] = numbers + 1
    return emboli


def write_volume(path: Path, volume: Volume) -> None:
    """Write .nii.gz atomically, axes exactly LPS and the first voxel at the origin."""
    nifti.write(path, volume.hu.transpose(2, 1, 0), plain_affine(volume.spacing_mm))


def write_emboli(path: Path, emboli: np.ndarray, spacing_mm: tuple[float, float, float]) -> None:
    """Write ids (z, y, x), 0 outside, on the grid of `write_volume`, in the smallest type."""
    ids = emboli.astype(np.min_scalar_type(int(emboli.max())))
    nifti.write(path, ids.transpose(2, 1, 0), plain_affine(spacing_mm), intent="label")
