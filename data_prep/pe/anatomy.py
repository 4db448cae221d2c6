"""Lungs and pulmonary vessels: what a CT angiogram is painted from, drawn or from a label volume.

All coordinates are (z, y, x) in mm, to the head, back and left, from the centre of the first voxel.
"""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree
from skimage.morphology import skeletonize_3d

from data_prep.pe.raster import Triple, axes_mm, ellipsoid, paint_tubes, smooth_noise, stretch
from data_prep.pe.trees import ROOT, Centreline, Growth, Tree, centreline

ELSEWHERE, ARTERY, VEIN, LUNG = range(4)
MARGIN_MM = 12.0                    # around the lungs
CHEST_MM = (235.0, 184.0, 270.0)    # height, depth and width of the lungs of a body of size 1
BODY_SIZES = (0.92, 1.08)
TRUNK_RADIUS_MM = (12.5, 15.0)      # main pulmonary artery of 25 to 30 mm
RIGHT_SHARE = 0.54                  # of the arteries and veins
VEIN_SHARE = 0.8                    # terminal veins per terminal artery
APART_MM = 4.0                      # veins run between the arteries, not along them
_LUNG_GRID_MM = 4.0
_LABEL_BLUR_VOXELS = 0.55           # of a label's edge, whose true course in the voxel is unknown

# Courses in mm of a body of size 1: z above the lungs' lowest point, y behind their middle, x left
# of it.
_TRUNK = ((108, -48, 18), (126, -36, 17), (140, -20, 14))
_TO_RIGHT = ((140, -20, 14), (141, -4, -8), (136, 3, -32), (129, 5, -50))
_TO_LEFT = ((140, -20, 14), (147, -7, 27), (146, 10, 43), (138, 18, 53))
_ATRIUM, _ATRIUM_RADII = (107, 18, 4), (20, 19, 33)
_VEINS = (((112, 8, -18), (122, -2, -38), (128, -8, -52)),     # right upper, right lower
          ((102, 20, -18), (98, 27, -38), (92, 32, -50)),
          ((112, 8, 24), (124, -2, 42), (130, -8, 54)),        # left upper, left lower
          ((102, 20, 24), (100, 28, 42), (94, 32, 54)))


@dataclass(frozen=True)
class Anatomy:
    """Labels for the truth, shares of the voxels for painting; all arrays (z, y, x)."""

    labels: np.ndarray      # uint8: ARTERY, VEIN, LUNG, ELSEWHERE
    artery: np.ndarray      # float32, share of the voxel
    vein: np.ndarray        # float32, share of the voxel, at most 1 - artery
    lung: np.ndarray        # float32, share of what of the voxel is no vessel
    arteries: Centreline
    spacing_mm: Triple


def draw(spacing_mm: float, terminal_radius_mm: float, rng: np.random.Generator) -> Anatomy:
    """The anatomy of a patient, cropped to the lungs and a margin, in cubic voxels."""
    size = rng.uniform(*BODY_SIZES)
    shape = tuple(int(np.ceil((length * size + 2 * MARGIN_MM) / spacing_mm)) for length in CHEST_MM)
    spacing = (spacing_mm,) * 3
    origin = np.array([MARGIN_MM, *(length * spacing_mm / 2 for length in shape[1:])])
    lung_mm = _lung_depth(shape, spacing, origin, size, rng)
    lung = np.clip(stretch(lung_mm, shape) / np.float32(spacing_mm) + 0.5, 0, 1)

    trunk_radius = rng.uniform(*TRUNK_RADIUS_MM)
    count = max(8, int(round((trunk_radius / terminal_radius_mm) ** 3)))
    right, left = _lung_points(lung_mm, shape, spacing, origin, rng)
    arteries = _grow_arteries(right, left, count, trunk_radius, origin, size, rng)
    line = centreline(arteries, 0.8 * spacing_mm)
    course = cKDTree(line.points_mm)
    apart = [points[course.query(points)[0] > APART_MM]
             for points in (right[:2 * count], left[:2 * count])]
    veins = _grow_veins(apart, int(VEIN_SHARE * count), trunk_radius / np.cbrt(count), origin, size,
                        rng)
    artery, vein = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    paint_tubes(artery, arteries, spacing)
    paint_tubes(vein, veins, spacing)
    atrium = ellipsoid(shape, spacing, origin + size * np.array(_ATRIUM, float),
                       size * np.array(_ATRIUM_RADII, float))
    if atrium is not None:
        where, share = atrium
        np.maximum(vein[where], share, out=vein[where])
    np.minimum(vein, 1 - artery, out=vein)
    labels = np.where(lung >= 0.5, LUNG, ELSEWHERE).astype(np.uint8)
    labels[vein >= 0.5] = VEIN
    labels[artery >= 0.5] = ARTERY
    return Anatomy(labels, artery, vein, lung, line, spacing)


def from_labels(labels: np.ndarray, spacing_mm: Triple) -> Anatomy:
    """The anatomy of a label volume (z, y, x), cropped to lungs and vessels and a margin."""
    some = ndimage.find_objects((labels != ELSEWHERE).view(np.uint8))[0]
    labels = np.ascontiguousarray(labels[tuple(
        slice(max(0, part.start - int(MARGIN_MM / mm)), part.stop + int(MARGIN_MM / mm))
        for part, mm in zip(some, spacing_mm))], np.uint8)
    artery, vein, lung = (
        ndimage.gaussian_filter((labels == label).astype(np.float32), _LABEL_BLUR_VOXELS)
        for label in (ARTERY, VEIN, LUNG))
    lung /= np.maximum(1 - artery - vein, np.float32(0.02))
    return Anatomy(labels, artery, np.minimum(vein, 1 - artery), np.clip(lung, 0, 1, out=lung),
                   skeleton(labels == ARTERY, spacing_mm), spacing_mm)


