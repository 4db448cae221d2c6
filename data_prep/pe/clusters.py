"""Embolus candidates: dark regions in bright vessels, found by tobogganing.

After Liang and Bi (IPMI 2007) as far as it is told there: vessel voxels slide to the lowest
neighbour, those at the wall fall out to the lung's air and are dropped, those that end in a minimum
of a clot's density form clusters, and basins that share a boundary are one. All numbers are ours,
and so are three steps. The lung's share is taken out of every voxel first, or all of a clot in a
thin artery would fall to the air with its wall. What belongs to the inside of a vessel is told by
the directions that lead to blood. And clusters are nested: each is offered whole and, where parts
of it are walled in more tightly, in those parts.
"""
from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Optional

import numpy as np
from scipy import ndimage

from data_prep.pe import suspicion
from data_prep.pe.lumen_scene import Scene, look, smoothed
from data_prep.pe.segment import Segmentation
from data_prep.pe.toboggan import slide
from data_prep.pe.volume import Volume

MOST = 62
"""Clusters a volume, the best scored: fewer than 60 false positives where two hit an embolus."""
RIM_MM = 1.8
"""Tissue less than this from air is the rim, which falls to the air."""
ENCLOSED = (0, 8, 12, 16, 20, 24)
"""Directions of 26 that lead to blood, for the nested clusters. Beside a flat wall it is 9 at
most."""
ENCLOSED_BETWEEN_LUNGS = 16
"""The least outside the lung field, where fat and muscle are as dark as clots."""
APART_MM = 5.0
"""Of two clusters whose places are closer the better one stays."""
MARGIN_MM = 8.0
"""Around the vessels, for smoothing."""
NEIGHBOURS = np.ones((3, 3, 3))


@dataclass(frozen=True)
class Cluster:
    """A candidate. `voxels`: int32 (n, 3), z, y, x, in C order, without the rim; `place`: int32
    (3,), the one of them that stands for it; `score`: larger is more suspicious."""

    voxels: np.ndarray
    place: np.ndarray
    score: float


def find_clusters(volume: Volume, segmentation: Segmentation) -> list[Cluster]:
    """Candidates of a volume, best first, at most `MOST`; none where there is no vessel."""
    box = _box(segmentation.vessels, volume.spacing_mm)
    if box is None:
        return []
    scene = look(volume.hu[box], segmentation.lungs[box], segmentation.vessels[box],
                 volume.spacing_mm)
    found: list[tuple[float, np.ndarray, int, tuple[slice, ...]]] = []
    for labels in nested(scene):
        measured = suspicion.measure(labels, scene, volume.spacing_mm)
        parts = ndimage.find_objects(labels)
        found.extend((score, labels, label, parts[label - 1]) for score, label in
                     zip(suspicion.score(measured).tolist(), measured.labels.tolist()))
    found.sort(key=lambda candidate: -candidate[0])
    corner = np.array([along.start for along in box])
    chosen: list[Cluster] = []
    places_mm: list[np.ndarray] = []
    for score, labels, label, part in found:
        inside = np.argwhere(labels[part] == label) + [along.start for along in part] + corner
        voxels = inside.astype(np.int32)
        place = representative(volume, voxels)
        place_mm = place * np.array(volume.spacing_mm)
        if all(np.linalg.norm(place_mm - other) >= APART_MM for other in places_mm):
            chosen.append(Cluster(voxels, place, score))
            places_mm.append(place_mm)
        if len(chosen) == MOST:
            break
    return chosen


def nested(scene: Scene) -> list[np.ndarray]:
    """Clusters of dark voxels that slide to dark voxels, at each step of `ENCLOSED`: labels int32
    (z, y, x)."""
    inner = scene.depth_mm >= RIM_MM
    core = scene.dark & inner
    core &= scene.field | (scene.enclosure >= ENCLOSED_BETWEEN_LUNGS)
    moving = core | (scene.bright & inner)
    # The rim has fallen to the air already; nothing follows it.
    rest = slide(np.where(inner, scene.surface, np.float32(np.inf)), moving)
    kept = np.zeros(core.size, np.bool_)
    kept[np.flatnonzero(moving)] = core.ravel()[rest]
    kept = kept.reshape(core.shape) & core
    return [ndimage.label(kept & (scene.enclosure >= least), NEIGHBOURS)[0] for least in ENCLOSED]


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


def _box(mask: np.ndarray, spacing_mm: tuple[float, ...]) -> Optional[tuple[slice, ...]]:
    """Bounding box with a margin; None of an empty mask."""
    box = []
    for axis, mm in enumerate(spacing_mm):
        along = np.flatnonzero(mask.any(tuple(a for a in range(3) if a != axis)))
        if not len(along):
            return None
        margin = math.ceil(MARGIN_MM / mm)
        box.append(slice(max(0, along[0] - margin), along[-1] + 1 + margin))
    return tuple(box)
