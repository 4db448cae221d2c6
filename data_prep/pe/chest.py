"""The chest around lungs and pulmonary vessels: wall, spine, heart, great vessels and abdomen.

Invented from where the lungs and the pulmonary trunk lie, so that it fits a drawn anatomy and a
label volume alike. Good for a detector's background; not anatomically exact.
"""
from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from scipy import ndimage

from data_prep.pe.anatomy import LUNG, Anatomy
from data_prep.pe.raster import axes_mm, ellipsoid, paint_tubes, smooth_noise, stretch
from data_prep.pe.trees import ROOT, Growth

AIR_HU, FAT_HU, SOFT_HU, MUSCLE_HU, MYOCARDIUM_HU = -1000.0, -95.0, 35.0, 55.0, 100.0
LIVER_HU, MARROW_HU, CORTEX_HU, DISC_HU = 85.0, 190.0, 650.0, 90.0
RIB_EVERY_MM, RIB_SLOPE, RIB_SHARE = 30.0, 0.5, 0.42
RIB_DEPTH_MM = (3.0, 10.0)          # below the pleura
WALL_MM = (16.0, 24.0)              # bones and muscle, from the pleura outwards; then fat
SKIN_MM = (22.0, 55.0)              # outer surface
VERTEBRA_MM = 24.0
HEART_BELOW_TRUNK_MM = (10.0, 55.0)     # where it is measured; above the diaphragm
HEART_CENTRE_MM = 55.0                  # below the trunk
_GRID_MM = 3.5


@dataclass(frozen=True)
class Blood:
    """HU of the blood outside the lungs."""

    right_heart: float
    left_heart: float
    aorta: float
    vena_cava: float


@dataclass(frozen=True)
class Chest:
    """HU without lungs and pulmonary vessels, and the place of the superior vena cava."""

    hu: np.ndarray              # (z, y, x) float32
    vena_cava_mm: np.ndarray    # (2, 3): its lower and upper end


@dataclass(frozen=True)
class Landmarks:
    """mm: bottom and top of the volume, the midline, the vertebrae, the pulmonary trunk."""

    top: float
    midline: float
    spine: float                # y of the middle of the vertebrae
    trunk: np.ndarray           # (z, y, x), where the artery is widest


def draw_chest(anatomy: Anatomy, blood: Blood, rng: np.random.Generator) -> Chest:
    """Paint everything but the lungs and their vessels."""
    shape, spacing = anatomy.labels.shape, anatomy.spacing_mm
    steps = tuple(max(1, int(round(_GRID_MM / mm))) for mm in spacing)
    grid_mm = np.array(spacing) * steps
    lungs = anatomy.labels[tuple(slice(None, None, step) for step in steps)] == LUNG
    thorax = _hulls(lungs)
    marks = _landmarks(anatomy, thorax, grid_mm)
    covered = tuple((length - 1) * step + 1 for length, step in zip(lungs.shape, steps))

    def spread(coarse: np.ndarray) -> np.ndarray:
        """From the coarse grid to all voxels; those behind its last point repeat it."""
        fine = stretch(coarse, covered)
        return np.pad(fine, [(0, length - part) for length, part in zip(shape, covered)], "edge")

    outside = spread(_signed_mm(thorax, grid_mm))
    noise = smooth_noise(shape, spacing, 8, rng)
    hu = np.float32(FAT_HU) + 15 * noise
    near_lung = spread(ndimage.distance_transform_edt(~lungs, grid_mm)) < 4.0
    hu[near_lung] = SOFT_HU
    below = thorax & ~np.logical_or.accumulate(lungs, axis=0) & lungs.any(axis=0)
    hu[spread(below.astype(np.float32)) > 0.5] = LIVER_HU
    _paint_heart(hu, lungs, marks, grid_mm, anatomy, blood)
    hu[spread(thorax.astype(np.float32)) < 0.5] = MUSCLE_HU
    _paint_wall(hu, outside, marks, anatomy, rng)
    cava = _paint_tubes(hu, marks, anatomy, blood)
    return Chest(hu, cava)


