"""What a handcrafted system sees of an embolism candidate: some sixty numbers.

The paper names the groups only: "vessel-based features along with Haralick and wavelet-based
features" (section IV-B). From the authors' patent US 8,244,012 come four measures of the
co-occurrence matrix of the candidate's voxels (entropy, energy, contrast, homogeneity) and the
question whether it is "surrounded by a vessel-like surface". How these are computed, correlation,
and all vessel-based and shape measures are ours.

All are finite. Moving, mirroring or turning the volume together with frame and cluster changes
nothing beyond interpolation; nor does turning round the frame's axis or side.
"""
from __future__ import annotations

from itertools import product

import numpy as np
from scipy import ndimage

from data_prep.pe.alignment import VesselFrame
from data_prep.pe.clusters import Cluster
from data_prep.pe.hounsfield import HU_RANGE
from data_prep.pe.lumen import PIXEL_MM, Section, Surroundings
from data_prep.pe.planes import WINDOW_HU
from data_prep.pe.segment import Segmentation
from data_prep.pe.volume import Volume
from data_prep.texture import HARALICK, haralick, levels, wavelet_rms

HERE_MM = (-2.0, 0.0, 2.0)   # along the axis: cuts through the candidate
BEYOND_MM = (-6.0, 6.0)      # cuts up and down the vessel
LEVELS = 16                   # of the window that the networks see, 44 HU each
WAVELET_DEPTH = 3            # details of 1, 2 and 4 mm
AIR_HU = -300.0
RAY_MM, RAY_STEP_MM = 12.0, 0.5

# view, pairs only inside the candidate, distance of the pairs in pixels of 0.5 mm
TEXTURES = (("long", False, 2), ("long", True, 1), ("cross", False, 2), ("cross", True, 1))

VESSEL = ("calibre_mm", "inner_diameter_mm", "calibre_here_to_beyond", "obstruction",
          "eccentricity", "lung_share")
CONTRAST = ("cluster_hu", "cluster_sd_hu", "lumen_hu", "contrast_hu", "contrast_to_noise",
            "around_hu")
RIM = ("rim_contrast_hu", "rim_vessel_share", "rim_air_share", "rays_enclosed_share")
SHAPE = ("volume_mm3", "length_along_vessel_mm", "major_mm", "middle_mm", "minor_mm",
         "elongation", "flatness", "ellipsoid_fill", "alignment")
TEXTURE = tuple(f"{view}_{'cluster' if inside else 'plane'}_{name}"
                for view, inside, _ in TEXTURES for name in HARALICK)
WAVELET = (*(f"long_{2 ** step}mm_{band}_hu" for step in range(WAVELET_DEPTH)
             for band in ("along", "across", "diagonal")),
           *(f"cross_{2 ** step}mm_{band}_hu" for step in range(WAVELET_DEPTH)
             for band in ("straight", "diagonal")))
FEATURES: tuple[str, ...] = (*VESSEL, *CONTRAST, *RIM, *SHAPE, *TEXTURE, *WAVELET)
"""Names, in the order of `features`. Shares, ratios and Haralick's measures have no unit."""


def features(volume: Volume, segmentation: Segmentation, cluster: Cluster, frame: VesselFrame
             ) -> np.ndarray:
    """float64 (len(FEATURES),) of one candidate; ValueError for a cluster without voxels."""
    if not len(cluster.voxels):
        raise ValueError("a cluster without voxels has no features")
    seen = Surroundings(volume, segmentation, cluster, frame)
    here = [cut for cut in map(seen.section, HERE_MM) if cut is not None]
    beyond = [cut for cut in map(seen.section, BEYOND_MM) if cut is not None]
    inside = np.clip(volume.hu[tuple(cluster.voxels.T)], *HU_RANGE).astype(float)
    return np.concatenate([
        _vessel(here, beyond), _contrast(inside, here, beyond), _rim(seen, cluster, inside),
        _shape(cluster, seen), *_planes(seen)]).astype(float)


def _mean(values: list[float], otherwise: float = 0.0) -> float:
    return float(np.mean(values)) if values else otherwise


def _vessel(here: list[Section], beyond: list[Section]) -> list[float]:
    """VESSEL: means over the cuts through the candidate.

    Obstruction is the clot's share of the lumen's area, eccentricity the distance between their
    centres of gravity in units of the lumen's radius: 0 for a central or an occluding clot.
    """
    calibre = _mean([cut.calibre_mm for cut in here])
    after = _mean([cut.calibre_mm for cut in beyond])
    clots = [cut for cut in here if cut.clot.any()]
    apart = [float(np.hypot(*np.subtract(ndimage.center_of_mass(cut.clot),
                                         ndimage.center_of_mass(cut.lumen))))
             * PIXEL_MM / (cut.calibre_mm / 2) for cut in clots]
    return [calibre, _mean([cut.inner_mm for cut in here]), calibre / after if after else 0.0,
            _mean([float(cut.clot.sum() / cut.lumen.sum()) for cut in clots]), _mean(apart),
            _mean([float(cut.samples.lung.mean()) for cut in here])]


