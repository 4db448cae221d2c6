"""Lungs and contrast-filled vessels of a CT pulmonary angiogram, by thresholds and distances."""
from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from skimage.morphology import convex_hull_image
from skimage.segmentation import watershed

from data_prep.pe.volume import Volume
from layerwise.errors import InputError

LUNG_HU = -400
"""Below: lung or air. Half way between aerated lung (-850) and soft tissue (40)."""
OUTSIDE_HU = -960
"""A body of air whose median is lower lies outside the patient (-1000) or in the bowel; lungs,
even emphysematous ones, hold blood and tissue."""
LUNG_SHARE = 0.1
"""The largest body of lung and all others of at least this share of it are kept; a lung cut off by
an effusion passes, a bronchus does not."""
VESSEL_HU = 100
"""Above: contrast-filled vessel, heart or bone. Soft tissue and clots are below."""
SMOOTHING_MM = 0.7
"""Gaussian sigma before the vessel threshold; noise of 30 HU leaves single voxels otherwise."""
GRID_MM = 2.0
"""Distances, hulls and the separation of vessel and bone are worked out on a grid of about this
spacing."""
FIELD_MM = 10.0
"""Radius of the closing that takes lung vessels and the hilum into the lung field."""
WIDE_SHARE = 0.6
"""Slices in which the hull of the lungs has this share of its largest area tell bone."""
VESSEL_MM3 = 30.0
"""Smaller bright bodies are noise."""


@dataclass(frozen=True)
class Segmentation:
    """`lungs`: air of both lungs and larger airways; `vessels`: bright blood in and between the
    lungs, heart and aorta included as far as connected with the vessels of the lung. bool (z, y,
    x)."""

    lungs: np.ndarray
    vessels: np.ndarray


def segment(volume: Volume) -> Segmentation:
    """Lungs and vessels of a volume. Raises InputError if it shows no lung.

    Vessels are the bright voxels within the convex hull of both lungs (slice by slice) that hang
    together with vessels of the lung field rather than with bone outside the hull; where both
    touch, the narrowest bridge is cut.
    """
    lungs = _lungs(volume)
    bright = ndimage.gaussian_filter(
        volume.hu, [SMOOTHING_MM / mm for mm in volume.spacing_mm], output=np.float32
    ) > VESSEL_HU
    bright &= ~lungs
    grid = Grid(volume.spacing_mm, GRID_MM)
    coarse_lungs, coarse_bright = (grid.mean(mask) >= 0.5 for mask in (lungs, bright))
    grid_mm = grid.spacing_mm
    field = _closed(coarse_lungs, FIELD_MM, grid_mm)
    hull = _hulls(coarse_lungs) | field
    seeds = np.where(field, 1, np.where(_behind(hull), 2, 0))
    seeds = seeds.astype(np.int32) * coarse_bright
    depth = ndimage.distance_transform_edt(coarse_bright, sampling=grid_mm)
    owner = watershed(-depth, seeds, connectivity=3, mask=coarse_bright)
    # A bright voxel of a dark cell is a thin vessel unless bone is next to it, in the field always.
    bone = coarse_bright & (owner != 1)
    allowed = ((owner == 1) & hull) | (hull & ~ndimage.binary_dilation(bone)) | (field & ~bone)
    vessels = bright & grid.spread(allowed, bright.shape)
    labels, count = ndimage.label(vessels, np.ones((3, 3, 3)))
    sizes = np.bincount(labels.ravel(), minlength=count + 1) * math.prod(volume.spacing_mm)
    keep = sizes >= VESSEL_MM3
    keep[0] = False
    return Segmentation(lungs, keep[labels])


def _behind(hull: np.ndarray) -> np.ndarray:
    """Cells that are bone if bright: behind the hull, not the heart, which may leave it in front.
    """
    behind = ~hull
    behind[:, :round(np.nonzero(hull)[1].mean())] = False
    # Where the lungs taper, vessels of the neck and of the abdomen leave the hull.
    area = hull.sum((1, 2))
    behind[area < WIDE_SHARE * area.max()] = False
    return behind


def lung_field(lungs: np.ndarray, spacing_mm: tuple[float, ...]) -> np.ndarray:
    """bool (z, y, x): the lungs with their vessels and the hilum, closed by `FIELD_MM`."""
    grid = Grid(spacing_mm, GRID_MM)
    return grid.spread(_closed(grid.mean(lungs) >= 0.5, FIELD_MM, grid.spacing_mm), lungs.shape)


class Grid:
    """A coarser grid of cells of whole voxels, about `spacing` mm wide."""

    def __init__(self, voxel_mm: tuple[float, ...], spacing: float) -> None:
        self.factors = tuple(max(1, round(spacing / mm)) for mm in voxel_mm)
        self.spacing_mm = tuple(mm * k for mm, k in zip(voxel_mm, self.factors))

    def mean(self, values: np.ndarray) -> np.ndarray:
        """float32: the mean of every cell; the last voxels are repeated to fill cells."""
        values = np.pad(values, [(0, -n % k) for n, k in zip(values.shape, self.factors)], "edge")
        cells = [part for n, k in zip(values.shape, self.factors) for part in (n // k, k)]
        return values.reshape(cells).mean((1, 3, 5), dtype=np.float32)

    def spread(self, cells: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        """The values of cells on their voxels."""
        for axis, k in enumerate(self.factors):
            cells = cells.repeat(k, axis)
        return cells[tuple(slice(n) for n in shape)]


def _closed(mask: np.ndarray, radius_mm: float, spacing_mm: tuple[float, ...]) -> np.ndarray:
    """Morphological closing with a ball; beyond the array the mask is empty."""
    margin = [math.ceil(radius_mm / mm) + 1 for mm in spacing_mm]
    padded = np.pad(mask, [(m, m) for m in margin])
    grown = ndimage.distance_transform_edt(~padded, sampling=spacing_mm) <= radius_mm
    shrunk = ndimage.distance_transform_edt(grown, sampling=spacing_mm) > radius_mm
    inner = tuple(slice(m, m + n) for m, n in zip(margin, mask.shape))
    return mask | shrunk[inner]


def _hulls(lungs: np.ndarray) -> np.ndarray:
    """Convex hull of the lungs in every slice; beyond their ends that of the last slice."""
    hulls = lungs.copy()
    filled = np.flatnonzero(lungs.any((1, 2)))
    for z in filled:
        hulls[z] = convex_hull_image(lungs[z])
    hulls[:filled[0]], hulls[filled[-1] + 1:] = hulls[filled[0]], hulls[filled[-1]]
    return hulls


def _lungs(volume: Volume) -> np.ndarray:
    labels, count = ndimage.label(volume.hu < LUNG_HU)
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    sizes[0] = 0
    keep = np.zeros(count + 1, np.bool_)
    largest = 0
    for label in np.argsort(-sizes, kind="stable"):
        if sizes[label] == 0 or sizes[label] < LUNG_SHARE * largest:
            break
        if np.median(volume.hu[labels == label]) >= OUTSIDE_HU:
            keep[label] = True
            largest = max(largest, sizes[label])
    if not largest:
        raise InputError("no lung in this volume: no air-filled tissue between "
                         f"{OUTSIDE_HU} and {LUNG_HU} HU; is it a chest CT in Hounsfield units?")
    return keep[labels]