def _hulls(lungs: np.ndarray) -> np.ndarray:
    """Convex hull of both lungs, slice by slice; beyond the lungs that of the nearest slice."""
    hulls = np.zeros(lungs.shape, np.uint8)
    filled = np.flatnonzero(lungs.any(axis=(1, 2)))
    for z in filled:
        points = np.argwhere(lungs[z])[:, ::-1].astype(np.int32)
        cv2.fillConvexPoly(hulls[z], cv2.convexHull(points), 1)
    nearest = filled[np.abs(filled[None] - np.arange(len(lungs))[:, None]).argmin(axis=1)]
    return np.asarray(hulls[nearest] > 0)


def _signed_mm(inside: np.ndarray, grid_mm: np.ndarray) -> np.ndarray:
    """Distance from the surface, negative inside."""
    return np.asarray(ndimage.distance_transform_edt(~inside, grid_mm)
                      - ndimage.distance_transform_edt(inside, grid_mm), np.float32)


def _landmarks(anatomy: Anatomy, thorax: np.ndarray, grid_mm: np.ndarray) -> Landmarks:
    columns = np.flatnonzero(thorax.any(axis=(0, 1)))
    middle = int(round(columns.mean()))
    back = [int(rows.max()) for rows in (np.flatnonzero(plane[:, middle]) for plane in thorax)
            if len(rows)]
    line = anatomy.arteries
    widest = line.radius_mm > 0.9 * line.radius_mm.max()
    return Landmarks(float((anatomy.labels.shape[0] - 1) * anatomy.spacing_mm[0]),
                     middle * grid_mm[2], float(np.median(back)) * grid_mm[1] - 22.0,
                     line.points_mm[widest].mean(axis=0))


def _blend(hu: np.ndarray, anatomy: Anatomy, centre: np.ndarray, radii: np.ndarray,
           value: float) -> None:
    found = ellipsoid(hu.shape, anatomy.spacing_mm, centre, radii)
    if found is not None:
        where, share = found
        hu[where] += share * (np.float32(value) - hu[where])


def _paint_heart(hu: np.ndarray, lungs: np.ndarray, marks: Landmarks, grid_mm: np.ndarray,
                 anatomy: Anatomy, blood: Blood) -> None:
    """An ellipsoid as wide as the gap between the lungs below the trunk, with three chambers."""
    gap = ~lungs & _hulls(lungs)
    z, y = axes_mm(lungs.shape, (float(grid_mm[0]), float(grid_mm[1]), float(grid_mm[2])))[:2]
    low, high = (marks.trunk[0] - mm for mm in HEART_BELOW_TRUNK_MM)
    gap &= (z > high) & (z < low) & (y < marks.spine - 30)
    places = np.argwhere(ndimage.binary_opening(gap, iterations=2)) * grid_mm
    if len(places) < 10:
        return
    centre, radii = places.mean(axis=0), 2.1 * places.std(axis=0)
    centre[0], radii[0] = marks.trunk[0] - HEART_CENTRE_MM, HEART_CENTRE_MM
    _blend(hu, anatomy, centre, radii, MYOCARDIUM_HU)
    # Offset and radii of a chamber in radii of the heart (z, y, x).
    for offset, size, value in (
            ((-0.1, 0.15, 0.32), (0.5, 0.42, 0.4), blood.left_heart),
            ((-0.05, -0.45, -0.05), (0.5, 0.33, 0.5), blood.right_heart),
            ((0.0, 0.1, -0.6), (0.5, 0.42, 0.3), blood.right_heart)):
        _blend(hu, anatomy, centre + radii * np.array(offset), radii * np.array(size), value)


