"""Analytic vessels of any direction and spacing, with clots whose place is known exactly."""
from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from data_prep.pe.volume import Volume

LUNG, LUMEN, CLOT = -850.0, 350.0, 50.0
EDGE_MM = 0.25
Depth = Callable[[np.ndarray], np.ndarray]  # mm inside (positive) of points (..., 3) in mm


@dataclass(frozen=True)
class Scene:
    """Vessels about `centre_mm`; vessels and clot are what a segmentation would find."""

    volume: Volume
    vessels: np.ndarray
    clot: np.ndarray
    centre_mm: np.ndarray


def unit(values: Sequence[float] | np.ndarray) -> np.ndarray:
    return np.asarray(values, float) / np.linalg.norm(values)


def across(axis: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A random unit vector at right angles to the axis."""
    return unit(np.cross(axis, rng.normal(size=3)))


def tube(axis: np.ndarray, radius_mm: float, start: float = -np.inf, end: float = np.inf,
         through: Sequence[float] | np.ndarray = (0, 0, 0)) -> Depth:
    """A cylinder cut off at two places along its axis, mm from `through`."""
    def depth(points: np.ndarray) -> np.ndarray:
        offset = points - np.asarray(through)
        along = offset @ axis
        distance = np.sqrt(np.maximum((offset ** 2).sum(axis=-1) - along ** 2, 0))
        return np.minimum(radius_mm - distance, np.minimum(along - start, end - along))
    return depth


def ball(radius_mm: float, centre: Sequence[float] | np.ndarray = (0, 0, 0)) -> Depth:
    return lambda points: radius_mm - np.linalg.norm(points - np.asarray(centre), axis=-1)


def paint(vessels: Sequence[Depth], clot: Depth, spacing_mm: tuple[float, float, float],
          half_mm: float = 20.0, shift_mm: Sequence[float] | np.ndarray = (0, 0, 0)) -> Scene:
    """A volume of 2 half_mm a side whose middle, moved by shift_mm, is the shapes' origin."""
    spacing = np.asarray(spacing_mm)
    shape = np.round(2 * half_mm / spacing).astype(int) + 1
    centre_mm = (shape - 1) / 2 * spacing + np.asarray(shift_mm)
    points = np.moveaxis(np.indices(shape), 0, -1) * spacing - centre_mm
    inside = np.max([depth(points) for depth in vessels], axis=0)
    within = clot(points)
    lumen = 1 / (1 + np.exp(-np.clip(inside / EDGE_MM, -40, 40)))
    clotted = 1 / (1 + np.exp(-np.clip(within / EDGE_MM, -40, 40)))
    hu = LUNG + lumen * (LUMEN - LUNG + clotted * (CLOT - LUMEN))
    found = (hu < 150) & (within > 0) & (inside > 0.3)
    return Scene(Volume(np.rint(hu).astype(np.int16), spacing_mm), hu > 100, found, centre_mm)


def angle_degrees(first: np.ndarray, second: np.ndarray) -> float:
    """Between two lines, 0 to 90."""
    return float(np.rad2deg(np.arccos(min(1.0, abs(float(first @ second))))))
