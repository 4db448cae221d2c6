"""Orientation of the vessel a candidate lies in, from its own voxels and the lumen around them.

The paper aligns its patches to "the affected vessel" (section IV-B) and takes the orientation from
"a set of voxels for each PE candidate" (the representation's own paper, MICCAI 2015). Which voxels
is not said. Here: the candidate and the vessel voxels connected to it, near ones counting more:
branches and veins beside the artery pull a wide neighbourhood away from its axis.
"""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from data_prep.pe.volume import Volume

# Measured error of the axis (median, nine tenths below):
#                                                  these weights   ball of 7.5 mm   ball of 15 mm
#   360 analytic vessels, 3-15 mm wide               0.5    3.0       0.7    4.4      0.4    4.2
#   595 stretches of artery, three CAD-PE anatomies  5.9   25.1       8.5   53.3     18.9   65.7
# Analytic: spacing to 2 mm; straight, curved, ending, branching, beside another; occlusive,
# central, mural and small clots. Anatomies: against the skeleton's direction, which errs itself.
RADIUS_MM = 15.0
CALIBRE_MM = (1.5, 7.0)  # limits of the vessel's radius as the weights follow it
_ROUNDS = 4

_TOUCHING = np.ones((3, 3, 3), bool)  # 26 neighbours


@dataclass(frozen=True)
class VesselFrame:
    """A point in a vessel and the directions there; vectors are (3,) float64 in z, y, x order.

    (axis, side, cross) is right-handed in the patient: x to the left, y to the back, z to the head.
    """

    centre_mm: np.ndarray
    """From the centre of the volume's first voxel."""
    axis: np.ndarray
    """Unit vector along the vessel."""
    side: np.ndarray
    """Unit vector across it, along the cross-section's longest diameter."""

    @property
    def cross(self) -> np.ndarray:
        """Unit vector across the vessel, square to `side`."""
        return -np.cross(self.axis, self.side)  # minus: z, y, x is an odd permutation of x, y, z


def vessel_frame(volume: Volume, vessels: np.ndarray, voxels: np.ndarray, place: np.ndarray
                 ) -> VesselFrame:
    """Frame of a candidate: principal directions, in mm, of its voxels and the vessel around them.

    vessels: (z, y, x) bool; voxels: (n, 3) int, z, y, x of the candidate; place: (3,), the voxel
    that is to be the centre. Counted are the candidate and the vessel voxels connected to it (26
    neighbours, gaps of one voxel bridged: the rim of a clot is brighter than the clot and may be
    darker than the lumen) within 15 mm of the centre. Their weights are Gaussian, first round the
    centre, as wide as the vessel's radius; then, four times over, twice as long along the axis
    found (at most 7 mm) as across it. Axis and side are the directions of the largest and second
    largest spread, signed so that their largest component is positive. Where directions spread
    equally the frame is any of the possible ones, so for a round vessel `side` is arbitrary; a
    single voxel gives axes of the volume.

    Raises ValueError for a candidate without voxels or `vessels` of another shape.
    """
    if len(voxels) == 0 or vessels.shape != volume.hu.shape:
        raise ValueError(f"{len(voxels)} voxels, vessels {vessels.shape}, volume "
                         f"{volume.hu.shape}: expected voxels, and vessels of the volume's shape")
    spacing_mm = np.asarray(volume.spacing_mm, float)
    centre_mm = place * spacing_mm
    offsets_mm, radius_mm = _neighbourhood(vessels, voxels, centre_mm, spacing_mm)
    along_mm = min(2 * radius_mm, CALIBRE_MM[1])
    squares = (offsets_mm ** 2).sum(axis=1)
    directions = _principal(offsets_mm, squares / radius_mm ** 2)
    for _ in range(_ROUNDS):
        along = (offsets_mm @ directions[:, 2]) ** 2
        directions = _principal(offsets_mm,
                                (squares - along) / radius_mm ** 2 + along / along_mm ** 2)
    return VesselFrame(centre_mm, _signed(directions[:, 2]), _signed(directions[:, 1]))


def _principal(offsets_mm: np.ndarray, distances: np.ndarray) -> np.ndarray:
    """(3, 3): principal directions in columns, the smallest spread first.

    distances: (n,), of squared standard deviations, from the centre of the Gaussian weights.
    """
    weights = np.exp(-distances / 2)
    return np.linalg.eigh(np.cov(offsets_mm.T, bias=True, aweights=weights))[1]


def _neighbourhood(vessels: np.ndarray, voxels: np.ndarray, centre_mm: np.ndarray,
                   spacing_mm: np.ndarray) -> tuple[np.ndarray, float]:
    """Where the vessel is, within 15 mm, and how wide it is at the candidate.

    Returns (n, 3) mm from the centre of the voxels of the candidate and the vessel connected to it,
    and the radius of the largest ball that fits among them about a voxel of the candidate or one
    beside it.
    """
    low = np.maximum(np.ceil((centre_mm - RADIUS_MM) / spacing_mm), 0).astype(int)
    high = np.floor((centre_mm + RADIUS_MM) / spacing_mm).astype(int) + 1
    box = vessels[tuple(slice(a, b) for a, b in zip(low, high))]
    candidate = np.zeros(box.shape, bool)
    inside = voxels[((voxels >= low) & (voxels < low + box.shape)).all(axis=1)] - low
    candidate[tuple(inside.T)] = True
    beside = ndimage.binary_dilation(candidate, _TOUCHING)
    labels, _ = ndimage.label(box | beside, _TOUCHING)
    connected = np.isin(labels, labels[candidate]) & (box | candidate)
    depths_mm = ndimage.distance_transform_edt(np.pad(ndimage.binary_fill_holes(connected), 1),
                                               sampling=spacing_mm)[1:-1, 1:-1, 1:-1]
    offsets_mm = (np.argwhere(connected) + low) * spacing_mm - centre_mm
    near = (offsets_mm ** 2).sum(axis=1) <= RADIUS_MM ** 2
    return offsets_mm[near], float(np.clip(depths_mm[beside].max(), *CALIBRE_MM))


def _signed(direction: np.ndarray) -> np.ndarray:
    """The direction or its opposite, whichever has a positive largest component."""
    return direction if direction[np.abs(direction).argmax()] > 0 else -direction
