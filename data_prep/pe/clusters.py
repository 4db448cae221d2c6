"""Embolus candidates: dark regions in bright vessels, found by tobogganing.

After Liang and Bi (IPMI 2007) as far as it is told there: vessel voxels slide to the lowest
neighbour, those at the wall fall out to the lung's air and are dropped, those that end in a minimum
of a clot's density form clusters, and basins that share a boundary are one. All numbers are ours,
and so are three steps. The lung's share is taken out of every voxel first, or all of a clot in a
thin artery would fall to the air with its wall. How much of a voxel's surroundings is bright blood
is counted by direction. And clusters are nested: each is offered whole and, where parts of it are
walled in more tightly, in those parts.
"""
from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from data_prep.pe.segment import GRID_MM, LUNG_HU, VESSEL_HU, Grid, Segmentation, lung_field
from data_prep.pe.toboggan import slide
from data_prep.pe.volume import Volume

MOST = 64
"""Clusters a volume, the best scored."""
SMOOTHING_MM = 0.6
"""Gaussian sigma before sliding: halves the noise, and a clot of 3 mm keeps most of its depth."""
BLUR_MM = 0.9
"""Gaussian sigma of a scanner's blur (0.5 to 0.75 mm) and the smoothing together."""
RIM_MM = 1.8
"""Tissue this close to air is the rim, which falls to the air."""
CLOT_HU, DARKEST_HU = 50.0, -100.0
"""A usual clot, and the darkest that noise makes of one."""
BLOOD_HU, BRIGHTEST_HU, LUMEN_MM = 150.0, 500.0, 6.0
"""Blood nearby is the mean of vessel brighter than the first, cut at the second, weighted by a
Gaussian with this sigma."""
LIMIT_HU = (float(VESSEL_HU), 200.0)
"""Dark is what is nearer to a clot than to the blood nearby, yet at least and at most this."""
REACH_MM = 15.0
"""How far blood may be to wall in a voxel: half of the widest pulmonary trunk."""
DIRECTIONS = 26
ENCLOSED = (0, 8, 12, 16, 20, 24)
"""Directions of 26 that meet blood before air, for the nested clusters. Beside a flat wall it is 9
at most."""
ENCLOSED_BETWEEN_LUNGS = 16
"""The least outside the lung field, where fat and muscle are as dark as clots."""
SMALLEST_MM3 = 4.0
"""Smaller ones, without their rim, are noise: 2 voxels of 1.25 mm."""
APART_MM = 5.0
"""Of two clusters whose representatives are closer the better one stays."""
WEIGHTS = {"size": 0.1, "darkness": -1.13, "mass": 0.28, "enclosure": 6.55, "dark enclosure": 0.49,
           "large enclosure": 0.9, "bright shell": 0.29, "dark shell": 5.14, "tissue shell": -6.04,
           "field": 0.91}
"""Of the measures in a cluster's score (see `_measures`): a logistic regression on 22 stand-in
volumes, half phantom, half painted on real anatomy. Left out one volume at a time, 39 of 40 emboli
on real anatomy are among the best 64 clusters, but only 17 of the 33 of the phantom."""


@dataclass(frozen=True)
class Cluster:
    """A candidate. `voxels`: int32 (n, 3), z, y, x, in C order; `score`: larger is more
    suspicious."""

    voxels: np.ndarray
    score: float


@dataclass(frozen=True)
class _Scene:
    """What clusters are made of and measured on; arrays (z, y, x) of the box of the vessels."""

    surface: np.ndarray     # float32: HU without the lung's share
    limit: np.ndarray       # float32: HU below which a voxel is dark
    tissue: np.ndarray      # bool
    bright: np.ndarray      # bool: blood with contrast
    dark: np.ndarray        # bool: of a clot's density; may touch other soft tissue
    rim: np.ndarray         # bool
    field: np.ndarray       # bool: the lungs with their vessels and hilum
    enclosure: np.ndarray   # uint8: directions


def find_clusters(volume: Volume, segmentation: Segmentation) -> list[Cluster]:
    """Candidates of a volume, best first, at most `MOST`; none where there is no vessel."""
    box = _box(segmentation.vessels, volume.spacing_mm)
    if box is None:
        return []
    scene = _scene(volume.hu[box], segmentation.lungs[box], segmentation.vessels[box],
                   volume.spacing_mm)
    kept = _resting_in_clots(scene)
    voxels: list[tuple[np.ndarray, int, tuple[slice, ...]]] = []
    scores: list[float] = []
    for least in ENCLOSED:
        labels, _ = ndimage.label(kept & (scene.enclosure >= least), np.ones((3, 3, 3)))
        measures = _measures(labels, scene, volume.spacing_mm)
        chosen = measures.pop("label")
        scores.extend(sum(weight * measures[name] for name, weight in WEIGHTS.items()))
        parts = ndimage.find_objects(labels)
        voxels.extend((labels, int(label), parts[label - 1]) for label in chosen)
    return _best(volume, voxels, np.array(scores), np.array([part.start for part in box]))


