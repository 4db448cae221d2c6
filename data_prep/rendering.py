"""Patches of a single image, as a task cuts those it was trained and tested on."""
from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Optional

import numpy as np

from data_prep.recipe import Recipe
from layerwise.contracts import BoxCandidate, Candidate
from layerwise.errors import InputError
from layerwise.tasks import task_named

Box = tuple[float, ...]
# Whether a patch can be cut without a box: then it is of the whole image.
TASKS = {"own": True, "frames": True, "polyp": False}

LARGEST_BOX = 10      # times the image, across or down


def renderer(task: str, box: Optional[Box]) -> Callable[[Path, Sequence[str]], np.ndarray]:
    """What makes (views, 3, 227, 227) uint8 BGR of an image's file and names of views.

    Args:
        box: x, y, w, h in pixels; None for the whole image.

    Raises InputError for a task whose patches are not cut from one image, and where the box is
    missing or has no use. The function raises InputError for an image that cannot be used.
    """
    if task not in TASKS:
        raise InputError(f"patches of task {task} are not cut from single images; predict knows "
                         f"{', '.join(TASKS)}")
    recipe: Recipe = import_module(task_named(task).preparer).RECIPE
    boxed = recipe.kind is BoxCandidate
    if box is None and not TASKS[task]:
        raise InputError(f"task {task}: name the candidate's box by --box X,Y,W,H")
    if box is not None and not boxed:
        raise InputError(f"task {task}: its patches come from all over the image; leave --box out")

    def render(path: Path, views: Sequence[str]) -> np.ndarray:
        image = recipe.views.load(path)
        height, width = image.shape[:2]
        candidate = Candidate(path.stem, "", path.stem, "", 0)
        if boxed:
            x, y, w, h = box or (0.0, 0.0, float(width), float(height))
            if x >= width or y >= height or x + w <= 0 or y + h <= 0:
                raise InputError(f"{path}: the box lies outside the image of {width}x{height} "
                                 "pixels")
            if max(w / width, h / height) > LARGEST_BOX:
                raise InputError(f"{path}: the box is more than {LARGEST_BOX} times as large as "
                                 f"the image of {width}x{height} pixels")
            candidate = BoxCandidate(path.stem, "", path.stem, "", 0, x, y, w, h, 0.0)
        return np.stack([recipe.views.cut(image, candidate, view).transpose(2, 0, 1)
                         for view in views])

    return render
