"""The frame task's part in the preparation: frames with labels, crops at random places."""
from __future__ import annotations

import functools
import hashlib
import sys
from pathlib import Path

from data_prep import images, manifest
from data_prep import prepare as common
from data_prep.frames import (
    crops,
    features,
    phantom,
    reader,
)
from data_prep.recipe import Detection, Inspection, Phantom, Recipe, Views
from data_prep.request import Request
from layerwise.contracts import Candidate


def inspect(frame: reader.Frame) -> Inspection:
    """The file's hash; what is to be found in a frame ("lesions") is that it is informative.

    Raises InputError for a damaged file and a frame too small for a crop.
    """
    path = frame.image_path
    data = images.read_bytes(path)
    crops.fitted(path, images.to_bgr8(images.decode(path, data)))
    return Inspection((hashlib.sha256(data).hexdigest(),), int(frame.informative))


def detect(frame: reader.Frame, keep: int) -> Detection:
    """The frame itself, which is the one candidate in it; features are of all of it."""
    row = Candidate(frame.case, frame.group, frame.case, frame.case if frame.informative else "",
                    int(frame.informative))
    return Detection((row,), features.features(crops.load(frame.image_path))[None])


def _files(frame: reader.Frame) -> tuple[Path]:
    return (frame.image_path,)


RECIPE = Recipe(
    task="frames", kind=Candidate, expects="colonoscopy frames",
    read=reader.read_frames, files=_files, inspect=inspect, detect=detect,
    features=features.FEATURES, recall_at=(1,),
    views=Views(crops.TRAINING_VIEWS, crops.VIEWS, crops.load, crops.cut),
    origin=functools.partial(manifest.origin_or_name, what="frames"),
    phantom=Phantom(phantom.PhantomSettings, phantom.write_phantom, (phantom,)),
    code=(sys.modules[__name__],), batch=8)


def prepare(request: Request) -> Path:
    """The frame data set of a request; see `data_prep.prepare`."""
    return common.prepare(RECIPE, request)
