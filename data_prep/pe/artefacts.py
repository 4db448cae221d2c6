"""What the scanner adds: blur, noise, movement, streaks of dense contrast."""
from __future__ import annotations

import cv2
import numpy as np
from scipy import ndimage

from data_prep.pe.raster import Triple, axes_mm, axes_within, box, smooth_noise

NOISE_GRAIN_MM = 0.75
"""Gaussian sigma of the noise's grain: at 1.5 mm its neighbours correlate by 0.4, as in real CT."""
MOVING_MM = (5.0, 15.0)     # thickness of a slab blurred by breathing or heartbeat
SHIFT_MM = (1.0, 3.0)
STREAK_REACH_MM = 45.0


def blur(hu: np.ndarray, spacing_mm: Triple, in_plane_mm: float, across_mm: float) -> np.ndarray:
    """Gaussian point spread of the reconstruction: sigma within a slice and across slices."""
    sigma = (across_mm / spacing_mm[0], in_plane_mm / spacing_mm[1], in_plane_mm / spacing_mm[2])
    return np.asarray(ndimage.gaussian_filter(hu, sigma, truncate=3), np.float32)


def add_noise(hu: np.ndarray, spacing_mm: Triple, sd_hu: float, rng: np.random.Generator) -> None:
    """Add grainy noise of a given SD, in place."""
    grain = ndimage.gaussian_filter(rng.standard_normal(hu.shape, np.float32),
                                    [NOISE_GRAIN_MM / mm for mm in spacing_mm], truncate=3)
    grain *= np.float32(sd_hu) / grain.std()
    hu += grain


def move(hu: np.ndarray, spacing_mm: Triple, slabs: int, rng: np.random.Generator) -> None:
    """Blur some slabs of slices by a movement within the slice, in place.

    Half of them see two positions, which doubles every edge, half all positions between.
    """
    for _ in range(slabs):
        thick = max(1, int(rng.uniform(*MOVING_MM) / spacing_mm[0]))
        first = int(rng.integers(0, max(1, len(hu) - thick)))
        angle, size = rng.uniform(0, 2 * np.pi), rng.uniform(*SHIFT_MM)
        path = np.array([np.sin(angle) / spacing_mm[1], np.cos(angle) / spacing_mm[2]]) * size
        stops = (-0.5, 0.5) if rng.random() < 0.5 else np.linspace(-0.5, 0.5, 5)
        reach = int(np.ceil(np.abs(path).max() / 2)) + 1
        kernel = np.zeros((2 * reach + 1,) * 2, np.float32)
        for stop in stops:
            (row, column), (y, x) = divmod(reach + path * stop, 1)
            for dy, dx, share in ((0, 0, (1 - y) * (1 - x)), (0, 1, (1 - y) * x),
                                  (1, 0, y * (1 - x)), (1, 1, y * x)):
                kernel[int(row) + dy, int(column) + dx] += share / len(stops)
        for plane in hu[first:first + thick]:
            plane[...] = cv2.filter2D(plane, -1, kernel, borderType=cv2.BORDER_REPLICATE)


def add_streaks(hu: np.ndarray, spacing_mm: Triple, source_mm: np.ndarray, size_hu: float,
                rng: np.random.Generator) -> None:
    """Add rays, bright and dark, from a tube (2, 3) mm of dense contrast, in place."""
    (low, *start), (high, *end) = source_mm
    first = max(0, int(low / spacing_mm[0]))
    last = min(len(hu), int(high / spacing_mm[0]) + 1)
    if last <= first:
        return
    angles = 180
    # Rays last over a few slices; of each a random height around the circle.
    rays = ndimage.gaussian_filter(
        rng.standard_normal((last - first, angles)),
        (2.5 / spacing_mm[0], 1.5), mode=("nearest", "wrap"))
    rays = (rays / rays.std()).astype(np.float32)
    _, y, x = axes_mm(hu.shape, spacing_mm)
    for row, z in zip(rays, range(first, last)):
        share = (z * spacing_mm[0] - low) / (high - low)
        dy = y[0] - np.float32(start[0] + share * (end[0] - start[0]))
        dx = x[0] - np.float32(start[1] + share * (end[1] - start[1]))
        turn = (cv2.phase(*np.broadcast_arrays(dx, dy)) * np.float32(angles / (2 * np.pi)))
        distance = np.hypot(dy, dx)
        fade = np.exp(-distance / STREAK_REACH_MM) * np.clip(distance / 8, 0, 1)
        hu[z] += np.float32(size_hu) * row[turn.astype(np.int64) % angles] * fade


def lumen(shape: tuple[int, ...], spacing_mm: Triple, mean_hu: float, dips_mm: np.ndarray,
          rng: np.random.Generator) -> np.ndarray:
    """HU of contrast-filled blood: within 15% of the mean, and less where unmixed blood passes.

    `dips_mm`: (n, 3) centres of streams with up to 45% less contrast, soft-edged.
    """
    uneven = np.float32(0.05) * np.clip(smooth_noise(shape, spacing_mm, 50, rng), -3, 3)
    hu = np.float32(mean_hu) * (1 + uneven)
    for centre in dips_mm:
        size, depth = rng.uniform(3.5, 8), rng.uniform(0.25, 0.45)
        where = box(centre - 3 * size, centre + 3 * size, shape, spacing_mm)
        if where is not None:
            square = sum((axis - np.float32(middle)) ** 2
                         for axis, middle in zip(axes_within(where, spacing_mm), centre))
            hu[where] *= 1 - np.float32(depth) * np.exp(-square / np.float32(2 * size ** 2))
    return np.asarray(hu, np.float32)