def representative(volume: Volume, voxels: np.ndarray) -> np.ndarray:
    """int32 (3,), z, y, x: the voxel that stands for a cluster, deep in its darker half.

    Of the voxels not brighter (smoothed) than the median the one farthest from the cluster's
    boundary; of equals the darkest, then the first in C order.
    """
    low = np.maximum(voxels.min(0) - 4, 0)
    crop = tuple(slice(a, b + 5) for a, b in zip(low, voxels.max(0)))
    at = tuple((voxels - low).T)
    mask = np.zeros(volume.hu[crop].shape, np.bool_)
    mask[at] = True
    depth = ndimage.distance_transform_edt(np.pad(mask, 1), sampling=volume.spacing_mm)
    depth = depth[1:-1, 1:-1, 1:-1][at]
    level = smoothed(volume.hu[crop], volume.spacing_mm)[at]
    depth[level > np.median(level)] = 0
    return voxels[np.lexsort((level, -depth))[0]]


def smoothed(hu: np.ndarray, spacing_mm: tuple[float, ...]) -> np.ndarray:
    """float32: HU with most of the noise taken out."""
    return ndimage.gaussian_filter(hu, [SMOOTHING_MM / mm for mm in spacing_mm], output=np.float32)


def enclosed_directions(blood: np.ndarray, passable: np.ndarray,
                        spacing_mm: tuple[float, ...]) -> np.ndarray:
    """uint8 (z, y, x): of the 26 directions to neighbours, those in which a walk of `REACH_MM`
    through passable voxels meets blood.

    A closing of the vessels, counted by direction: unlike the closing with a ball it fills a vessel
    of any width and leaves the space beside a vessel open.
    """
    count = np.zeros(blood.shape, np.uint8)
    for direction in itertools.product((-1, 0, 1), repeat=3):
        step_mm = math.hypot(*(d * mm for d, mm in zip(direction, spacing_mm)))
        if step_mm == 0:
            continue
        steps = max(1, int(REACH_MM / step_mm))
        # met: blood within `walked` steps, itself included; open: no obstacle so far.
        met, unblocked, walked = blood.copy(), passable.copy(), 1
        while walked < steps:
            stride = min(walked, steps - walked)
            here, there = _overlap(tuple(stride * d for d in direction), blood.shape)
            met[here] |= unblocked[here] & met[there]
            ahead = np.zeros_like(unblocked)
            ahead[here] = unblocked[here] & unblocked[there]
            unblocked = ahead
            walked += stride
        here, there = _overlap(direction, blood.shape)
        count[here] += met[there]
    return count


def _scene(hu: np.ndarray, lungs: np.ndarray, vessels: np.ndarray,
           spacing_mm: tuple[float, ...]) -> _Scene:
    smooth = smoothed(hu, spacing_mm)
    tissue = smooth > LUNG_HU
    surface = _without_lung(smooth, tissue, _lung_hu(hu, lungs), spacing_mm)
    limit = _limit(surface, vessels, spacing_mm)
    bright = vessels & (surface >= np.maximum(limit, BLOOD_HU))
    enclosure = enclosed_directions(bright, tissue, spacing_mm)
    field = lung_field(lungs, spacing_mm)
    dark = tissue & (surface > DARKEST_HU) & (surface < limit)
    rim = tissue & _near(~tissue, RIM_MM, spacing_mm)
    return _Scene(surface, limit, tissue, bright, dark, rim, field, enclosure)


