"""How suspicious a cluster is: measures of it, weighted.

The weights are two logistic regressions' (scikit-learn, C 0.3), of clusters that hit an embolus
against those that do not, on training stand-ins: 36 phantoms and 18 semi-synthetic volumes of 10
anatomies.
"""
from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from data_prep.pe.lumen_scene import CLOT_HU, DIRECTIONS, Scene

SMALLEST_MM3 = 4.0
"""Smaller clusters are noise: 2 voxels of 1.25 mm."""
SHELL_VOXELS = 2
WEIGHTS = (
    # measure      lung field    between the lungs
    ("size",       0.65,         1.59),
    ("darkness",  -0.35,         4.38),
    ("mass",       0.21,        -0.04),
    ("enclosure",  4.33,        14.05),
    ("bright",    -4.74,         8.29),
    ("dark",       4.68,        11.12),
    ("tissue",    -4.41,       -29.98),
    ("depth",      2.74,         1.14),
)
OFFSETS = (-9.44, -2.13)
MEASURES = tuple(name for name, *_ in WEIGHTS)
MOST_SIZE, MOST_DARKNESS, MOST_EDGE_MM = 2.5, 1.3, 12.0


@dataclass(frozen=True)
class Measured:
    """Clusters large enough: their labels (n,), measures (n, len(MEASURES)) and whether most of
    each lies in the lung field (n,)."""

    labels: np.ndarray
    measures: np.ndarray
    in_field: np.ndarray


def measure(labels: np.ndarray, scene: Scene, spacing_mm: tuple[float, ...]) -> Measured:
    """Measures of labelled clusters (z, y, x), 0 where there is none.

    size: log10 of the volume in mm3; darkness: 0 as bright as the blood nearby, 1 a clot; mass:
    darkness times the square root of the volume, thus contrast over noise; enclosure: share of
    directions that lead to blood; bright, dark, tissue: of the shell of two voxels around; depth:
    distance from air in mm.
    """
    at = np.flatnonzero(labels)
    label = labels.ravel()[at]
    count = np.bincount(label, minlength=1)
    voxel_mm3 = math.prod(spacing_mm)
    chosen = np.flatnonzero(count * voxel_mm3 >= SMALLEST_MM3)
    chosen = chosen[chosen > 0]

    def mean(values: np.ndarray) -> np.ndarray:
        return np.bincount(label, values.ravel()[at], len(count))[chosen] / count[chosen]

    around = ndimage.maximum_filter(labels, 2 * SHELL_VOXELS + 1)
    around[labels > 0] = 0
    shell_at = np.flatnonzero(around)
    shell_label = around.ravel()[shell_at]
    shell = np.maximum(np.bincount(shell_label, minlength=len(count))[chosen], 1)

    def share(mask: np.ndarray) -> np.ndarray:
        return np.bincount(shell_label, mask.ravel()[shell_at], len(count))[chosen] / shell

    mm3 = count[chosen] * voxel_mm3
    # The limit is half way from clot to blood.
    darkness = 1 - (scene.surface - np.float32(CLOT_HU)) / (2 * (scene.limit - np.float32(CLOT_HU)))
    darkness = np.clip(mean(darkness), 0, MOST_DARKNESS)
    measures = np.stack([
        np.minimum(np.log10(mm3), MOST_SIZE), darkness,
        darkness * np.minimum(np.sqrt(mm3), MOST_EDGE_MM), mean(scene.enclosure) / DIRECTIONS,
        share(scene.bright), share(scene.dark), share(scene.tissue), mean(scene.depth_mm)], axis=1)
    return Measured(chosen, measures, mean(scene.field) > 0.5)


def score(measured: Measured) -> np.ndarray:
    """float64 (n,): log odds of a hit, up to a constant."""
    in_field, between = (measured.measures @ [row[column] for row in WEIGHTS]
                         + OFFSETS[column - 1] for column in (1, 2))
    return np.where(measured.in_field, in_field, between)
