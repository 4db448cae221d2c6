"""Texture of a plane of pixels: Haralick's measures of co-occurring levels, and wavelet energies.

The measures are those of Haralick, Shanmugam, Dinstein (IEEE SMC 3(6):610-621, 1973), computed by
scikit-image; the wavelets are PyWavelets'.
"""
from __future__ import annotations

from typing import Any

import numpy as np
import pywt
import skimage.feature

HARALICK = ("entropy", "energy", "contrast", "homogeneity", "correlation")
_NOTHING = np.array([0.0, 1.0, 0.0, 1.0, 1.0])  # the measures of a region of one level
_ANGLES = (0.0, np.pi / 4, np.pi / 2, 3 * np.pi / 4)

# scikit-image 0.19 respelt the names, 0.20 and later know only the new ones.
_grey: Any = skimage.feature
_matrix = getattr(_grey, "graycomatrix", None) or _grey.greycomatrix
_properties = getattr(_grey, "graycoprops", None) or _grey.greycoprops


def levels(image: np.ndarray, low: float, high: float, count: int) -> np.ndarray:
    """`image` clipped to low..high and cut into `count` levels of equal width, uint8."""
    scaled = (np.clip(image, low, high) - low) * (count / (high - low))
    return np.minimum(scaled, count - 1).astype(np.uint8)


def haralick(image: np.ndarray, region: np.ndarray | None, distance: int, count: int
             ) -> np.ndarray:
    """HARALICK of an image (h, w) of levels 0..count-1, averaged over four directions.

    Pairs of pixels `distance` apart at 0, 45, 90 and 135 degrees (scikit-image rounds the oblique
    ones to whole pixels), each counted both ways, both pixels inside `region` (bool (h, w); None
    is everywhere). Entropy is in bits, energy the root of the sum of squares, contrast in levels
    squared. A region without pairs counts as one of a single level: entropy 0, energy 1, contrast
    0, homogeneity 1, correlation 1. Mirroring the image and quarter turns change nothing.
    """
    inside = np.ones(image.shape, bool) if region is None else region
    shifted = np.where(inside, image + 1, 0).astype(np.uint8)  # level 0 is outside
    matrix = _matrix(shifted, [distance], _ANGLES, levels=count + 1, symmetric=True)[1:, 1:]
    total = matrix.sum(axis=(0, 1))[0]
    if not total.any():
        return _NOTHING.copy()
    matrix = matrix[:, :, :, total > 0]
    share = matrix / matrix.sum(axis=(0, 1))
    bits = -(share * np.log2(np.where(share > 0, share, 1.0))).sum(axis=(0, 1)).mean()
    return np.array([bits, *(_properties(matrix, name).mean() for name in HARALICK[1:])])


def wavelet_rms(image: np.ndarray, depth: int) -> np.ndarray:
    """(depth, 3) root mean square of the Haar details, finest first, in units of the image.

    Columns: change along the rows' index, along the columns' index, and diagonal. A step of
    height s between two halves of a block has a coefficient of s/2 at every depth. Sides must be
    multiples of 2**depth; then mirroring the image changes nothing.
    """
    details = pywt.wavedec2(image, "haar", level=depth)[:0:-1]
    return np.array([[np.sqrt(np.mean(np.square(band))) / 2 ** (step + 1) for band in bands]
                     for step, bands in enumerate(details)])
