"""The polyp task's part in the preparation of data: frames with masks, boxes, 120 views a box."""
from __future__ import annotations

import functools
import sys
from pathlib import Path

import numpy as np

from data_prep import images, manifest, patches
from data_prep import prepare as common
from data_prep.polyp import (
    candidates,
    phantom,
    reader,
)
from data_prep.recipe import Phantom, Recipe, Views
from data_prep.request import Request
from layerwise.contracts import BoxCandidate, Candidate

_AUGMENTATIONS = {view.name: view for view in patches.AUGMENTATIONS}


def cut(image: np.ndarray, candidate: Candidate, view: str) -> np.ndarray:
    """(227, 227, 3) uint8 BGR: one view of a candidate's box."""
    assert isinstance(candidate, BoxCandidate)
    return patches.extract(image, (candidate.x, candidate.y, candidate.w, candidate.h),
                           _AUGMENTATIONS[view])


def _files(frame: reader.Frame) -> tuple[Path, ...]:
    return tuple(path for path in (frame.image_path, frame.mask_path, frame.kinds_path) if path)


RECIPE = Recipe(
    task="polyp", kind=BoxCandidate, expects="colonoscopy frames",
    read=reader.read_frames, files=_files, inspect=candidates.inspect, detect=candidates.detect,
    learn=candidates.learn,
    features=(), recall_at=(1, 2, 3, 5, 10),
    views=Views(tuple(_AUGMENTATIONS),
                tuple(view.name for view in patches.test_augmentations(len(_AUGMENTATIONS))),
                images.load_bgr8, cut),
    origin=functools.partial(manifest.origin_or_name, what="frames"),
    phantom=Phantom(phantom.PhantomSettings, phantom.write_phantom, (phantom,)),
    code=(sys.modules[__name__],), batch=4)


def prepare(request: Request) -> Path:
    """The polyp data set of a request; see `data_prep.prepare`."""
    return common.prepare(RECIPE, request)
