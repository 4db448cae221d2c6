"""Smooth shapes on a grid of voxels: tubes, ellipsoids, fields; how much of a voxel they fill."""
from __future__ import annotations

import itertools
from typing import Optional

import numpy as np

from data_prep.pe.trees import Tree, samples

Triple = tuple[float, float, float]
SPLAT_VOXELS = 3.0      # tubes up to this radius are painted all together, larger ones one by one


def axes_mm(shape: tuple[int, ...], spacing_mm: Triple) -> list[np.ndarray]:
    """Voxel centres along z, y and x in mm as float32 that broadcast to `shape`."""
    return axes_within(tuple(slice(0, length) for length in shape), spacing_mm)


def axes_within(where: tuple[slice, ...], spacing_mm: Triple) -> list[np.ndarray]:
    """As `axes_mm`, of a part of the grid."""
    return [(np.arange(part.start, part.stop, dtype=np.float32) * np.float32(mm)).reshape(
        [-1 if axis == other else 1 for other in range(3)])
        for axis, (part, mm) in enumerate(zip(where, spacing_mm))]


def stretch(coarse: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Trilinear float32 field of `shape` whose corners are those of `coarse`.

    As one product with a matrix of weights per axis, which takes a tenth of the time of sampling
    point by point.
    """
    field = coarse.astype(np.float32)
    for axis, length in enumerate(shape):
        place = np.linspace(0, field.shape[axis] - 1, length)
        low = np.minimum(place.astype(np.int64), max(field.shape[axis] - 2, 0))
        weights = np.zeros((length, field.shape[axis]), np.float32)
        weights[np.arange(length), low] = 1 - (place - low)
        if field.shape[axis] > 1:
            weights[np.arange(length), low + 1] = place - low
        field = np.moveaxis(np.tensordot(weights, field, (1, axis)), 0, axis)
    return np.ascontiguousarray(field)


def smooth_noise(shape: tuple[int, ...], spacing_mm: Triple, scale_mm: float,
                 rng: np.random.Generator) -> np.ndarray:
    """float32 field of `shape`, mean near 0 and SD near 0.6, that varies over about `scale_mm`."""
    knots = [max(2, int(np.ceil(length * mm / scale_mm)) + 1)
             for length, mm in zip(shape, spacing_mm)]
    return stretch(rng.standard_normal(knots, np.float32), shape)


def box(low_mm: np.ndarray, high_mm: np.ndarray, shape: tuple[int, ...],
        spacing_mm: Triple) -> Optional[tuple[slice, ...]]:
    """Slices of the voxels between two corners, None when there are none."""
    slices = tuple(slice(max(0, int(np.floor(low / mm))), min(length, int(np.ceil(high / mm)) + 1))
                   for low, high, length, mm in zip(low_mm, high_mm, shape, spacing_mm))
    return slices if all(part.start < part.stop for part in slices) else None


def ellipsoid(shape: tuple[int, ...], spacing_mm: Triple, centre_mm: np.ndarray,
              radii_mm: np.ndarray) -> Optional[tuple[tuple[slice, ...], np.ndarray]]:
    """Where an ellipsoid lies and what share of each voxel there it fills; None when outside."""
    where = box(centre_mm - radii_mm - 2, centre_mm + radii_mm + 2, shape, spacing_mm)
    if where is None:
        return None
    square = sum(((axis - np.float32(centre)) / np.float32(radius)) ** 2
                 for axis, centre, radius in zip(axes_within(where, spacing_mm), centre_mm,
                                                 radii_mm))
    thickness = float(np.mean(spacing_mm)) / float(np.min(radii_mm))
    return where, np.clip((1 - np.sqrt(square)) / thickness + 0.5, 0, 1).astype(np.float32)


def paint_tubes(filled: np.ndarray, tree: Tree, spacing_mm: Triple) -> None:
    """Raise `filled` (float32, share of a voxel) to the share that the branches of `tree` fill.

    A voxel's share grows from 0 to 1 over one voxel across the wall; ends are round.
    """
    voxel_mm = float(np.mean(spacing_mm))
    thin = tree.radius_mm <= SPLAT_VOXELS * voxel_mm
    reach = np.ceil(tree.radius_mm / voxel_mm + 1).astype(np.int64)
    for size in np.unique(reach[thin]):
        _splat(filled, _part(tree, thin & (reach == size)), int(size), spacing_mm)
    for start, end, radius in zip(tree.start_mm[~thin], tree.end_mm[~thin], tree.radius_mm[~thin]):
        room = radius + voxel_mm
        where = box(np.minimum(start, end) - room, np.maximum(start, end) + room, filled.shape,
                    spacing_mm)
        if where is None:
            continue
        grid = np.stack(np.meshgrid(*(np.arange(part.start, part.stop) * mm
                                      for part, mm in zip(where, spacing_mm)), indexing="ij"), -1)
        distance = _to_segment(grid, start, end)
        np.maximum(filled[where], np.clip((radius - distance) / voxel_mm + 0.5, 0, 1),
                   out=filled[where])


def _part(tree: Tree, chosen: np.ndarray) -> Tree:
    return Tree(tree.start_mm[chosen], tree.end_mm[chosen], tree.radius_mm[chosen],
                tree.parent[chosen])


def _to_segment(points: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Distances of points (..., 3) from the straight line between two ends (..., 3)."""
    course = end - start
    square = np.maximum((course * course).sum(-1), 1e-12)
    share = np.clip(((points - start) * course).sum(-1) / square, 0, 1)
    return np.asarray(np.linalg.norm(points - start - share[..., None] * course, axis=-1))


def _splat(filled: np.ndarray, tree: Tree, size: int, spacing_mm: Triple) -> None:
    """Paint branches that reach up to `size` voxels from their middle, all at once."""
    voxel_mm = float(np.mean(spacing_mm))
    points, branch = samples(tree, voxel_mm)
    centre = np.rint(points / spacing_mm).astype(np.int64)
    inside = np.all((centre >= size) & (centre < np.array(filled.shape) - size), axis=1)
    centre, branch = centre[inside], branch[inside]
    flat_centre = np.ravel_multi_index(tuple(centre.T), filled.shape)
    # Distance from the branch of the voxel at `offset`, by products with it that are sums.
    course = (tree.end_mm - tree.start_mm)[branch].astype(np.float32)
    square = np.maximum((course * course).sum(axis=1), np.float32(1e-6))
    away = (centre * np.array(spacing_mm) - tree.start_mm[branch]).astype(np.float32)
    along, away_square = (away * course).sum(axis=1), (away * away).sum(axis=1)
    radius = tree.radius_mm[branch].astype(np.float32)
    found, shares = [], []
    for offset in itertools.product(range(-size, size + 1), repeat=3):
        step = np.array(offset, np.float32) * np.array(spacing_mm, np.float32)
        if np.linalg.norm(step) > (size + 1) * voxel_mm:
            continue
        dot = along + course @ step
        part = np.clip(dot / square, 0, 1)
        distance = np.sqrt(np.maximum(
            away_square + 2 * (away @ step) + step @ step + part * (part * square - 2 * dot), 0))
        share = np.minimum((radius - distance) / np.float32(voxel_mm) + np.float32(0.5), 1)
        some = np.flatnonzero(share > 0)
        found.append(flat_centre[some] + int(
            np.dot(offset, (filled.shape[1] * filled.shape[2], filled.shape[2], 1))))
        shares.append(share[some])
    where, share = np.concatenate(found), np.concatenate(shares)
    flat = filled.reshape(-1)
    order = np.argsort(share, kind="stable")    # of several shares the last, the largest, stays
    flat[where[order]] = np.maximum(share[order], flat[where[order]])
