"""The vessel around a candidate: cuts across it, the piece of lumen the candidate is in, planes.

Masks are sampled trilinearly and cut at one half, so that measures in mm hold at any orientation
and any spacing of the voxels, and mirroring a volume with its frame changes nothing.
"""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from data_prep.pe.alignment import VesselFrame
from data_prep.pe.clusters import Cluster
from data_prep.pe.segment import Segmentation
from data_prep.pe.volume import Volume

PIXEL_MM = 0.6
SECTION_PX = 64   # 38.4 mm: the widest pulmonary artery and some room
PLANE_PIXEL_MM = 0.5
PLANE_PX = 32     # 16 mm
HALF = 0.5 - 1e-6  # a tie must fall the same way in a mirrored volume, whatever the rounding


@dataclass(frozen=True)
class Samples:
    """What a set of points shows; arrays of one shape."""

    hu: np.ndarray      # float32
    vessel: np.ndarray  # bool: mostly bright vessel
    clot: np.ndarray    # bool: mostly the candidate's voxels
    filled: np.ndarray  # bool: mostly one or the other
    lung: np.ndarray    # bool


@dataclass(frozen=True)
class Section:
    """A cut across the vessel: its samples, and the piece of lumen that the candidate is in."""

    samples: Samples
    lumen: np.ndarray  # bool (SECTION_PX, SECTION_PX): vessel or clot

    @property
    def calibre_mm(self) -> float:
        """Diameter of the disc with the lumen's area."""
        return float(2 * PIXEL_MM * np.sqrt(self.lumen.sum() / np.pi))

    @property
    def inner_mm(self) -> float:
        """Diameter of the largest disc inside the lumen: a touching vessel does not widen it.

        Rough edges take about half a millimetre from it.
        """
        return float(2 * PIXEL_MM * ndimage.distance_transform_edt(np.pad(self.lumen, 1)).max())

    @property
    def clot(self) -> np.ndarray:
        """The candidate's part of the lumen."""
        return self.samples.clot & self.lumen


class Surroundings:
    """A volume as one candidate's frame sees it."""

    def __init__(self, volume: Volume, segmentation: Segmentation, cluster: Cluster,
                 frame: VesselFrame) -> None:
        self.volume, self.segmentation, self.frame = volume, segmentation, frame
        self.spacing_mm = np.asarray(volume.spacing_mm, float)
        self.low = cluster.voxels.min(axis=0) - 1  # a margin of one voxel all around
        self.mask = np.zeros(cluster.voxels.max(axis=0) - self.low + 2, bool)
        self.mask[tuple((cluster.voxels - self.low).T)] = True

    def points(self, along: np.ndarray, side: np.ndarray, cross: np.ndarray) -> np.ndarray:
        """mm positions (..., 3) of offsets from the frame's centre along its three directions."""
        frame = self.frame
        return (frame.centre_mm + along[..., None] * frame.axis + side[..., None] * frame.side
                + cross[..., None] * frame.cross)

    def sample(self, points_mm: np.ndarray) -> Samples:
        """Trilinear samples at (..., 3) points; beyond the volume the nearest HU, and no mask."""
        shape = points_mm.shape[:-1]
        index = (points_mm.reshape(-1, 3) / self.spacing_mm).T

        def of(mask: np.ndarray, at: np.ndarray) -> np.ndarray:
            return ndimage.map_coordinates(mask, at, np.float32, order=1).reshape(shape)

        hu = ndimage.map_coordinates(self.volume.hu, index, np.float32, order=1, mode="nearest")
        clot = of(self.mask, index - self.low[:, None])
        vessel, lung = (of(mask, index) for mask in (self.segmentation.vessels,
                                                     self.segmentation.lungs))
        return Samples(hu.reshape(shape), (vessel >= HALF) & (clot < HALF), clot >= HALF,
                       vessel + clot >= HALF, lung >= HALF)

    def plane(self, lengthwise: bool) -> Samples:
        """PLANE_PX square: the longitudinal plane (rows run along the axis, columns along side)
        or the cross-section (rows along side, columns along cross)."""
        rows, columns = grid(PLANE_PX, PLANE_PIXEL_MM)
        none = np.zeros_like(rows)
        return self.sample(self.points(rows, columns, none) if lengthwise
                           else self.points(none, rows, columns))

    def section(self, offset_mm: float) -> Section | None:
        """The cut `offset_mm` along the axis from the centre; None where no vessel is near it.

        The lumen is the connected piece of vessel and clot nearest to the axis (where there is
        clot, nearest to it), gaps of a pixel closed and holes filled: between a clot and bright
        blood lie voxels that are neither.
        """
        rows, columns = grid(SECTION_PX, PIXEL_MM)
        samples = self.sample(self.points(np.full_like(rows, offset_mm), rows, columns))
        filled = ndimage.binary_fill_holes(ndimage.binary_closing(
            np.pad(samples.filled, 2)))[2:-2, 2:-2]
        seeds = samples.clot if samples.clot.any() else filled
        if not seeds.any():
            return None
        distance = np.where(seeds, np.hypot(rows, columns), np.inf)
        pieces, _ = ndimage.label(filled, np.ones((3, 3)))
        return Section(samples, pieces == pieces[np.unravel_index(distance.argmin(),
                                                                  distance.shape)])


def grid(size: int, pixel_mm: float) -> tuple[np.ndarray, np.ndarray]:
    """Row and column offsets in mm of a square of pixels about the origin."""
    along = (np.arange(size) - (size - 1) / 2) * pixel_mm
    rows, columns = np.meshgrid(along, along, indexing="ij")
    return rows, columns
