"""From confidence maps to interfaces, thickness and error (paper, section IV-D).

The row of maximum confidence of each column gives a step-like line; an open snake started from it
becomes the interface. The paper gives no energy, so this one is ours. For an interface y(x), one
row per column, in pixels,

    E(y) = sum over columns of  ALPHA/2 (y')^2 + BETA/2 (y'')^2 - P(x, y)

with P the confidence map smoothed along its columns by a Gaussian of SIGMA_PX. It is minimised
semi-implicitly: (I + TAU (ALPHA D2 + BETA D4)) y_new = y + TAU dP/dy, where D2 and D4 are the
products of the first and second difference matrices with their transposes, so that the ends are
free (natural boundary conditions).

The interfaces are traced independently of each other, as in the paper: they may cross.
"""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import solveh_banded
from scipy.ndimage import gaussian_filter1d, map_coordinates

ALPHA = 0.1
BETA = 500.0
TAU = 4.0
SIGMA_PX = 1.0
ITERATIONS = 300
SETTLED_PX = 1e-4          # no column moves farther in the last iteration


@dataclass(frozen=True)
class Lines:
    """Both interfaces of a region: lumen-intima first, then media-adventitia.

    Attributes:
        steps: (2, columns) int64, rows of maximum confidence.
        rows: (2, columns) float64, the snakes; row 0 is the centre of the first pixel.
        missing: (2, columns) bool, where the interface is nowhere more likely than by chance; the
            snake crosses such columns by its stiffness alone.
    """

    steps: np.ndarray
    rows: np.ndarray
    missing: np.ndarray

    @property
    def crossing(self) -> np.ndarray:
        """(columns,) bool: where the intima-media thickness is not positive."""
        return self.rows[1] <= self.rows[0]


def trace(maps: np.ndarray) -> Lines:
    """Both interfaces from confidence maps (3, rows, columns): background and the interfaces."""
    confidence = maps[1:].astype(np.float64)
    found = steps(maps)
    missing = confidence.max(axis=1) <= 1 / len(maps)
    lines = [snake(np.where(gaps, 0.0, one), _bridged(start, gaps))
             for one, start, gaps in zip(confidence, found, missing)]
    return Lines(found, np.stack(lines), missing)


def steps(maps: np.ndarray) -> np.ndarray:
    """(2, columns) int64: per column the row of each interface's maximum, the upper of equals."""
    return np.argmax(maps[1:], axis=1)


def snake(confidence: np.ndarray, start: np.ndarray) -> np.ndarray:
    """(columns,) float64 rows of an open snake that has settled, within the map.

    Args:
        confidence: (rows, columns) map of one interface.
        start: (columns,) rows to start from.
    """
    rows, columns = confidence.shape
    force = gaussian_filter1d(confidence.astype(np.float64), SIGMA_PX, axis=0, order=1,
                              mode="nearest")
    bands = TAU * _stiffness(columns)
    bands[-1] += 1
    across = np.arange(columns)
    line = start.astype(np.float64)
    for _ in range(ITERATIONS):
        push = map_coordinates(force, [line, across], order=1, mode="nearest")
        moved = np.clip(solveh_banded(bands, line + TAU * push), 0, rows - 1)
        settled = np.abs(moved - line).max() < SETTLED_PX
        line = moved
        if settled:
            break
    return line


def thickness_um(lines: Lines, pixel_um: float) -> float:
    """Mean vertical distance of the interfaces over the columns where both were seen.

    NaN when there is none.
    """
    seen = ~lines.missing.any(axis=0)
    return float((lines.rows[1] - lines.rows[0])[seen].mean() * pixel_um) if seen.any() \
        else float("nan")


def error_um(rows: np.ndarray, truth: np.ndarray, pixel_um: float) -> np.ndarray:
    """(2,) mean vertical distance of traced from annotated rows (2, columns), over all columns."""
    return np.abs(rows - truth).mean(axis=1) * pixel_um


def _bridged(start: np.ndarray, gaps: np.ndarray) -> np.ndarray:
    """Rows interpolated over gaps; as they are when there is nothing but gaps."""
    across = np.arange(len(start))
    return start if gaps.all() else np.interp(across, across[~gaps], start[~gaps])


def _stiffness(columns: int) -> np.ndarray:
    """(3, columns): ALPHA D2 + BETA D4 in the upper form of `solveh_banded`."""
    bands = np.zeros((3, columns))
    for weight, stencil in ((ALPHA, (-1.0, 1.0)), (BETA, (1.0, -2.0, 1.0))):
        for first in range(columns - len(stencil) + 1):
            for i, left in enumerate(stencil):
                for j, right in enumerate(stencil[i:], start=i):
                    bands[2 - (j - i), first + j] += weight * left * right
    return bands