def skeleton(vessel: np.ndarray, spacing_mm: Triple) -> Centreline:
    """The centreline of a mask (z, y, x), with the distance to the nearest voxel outside."""
    voxels = np.argwhere(skeletonize_3d(vessel.astype(np.uint8)) > 0)
    edge = ndimage.binary_dilation(vessel, np.ones((3, 3, 3))) & ~vessel
    points = voxels * np.array(spacing_mm)
    radius = cKDTree(np.argwhere(edge) * np.array(spacing_mm)).query(points)[0]
    tree = cKDTree(points)
    tangent = np.zeros((len(points), 3))
    for number, near in enumerate(tree.query_ball_point(points, 2.5 + 0.7 * radius)):
        spread = points[near] - points[near].mean(axis=0)
        tangent[number] = np.linalg.eigh(spread.T @ spread)[1][:, -1]
    return Centreline(points, radius - 0.5 * min(spacing_mm), tangent)


def _lung_depth(shape: tuple[int, ...], spacing_mm: Triple, origin: np.ndarray, size: float,
                rng: np.random.Generator) -> np.ndarray:
    """About the depth in mm below the lungs' surface, negative outside, on a coarse grid."""
    extent = np.array(spacing_mm) * (np.array(shape) - 1)
    knots = np.ceil(extent / _LUNG_GRID_MM).astype(np.int64) + 1
    step = extent / (knots - 1)
    z, y, x = ((axis - middle) / size for axis, middle in zip(
        axes_mm(tuple(knots), (float(step[0]), float(step[1]), float(step[2]))), origin))
    apex = np.clip((z / CHEST_MM[0] - 0.35) / 0.65, 0, 1)
    width = np.sqrt(np.maximum(1 - apex ** 2.2, 1e-3))
    heart = np.sqrt(((z - 72) / 64) ** 2 + ((y + 30) / 55) ** 2 + ((x - 18) / 64) ** 2)
    upper = np.sqrt(((y - 8) / 58) ** 2 + (x / 34) ** 2)
    spine = np.hypot(y - 66, x)
    inside = []
    for side, dome in ((-1, 66), (1, 56)):
        middle = side * (68 - 18 * apex ** 2)
        across = (np.abs(x - middle) / (67 * width)) ** 2.1 \
            + (np.abs(y - 8 * apex) / (92 * width)) ** 2.1
        floor = dome * (1 - ((x - middle) / 72) ** 2 - ((y + 10) / 95) ** 2)
        inside.append(np.minimum.reduce(np.broadcast_arrays(
            60 * (1 - across ** (1 / 2.1)), 0.75 * (z - np.maximum(floor, 0)), side * x - 2,
            52 * (heart - 1), 35 * (upper - 1), spine - 27)))
    depth = np.maximum(*inside) * size
    return np.asarray(depth + 4 * smooth_noise(depth.shape, (_LUNG_GRID_MM,) * 3, 40, rng))


def _lung_points(lung_mm: np.ndarray, shape: tuple[int, ...], spacing_mm: Triple,
                 origin: np.ndarray, rng: np.random.Generator) -> list[np.ndarray]:
    """Points in the right and the left lung in random order, none near the surface."""
    step = np.array(spacing_mm) * (np.array(shape) - 1) / (np.array(lung_mm.shape) - 1)
    points = rng.permutation(np.argwhere(lung_mm > 4) * step)
    points += rng.uniform(-0.5, 0.5, points.shape) * step
    left = points[:, 2] > origin[2]
    return [points[~left], points[left]]


def _grow_arteries(right: np.ndarray, left: np.ndarray, count: int, trunk_radius: float,
                   origin: np.ndarray, size: float, rng: np.random.Generator) -> Tree:
    growth = Growth()
    to_right = int(round(RIGHT_SHARE * count))
    trunk = growth.chain(origin + size * np.array(_TRUNK, float), count, ROOT)
    for course, points, targets in ((_TO_RIGHT, right, to_right),
                                    (_TO_LEFT, left, count - to_right)):
        branch = growth.chain(origin + size * np.array(course, float), targets, trunk)
        growth.fill(points[:targets], branch, rng)
    return growth.tree(trunk_radius / np.cbrt(count))


def _grow_veins(apart: list[np.ndarray], count: int, terminal_radius: float, origin: np.ndarray,
                size: float, rng: np.random.Generator) -> Tree:
    growth = Growth()
    for side, points in enumerate(apart):
        # Of the points of a lung, the upper and front ones drain into the upper vein.
        points = points[:int(count * (RIGHT_SHARE if side == 0 else 1 - RIGHT_SHARE))]
        height = points @ np.array([1.0, -0.8, 0.0])
        upper = height > np.quantile(height, 0.5)
        for course, targets in zip(_VEINS[2 * side:], (points[upper], points[~upper])):
            branch = growth.chain(origin + size * np.array(course, float), len(targets), ROOT)
            growth.fill(targets, branch, rng)
    return growth.tree(terminal_radius)
