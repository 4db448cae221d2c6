"""Your own images' part in the preparation: regions with labels, and patches of them."""
from __future__ import annotations

import functools
import hashlib
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from data_prep import images, manifest, sets
from data_prep import prepare as common
from data_prep.own import division, oddities, pixels, reader, views
from data_prep.recipe import Detection, Inspection, Recipe
from data_prep.request import Request
from layerwise.contracts import BoxCandidate, read_candidates, read_cases
from layerwise.errors import InputError

MOST_REGIONS = 10_000     # of one image


def inspect(image: reader.OwnImage) -> Inspection:
    """The file's hash, and how many of its regions are not of the negative class.

    Raises InputError for a damaged file, and for a box that lies outside the image.
    """
    path = image.image_path
    data = images.read_bytes(path)
    height, width = pixels.stored(path, data).shape[:2]
    for _, box in image.regions:
        if box is not None and not (box[0] < width and box[1] < height
                                    and box[0] + box[2] > 0 and box[1] + box[3] > 0):
            raise InputError(f"{path}: box {', '.join(f'{value:g}' for value in box)} lies outside "
                             f"the image of {width}x{height} pixels")
    return Inspection((hashlib.sha256(data).hexdigest(),),
                      sum(label > 0 for label, _ in image.regions))


def detect(image: reader.OwnImage, keep: int) -> Detection:
    """The regions themselves, in the order of the table; nothing is searched for."""
    height, width = pixels.load(image.image_path).shape[:2]
    rows = []
    for number, (label, box) in enumerate(image.regions[:keep], start=1):
        name = image.case if len(image.regions) == 1 else f"{image.case}:{number}"
        rows.append(BoxCandidate(image.case, image.group, name, name if label else "", label,
                                 *(box or (0.0, 0.0, float(width), float(height))), score=0.0))
    return Detection(tuple(rows), np.zeros((len(rows), 0)))


def _files(image: reader.OwnImage) -> tuple[Path]:
    return (image.image_path,)


def _origin(source: Path) -> str:
    folder = source if source.is_dir() else source.parent
    return manifest.origin_of(folder) or ""


RECIPE = Recipe(
    task="own", kind=BoxCandidate, expects="images with labels",
    read=reader.read_images, files=_files, inspect=inspect, detect=detect,
    features=(), recall_at=(MOST_REGIONS,), views=views.ALL, origin=_origin, phantom=None,
    code=(sys.modules[__name__],), batch=8,
    divide=division.divide, warn=oddities.warnings)


def classes(source: Path, negative: str = "") -> tuple[str, ...]:
    """Names of the classes, the negative one first; see `reader.read_classes`."""
    return reader.read_classes(source, negative)


def prepare(request: Request) -> Path:
    """The data set of a request, and a line printed for each class; see `data_prep.prepare`."""
    if request.source is None:
        raise InputError(f"task {RECIPE.task} has no phantom; name your images by --images")
    names = classes(request.source, request.negative)
    recipe = replace(                    # with what the request says of negative class and views
        RECIPE, read=functools.partial(reader.read_images, negative=request.negative),
        views=views.UPRIGHT if request.upright else views.ALL,
        warn=functools.partial(oddities.warnings, classes=names))
    dataset = common.prepare(recipe, request)
    beside = reader.left_out(request.source)
    if beside:
        print(f"  warning: {len(beside)} files beside the images were not read, {beside[0]} the "
              "first")
    for line in class_lines(dataset, names):
        print(line)
    return dataset


def class_lines(dataset: Path, names: Sequence[str]) -> list[str]:
    """What each class has to be trained, validated and tested on, one line each.

    Args:
        dataset: a finished data set; all of its validation sets have the same groups.
        names: of the classes, index = label.
    """
    side_of = {case.group: "training" if case.split == "train" else "test"
               for case in read_cases(dataset / "cases.csv")}
    for folder in sets.written_sets(dataset):
        if folder.name.startswith("validation"):
            side_of.update((row.group, "validation")
                           for row in read_candidates(folder / "candidates.csv"))
    lines = []
    rows = read_candidates(dataset / "candidates.csv")
    for label, name in enumerate(names):
        parts = []
        for side in ("training", "validation", "test"):
            held = [row for row in rows if row.label == label and side_of[row.group] == side]
            cases, groups = {row.case for row in held}, {row.group for row in held}
            regions = f" ({len(held)} regions)" if len(held) > len(cases) else ""
            parts.append(f"{side} {len(cases)}{regions} in {len(groups)}")
        lines.append(f"  class {name}{' (negative)' if label == 0 else ''}, images in groups: "
                     + ", ".join(parts))
    return lines