def _contrast(inside: np.ndarray, here: list[Section], beyond: list[Section]) -> list[float]:
    """CONTRAST: the candidate's voxels against the blood of the same vessel and what is outside.

    Blood is bright lumen, a pixel away from wall and clot where there is any; without blood in
    any cut the contrast is 0. Outside is a ring of 1.2 to 3.6 mm around the lumen.
    """
    cuts = here + beyond
    own = float(np.median(inside))
    cores = [cut.samples.hu[ndimage.binary_erosion(cut.samples.vessel & cut.lumen)]
             for cut in cuts]
    edges = [cut.samples.hu[cut.samples.vessel & cut.lumen] for cut in cuts]
    blood = next((np.concatenate(each) for each in (cores, edges)
                  if sum(map(len, each))), np.array([own]))
    blood = np.clip(blood, *HU_RANGE)
    lumen = float(np.median(blood))
    noise = 1.4826 * float(np.median(np.abs(blood - lumen)))  # the sd, where it is normal
    rings = [cut.samples.hu[ndimage.binary_dilation(cut.lumen, iterations=6)
                            & ~ndimage.binary_dilation(cut.lumen, iterations=2)] for cut in here]
    ring = np.concatenate([np.empty(0), *rings])
    around = float(np.median(np.clip(ring, *HU_RANGE))) if len(ring) else own
    return [own, float(inside.std()), lumen, lumen - own, (lumen - own) / max(noise, 1.0), around]


def _rim(seen: Surroundings, cluster: Cluster, inside: np.ndarray) -> list[float]:
    """RIM: what the faces of the candidate's voxels touch, weighted by area, and what rays meet.

    A ray from the frame's centre, 26 directions of the frame, is enclosed when it meets bright
    vessel before air. A face on the volume's border touches neither.
    """
    voxels, shape = cluster.voxels, seen.volume.hu.shape
    hu, vessel, area = [], [], []
    for axis, step in product(range(3), (-1, 1)):
        beside = voxels.copy()
        beside[:, axis] += step
        outer = ~seen.mask[tuple((beside - seen.low).T)]
        beside = beside[outer & (beside[:, axis] >= 0) & (beside[:, axis] < shape[axis])]
        at = tuple(beside.T)
        hu.append(np.clip(seen.volume.hu[at], *HU_RANGE).astype(float))
        vessel.append(seen.segmentation.vessels[at])
        area.append(np.full(len(beside), np.prod(np.delete(seen.spacing_mm, axis))))
    weight = np.concatenate(area)
    if len(weight):
        touched, bright = np.concatenate(hu), np.concatenate(vessel)
        rim = [float(np.average(touched, weights=weight) - inside.mean()),
               float(np.average(bright, weights=weight)),
               float(np.average(touched < AIR_HU, weights=weight))]
    else:
        rim = [0.0, 0.0, 0.0]
    ways = np.array([way for way in product((-1.0, 0.0, 1.0), repeat=3) if any(way)])
    ways /= np.linalg.norm(ways, axis=1, keepdims=True)
    far = np.arange(RAY_STEP_MM, RAY_MM + RAY_STEP_MM / 2, RAY_STEP_MM)
    met = seen.sample(seen.points(*(ways.T[:, :, None] * far)))
    # Where each comes first along the ray; past its end where never.
    first = [np.where(hit.any(axis=1), hit.argmax(axis=1), len(far))
             for hit in (met.vessel, met.hu < AIR_HU)]
    return [*rim, float(np.mean(first[0] < first[1]))]


def _shape(cluster: Cluster, seen: Surroundings) -> list[float]:
    """SHAPE: diameters of the ellipsoid with the candidate's second moments, and what follows.

    The fill is the candidate's volume over that ellipsoid's (1 for an ellipsoid, less for what is
    ragged, hollow or bent); alignment the cosine between its long axis and the vessel's.
    """
    spacing = seen.spacing_mm
    points = cluster.voxels * spacing
    centred = points - points.mean(axis=0)
    values, vectors = np.linalg.eigh(centred.T @ centred / len(points))
    # Along no direction does it spread less than a single voxel, which is a box.
    spread = np.maximum(values, (spacing ** 2 / 12) @ vectors ** 2)[::-1]
    axes = np.sort(2 * np.sqrt(5 * spread))[::-1]  # a fifth of the half axis squared is spread
    volume = len(points) * float(np.prod(spacing))
    along = centred @ seen.frame.axis
    length = float(np.ptp(along) + np.abs(seen.frame.axis) @ spacing)
    return [volume, length, *axes.tolist(), float(axes[0] / axes[1]), float(axes[1] / axes[2]),
            float(volume / (np.pi / 6 * np.prod(axes))),
            float(abs(vectors[:, 2] @ seen.frame.axis))]


def _planes(seen: Surroundings) -> tuple[np.ndarray, np.ndarray]:
    """TEXTURE and WAVELET of the two planes through the frame's centre."""
    views = {"long": seen.plane(lengthwise=True), "cross": seen.plane(lengthwise=False)}
    cut = {view: levels(samples.hu, *WINDOW_HU, LEVELS) for view, samples in views.items()}
    texture = [haralick(cut[view], views[view].clot if inside else None, distance, LEVELS)
               for view, inside, distance in TEXTURES]
    long, cross = (wavelet_rms(np.clip(views[view].hu, *WINDOW_HU), WAVELET_DEPTH)
                   for view in ("long", "cross"))
    # No direction of the cross-section is special: its two straight bands become one.
    straight = np.sqrt(np.mean(np.square(cross[:, :2]), axis=1))
    return (np.concatenate(texture),
            np.concatenate([long.ravel(), np.stack([straight, cross[:, 2]], axis=1).ravel()]))
