"""The embolism task's part in the preparation: volumes, clusters, 90 views along a vessel."""
from __future__ import annotations

import functools
import hashlib
import sys
from pathlib import Path

import numpy as np

from data_prep import manifest
from data_prep import prepare as common
from data_prep.pe import (
    alignment,
    clusters,
    features,
    phantom,
    planes,
    reader,
    segment,
    volume,
)
from data_prep.pe.alignment import VesselFrame
from data_prep.pe.reader import Scan
from data_prep.pe.volume import Volume
from data_prep.recipe import Detection, Inspection, Phantom, Recipe, Views
from data_prep.request import Request
from layerwise.contracts import Candidate, VesselCandidate


def inspect(scan: Scan) -> Inspection:
    """Hashes of a scan's voxels and emboli and how many emboli there are.

    The hash is of what was read, so that a series and its conversion to NIfTI are the same image.
    Raises InputError as `reader.load`.
    """
    image, truth = reader.load(scan)
    hashes = tuple(hashlib.sha256(np.ascontiguousarray(values)).hexdigest()
                   for values in (image.hu, truth))
    return Inspection(hashes, int(truth.max()))


def detect(scan: Scan, keep: int) -> Detection:
    """The `keep` best clusters of a scan, best first, with the handcrafted system's features.

    A cluster hits the embolus that its place lies in.
    """
    image, truth = reader.load(scan)
    found = segment.segment(image)
    rows: list[VesselCandidate] = []
    values: list[np.ndarray] = []
    for cluster in clusters.find_clusters(image, found)[:keep]:
        frame = alignment.vessel_frame(image, found.vessels, cluster.voxels, cluster.place)
        embolus = int(truth[tuple(cluster.place)])
        (z, y, x), (axis_z, axis_y, axis_x), (side_z, side_y, side_x) = (
            vector.tolist() for vector in (frame.centre_mm, frame.axis, frame.side))
        rows.append(VesselCandidate(
            scan.case, scan.group, f"{scan.case}:c{len(rows) + 1:02d}",
            f"{scan.case}:{embolus}" if embolus else "", int(embolus > 0),
            x, y, z, axis_x, axis_y, axis_z, side_x, side_y, side_z, cluster.score))
        values.append(features.features(image, found, cluster, frame))
    return Detection(tuple(rows), np.array(values).reshape(len(rows), len(features.FEATURES)))


def cut(image: Volume, candidate: Candidate, view: str) -> np.ndarray:
    """(227, 227, 3) uint8: one view of a candidate, see `planes`."""
    assert isinstance(candidate, VesselCandidate)
    row = candidate
    frame = VesselFrame(np.array([row.z_mm, row.y_mm, row.x_mm]),
                        np.array([row.axis_z, row.axis_y, row.axis_x]),
                        np.array([row.side_z, row.side_y, row.side_x]))
    return planes.cut(image, frame, view)


def _files(scan: Scan) -> list[Path]:
    volume_files = sorted(scan.volume_path.iterdir()) if scan.volume_path.is_dir() else []
    return [scan.volume_path, *volume_files, *([scan.emboli_path] if scan.emboli_path else [])]


RECIPE = Recipe(
    task="pe", kind=VesselCandidate, expects="contrast-enhanced CT angiograms of the chest",
    read=reader.read_scans, files=_files, inspect=inspect, detect=detect,
    features=features.FEATURES, recall_at=(5, 10, 20, 40, 60),
    views=Views(planes.VIEW_NAMES, planes.TEST_ORDER, volume.read_volume, cut),
    origin=functools.partial(manifest.origin_or_name, what="volumes"),
    phantom=Phantom(phantom.PhantomSettings, phantom.write_phantom, (phantom,)),
    code=(sys.modules[__name__],), batch=1)


def prepare(request: Request) -> Path:
    """The embolism data set of a request; see `data_prep.prepare`."""
    return common.prepare(RECIPE, request)
