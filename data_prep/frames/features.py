"""Features of a frame for the handcrafted system: how much of it a few DCT coefficients miss.

The paper's comparison system has "local and global features pooled from the image reconstruction
error" (section IV-C); its patent (US 9,978,142) tells the way: a grid of cells, a transform of
each, the cell again from its dominant coefficients, the difference from what it was, a histogram.
Of a blurred or empty cell a few coefficients are all there is, of a sharp one they are not. All
numbers are ours.
"""
from __future__ import annotations

import cv2
import numpy as np
from scipy import fft

from data_prep.frames.degrade import field_of

CELL_PX = 16
DOMINANT = 32
"""Coefficients that a cell is rebuilt from: its mean, and so many of the largest magnitude."""
RIM_PX = 5
"""The field is taken to end so far inside of what `field_of` finds, which has its soft edge."""
BIN_EDGES = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
"""Of the histogram of the residual's magnitude, in grey levels of 255; the last bin is open."""
REGIONS = (2, 4)
"""Local histograms are of so many by so many regions of the frame."""

_BINS = [f"from_{low:g}" for low in (0.0, *BIN_EDGES)]
FEATURES = (*(f"global_{name}" for name in _BINS),
            *(f"{pool}_{count}x{count}_{name}" for count in REGIONS for pool in ("mean", "max")
              for name in _BINS))


def features(image: np.ndarray) -> np.ndarray:
    """float64 (len(FEATURES),) of a frame (h, w, 3) uint8 BGR, not smaller than a cell.

    Shares (0..1) of pixels by the magnitude of the residual: of the frame, and the mean and the
    maximum over regions of each bin's share. Only cells wholly in the endoscope's field count;
    where there is none, all do. Mirroring the frame changes nothing if what the cells leave over
    is even on both axes, nor does a brightness added to all of it, if nothing is clipped and the
    field stays.
    """
    cells = cells_of(cv2.cvtColor(image.astype(np.float32), cv2.COLOR_BGR2GRAY), CELL_PX)
    counts = histograms(cells - rebuilt(cells, DOMINANT))
    inside = cv2.erode(field_of(image).astype(np.uint8), np.ones((2 * RIM_PX + 1,) * 2, np.uint8),
                       borderValue=1)
    seen = cells_of(inside, CELL_PX).all((2, 3))
    if seen.any():
        counts[~seen] = 0
    pooled = [_share(counts)]
    for count in REGIONS:
        shares = np.array([_share(region) for region in regions(counts, count) if region.any()])
        pooled += [shares.mean(0), shares.max(0)]
    return np.concatenate(pooled)


def cells_of(plane: np.ndarray, side: int) -> np.ndarray:
    """(rows, columns, side, side): the plane's (h, w) cells, as many as fit in its middle."""
    rows, columns = (length // side for length in plane.shape)
    top, left = ((length % side) // 2 for length in plane.shape)
    middle = plane[top:top + rows * side, left:left + columns * side]
    return middle.reshape(rows, side, columns, side).swapaxes(1, 2)


def rebuilt(cells: np.ndarray, dominant: int) -> np.ndarray:
    """Cells (..., side, side) from the mean and the `dominant` largest of their other coefficients.

    The transform is the orthonormal DCT-II, so what is missed has the energy of the coefficients
    left out. The mean is kept whatever it is, so that brightness does not choose among the others.
    Of magnitudes equal but for rounding, as in drawings, more than so many may be kept.
    """
    coefficients = fft.dctn(cells, axes=(-2, -1), norm="ortho")
    size = np.abs(coefficients).reshape(*cells.shape[:-2], -1)
    size[..., 0] = np.inf
    limit = np.partition(size, -1 - dominant, axis=-1)[..., -1 - dominant, None, None]
    kept = np.where(size.reshape(cells.shape) >= limit, coefficients, 0)
    return np.asarray(fft.idctn(kept, axes=(-2, -1), norm="ortho"))


def histograms(residual: np.ndarray) -> np.ndarray:
    """(rows, columns, bins) pixels of each cell (rows, columns, side, side) by magnitude."""
    rows, columns, side, _ = residual.shape
    bins = len(BIN_EDGES) + 1
    level = np.searchsorted(np.array(BIN_EDGES, residual.dtype), np.abs(residual), side="right")
    level += np.arange(rows * columns).reshape(rows, columns, 1, 1) * bins
    return np.bincount(level.ravel(), minlength=rows * columns * bins).reshape(rows, columns, bins)


def regions(counts: np.ndarray, count: int) -> list[np.ndarray]:
    """The `count` by `count` regions of a grid (rows, columns, ...), which cover it evenly.

    Where the grid cannot be divided, neighbours share a row or column: no side is preferred.
    """
    rows, columns = (_spans(length, count) for length in counts.shape[:2])
    return [counts[row, column] for row in rows for column in columns]


def _spans(length: int, count: int) -> list[slice]:
    return [slice(part * length // count, -(-(part + 1) * length // count))
            for part in range(count)]


def _share(counts: np.ndarray) -> np.ndarray:
    total = counts.sum((0, 1), dtype=np.float64)
    return np.asarray(total / total.sum())
