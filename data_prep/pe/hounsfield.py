"""Stored values to Hounsfield units, and whether they can be a chest CT at all."""
from __future__ import annotations

from pathlib import Path

import numpy as np

from layerwise.errors import InputError

# The range of a 12-bit scanner. Below it lies only padding around the reconstructed circle, above
# it only metal; extended scales (to 30000 HU) would make a volume's range depend on its scanner.
HU_RANGE = (-1024, 3071)
# A chest has lungs or air below this and tissue above.
AIR_BELOW_HU = -300


def to_hu(path: Path, stored: np.ndarray, slope: float, intercept: float) -> np.ndarray:
    """stored * slope + intercept, rounded and clipped to HU_RANGE, int16 of the same shape.

    `stored` is any array (planes, rows, columns) of numbers and is overwritten where it is int16
    and contiguous, so that a large volume is held once. Raises InputError for NaN or infinity.
    """
    reusable = stored.dtype == np.int16 and stored.flags.c_contiguous and stored.flags.writeable
    hu = stored if reusable else np.empty(stored.shape, np.int16)
    for plane, values in zip(hu, stored):
        scaled = values * np.float64(slope) + intercept
        if not np.isfinite(scaled).all():
            raise InputError(f"{path}: holds NaN or infinity; replace those voxels "
                             f"(outside the field of view: {HU_RANGE[0]} HU)")
        plane[...] = np.rint(scaled).clip(*HU_RANGE)
    return hu


def check_chest(path: Path, hu: np.ndarray) -> None:
    """InputError for a constant volume, one of air alone and one without any air or lung."""
    low, high = int(hu.min()), int(hu.max())
    if low == high:
        raise InputError(f"{path}: every voxel is {low} HU; replace this empty volume")
    if high < AIR_BELOW_HU:
        raise InputError(f"{path}: only air ({low} to {high} HU); replace this empty volume")
    if low >= AIR_BELOW_HU:
        raise InputError(f"{path}: values from {low} to {high} and so no air or lung; store "
                         "Hounsfield units (is the rescale intercept missing?)")