def _lung_hu(hu: np.ndarray, lungs: np.ndarray) -> float:
    air = hu[lungs]
    return float(np.median(air[::max(1, len(air) // 100_000)])) if len(air) else -850.0


def _without_lung(smooth: np.ndarray, tissue: np.ndarray, lung_hu: float,
                  spacing_mm: tuple[float, ...]) -> np.ndarray:
    """float32: `smooth`, in tissue relieved of the share of lung that blur mixed into it."""
    share = ndimage.gaussian_filter(tissue.astype(np.float32), [BLUR_MM / mm for mm in spacing_mm])
    surface = smooth - np.float32(lung_hu) * (1 - share)
    surface /= np.maximum(share, np.float32(0.3))
    surface[~tissue] = smooth[~tissue]
    return surface


def _limit(surface: np.ndarray, vessels: np.ndarray, spacing_mm: tuple[float, ...]) -> np.ndarray:
    """float32: half way from a clot to the blood nearby."""
    grid = Grid(spacing_mm, GRID_MM)
    sigma = [LUMEN_MM / mm for mm in grid.spacing_mm]
    blood = vessels & (surface > BLOOD_HU)
    level = np.where(blood, np.minimum(surface, np.float32(BRIGHTEST_HU)), np.float32(0))
    weight = ndimage.gaussian_filter(grid.mean(blood), sigma)
    level = ndimage.gaussian_filter(grid.mean(level), sigma)
    # Far from all blood its mean over the volume.
    mean = level.sum() / max(float(weight.sum()), 1e-6)
    lumen = (level + 1e-4 * mean) / (weight + 1e-4)
    return grid.spread(np.clip((CLOT_HU + lumen) / 2, *LIMIT_HU).astype(np.float32), surface.shape)


def _resting_in_clots(scene: _Scene) -> np.ndarray:
    """bool (z, y, x): dark voxels, off the rim, that slide to such a voxel."""
    core = scene.dark & ~scene.rim
    core &= scene.field | (scene.enclosure >= ENCLOSED_BETWEEN_LUNGS)
    moving = core | (scene.bright & ~scene.rim)
    # The rim has fallen to the air already; nothing follows it.
    surface = np.where(scene.rim | ~scene.tissue, np.float32(np.inf), scene.surface)
    kept = np.zeros(core.size, np.bool_)
    kept[np.flatnonzero(moving)] = core.ravel()[slide(surface, moving)]
    return kept.reshape(core.shape) & core


def _measures(labels: np.ndarray, scene: _Scene, spacing_mm: tuple[float, ...]
              ) -> dict[str, np.ndarray]:
    """Measures of the labelled clusters that are large enough, and their labels; each (n,)."""
    at = np.flatnonzero(labels)
    label = labels.ravel()[at]
    count = np.bincount(label, minlength=1)
    chosen = np.flatnonzero(count * math.prod(spacing_mm) >= SMALLEST_MM3)
    chosen = chosen[chosen > 0]

    def mean(values: np.ndarray) -> np.ndarray:
        return np.bincount(label, values.ravel()[at], len(count))[chosen] / count[chosen]

    # The shell: what is within two voxels of the cluster.
    around = ndimage.maximum_filter(labels, 5)
    around[labels > 0] = 0
    shell_at = np.flatnonzero(around)
    shell_label = around.ravel()[shell_at]
    shell = np.maximum(np.bincount(shell_label, minlength=len(count))[chosen], 1)

    def share(mask: np.ndarray) -> np.ndarray:
        return np.bincount(shell_label, mask.ravel()[shell_at], len(count))[chosen] / shell

    volume_mm3 = count[chosen] * math.prod(spacing_mm)
    depth = 2 * (scene.limit - scene.surface) / (2 * scene.limit - 2 * np.float32(CLOT_HU))
    darkness, enclosure = np.clip(mean(depth), 0, 1.3), mean(scene.enclosure) / DIRECTIONS
    size = np.log10(volume_mm3)
    return {"label": chosen, "size": np.minimum(size, 2.5), "darkness": darkness,
            "mass": darkness * np.minimum(np.sqrt(volume_mm3), 12), "enclosure": enclosure,
            "dark enclosure": darkness * enclosure, "large enclosure": size * enclosure,
            "bright shell": share(scene.bright), "dark shell": share(scene.dark),
            "tissue shell": share(scene.tissue), "field": mean(scene.field)}


def _best(volume: Volume, voxels: list[tuple[np.ndarray, int, tuple[slice, ...]]],
          scores: np.ndarray, corner: np.ndarray) -> list[Cluster]:
    """Of clusters (labels, label, where) the best, `APART_MM` apart, placed in the volume."""
    chosen: list[Cluster] = []
    places_mm: list[np.ndarray] = []
    for i in np.argsort(-scores, kind="stable"):
        labels, label, part = voxels[i]
        inside = np.argwhere(labels[part] == label) + [along.start for along in part] + corner
        inside = inside.astype(np.int32)
        place_mm = representative(volume, inside) * np.array(volume.spacing_mm)
        if all(np.linalg.norm(place_mm - other) >= APART_MM for other in places_mm):
            chosen.append(Cluster(inside, float(scores[i])))
            places_mm.append(place_mm)
        if len(chosen) == MOST:
            break
    return chosen


def _near(mask: np.ndarray, radius_mm: float, spacing_mm: tuple[float, ...]) -> np.ndarray:
    """bool: within a distance of the mask."""
    near = mask.copy()
    reach = [int(radius_mm / mm) for mm in spacing_mm]
    for offset in itertools.product(*(range(-r, r + 1) for r in reach)):
        if math.hypot(*(o * mm for o, mm in zip(offset, spacing_mm))) <= radius_mm:
            here, there = _overlap(offset, mask.shape)
            near[here] |= mask[there]
    return near


def _overlap(offset: tuple[int, ...], shape: tuple[int, ...]
             ) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Slices of the voxels whose neighbour at the offset is in the array, and of the neighbours."""
    here = tuple(slice(max(-o, 0), max(n - max(o, 0), 0)) for o, n in zip(offset, shape))
    there = tuple(slice(max(o, 0), max(n - max(-o, 0), 0)) for o, n in zip(offset, shape))
    return here, there


def _box(mask: np.ndarray, spacing_mm: tuple[float, ...]) -> tuple[slice, ...] | None:
    """Bounding box with a margin for smoothing and rim; None of an empty mask."""
    box = []
    for axis, mm in enumerate(spacing_mm):
        along = np.flatnonzero(mask.any(tuple(a for a in range(3) if a != axis)))
        if not len(along):
            return None
        margin = math.ceil(4 * RIM_MM / mm)
        box.append(slice(max(0, along[0] - margin), along[-1] + 1 + margin))
    return tuple(box)