def _paint_wall(hu: np.ndarray, outside: np.ndarray, marks: Landmarks, anatomy: Anatomy,
                rng: np.random.Generator) -> None:
    z, y, x = axes_mm(hu.shape, anatomy.spacing_mm)
    wall, skin = rng.uniform(*WALL_MM), rng.uniform(*SKIN_MM)
    hu[(outside > wall) & (outside <= skin)] = FAT_HU
    hu[outside > skin - 2] = SOFT_HU
    hu[outside > skin] = AIR_HU
    shell = (outside > RIB_DEPTH_MM[0]) & (outside < RIB_DEPTH_MM[1])
    phase = (z + RIB_SLOPE * (y + np.abs(x - marks.midline))) / RIB_EVERY_MM + rng.uniform()
    across = np.broadcast_to(np.abs(phase - np.rint(phase)), hu.shape)[shell] / (RIB_SHARE / 2)
    depth = np.abs(outside[shell] - np.mean(RIB_DEPTH_MM)) / (np.ptp(RIB_DEPTH_MM) / 2)
    edge = np.maximum(across, depth)
    layer = hu[shell]
    layer[edge < 1] = CORTEX_HU
    layer[edge < 0.65] = MARROW_HU
    hu[shell] = layer
    # Vertebrae: a body in front of the canal, discs between, and the arch behind.
    near = (np.abs(x - marks.midline) < 30) & (np.abs(y - marks.spine) < 45)
    body = np.hypot((x - marks.midline) / 18, (y - marks.spine + 2) / 15)
    canal = np.hypot(x - marks.midline, y - marks.spine - 21)
    disc = np.abs(((z / VERTEBRA_MM + rng.uniform()) % 1) - 0.5) > 0.4
    for where, value in (((body < 1) & ~disc, MARROW_HU), ((body < 1) & disc, DISC_HU),
                         ((body < 1) & (body > 0.9) & ~disc, CORTEX_HU),
                         ((canal < 13) & ~disc, CORTEX_HU * 0.7), (canal < 9, SOFT_HU)):
        hu[np.broadcast_to(where & near, hu.shape)] = value


def _paint_tubes(hu: np.ndarray, marks: Landmarks, anatomy: Anatomy, blood: Blood) -> np.ndarray:
    """Oesophagus, aorta, vena cava, trachea; the ends of the vena cava, (2, 3) mm."""
    z, y, x = marks.trunk
    spine, mid, top = marks.spine, marks.midline, marks.top + 20
    cava = np.array([(z - 30, y + 22, x - 52), (top, y + 20, x - 44)])
    for radius, value, courses in (
            (7.0, SOFT_HU, [((-20, spine - 27, mid + 3), (top, spine - 27, mid + 3))]),
            (12.5, blood.aorta, [((-20, spine - 24, mid + 20), (z + 28, spine - 26, mid + 21),
                                  (z + 40, spine - 40, mid + 14), (z + 40, y + 14, mid),
                                  (z + 28, y + 4, x - 27), (z - 32, y + 8, x - 25))]),
            (9.5, blood.vena_cava, [tuple(cava)]),
            (9.0, SOFT_HU, [((top, spine - 40, mid), (z + 16, spine - 44, mid)),
                            ((z + 16, spine - 44, mid), (z - 8, spine - 40, mid - 36)),
                            ((z + 16, spine - 44, mid), (z - 6, spine - 38, mid + 40))]),
            (7.5, AIR_HU, [((top, spine - 40, mid), (z + 16, spine - 44, mid)),
                           ((z + 16, spine - 44, mid), (z - 8, spine - 40, mid - 36)),
                           ((z + 16, spine - 44, mid), (z - 6, spine - 38, mid + 40))])):
        growth = Growth()
        for course in courses:
            growth.chain(np.array(course, float), 1, ROOT)
        share = np.zeros(hu.shape, np.float32)
        paint_tubes(share, growth.tree(radius), anatomy.spacing_mm)
        hu += share * (np.float32(value) - hu)
    return cava
