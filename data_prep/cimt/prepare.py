"""The intima-media task's part in the preparation: pixels to train on, whole regions to test on."""
from __future__ import annotations

import functools
import hashlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from data_prep import manifest
from data_prep import prepare as common
from data_prep.cimt import phantom, pixels, reader
from data_prep.cimt.interfaces import INTERFACES
from data_prep.recipe import Detection, Inspection, Phantom, Recipe, Views
from data_prep.request import Request
from layerwise import regions
from layerwise.contracts import Candidate, PixelCandidate


def inspect(region: reader.Region) -> Inspection:
    """The hash of the frame's pixels and that of what was annotated; a region has two interfaces.

    Raises InputError as `reader.annotated`.
    """
    opened = reader.annotated(region)
    marks = f"{opened.roi} {opened.pixel_um!r} {opened.lines.tolist()}".encode()
    return Inspection(tuple(hashlib.sha256(data).hexdigest()
                            for data in (_bytes(opened.image), marks)), len(INTERFACES))


def _bytes(image: np.ndarray) -> bytes:
    return str(image.shape).encode() + np.ascontiguousarray(image).tobytes()


def detect(region: reader.Region, keep: int) -> Detection:
    """Pixels of a region, see `pixels.candidates`; there are no features of single pixels."""
    rows = pixels.candidates(region, reader.annotated(region), keep)
    return Detection(rows, np.empty((len(rows), 0)))


@dataclass(frozen=True)
class Cut:
    """Cuts patches of `side` x `side` pixels of the frame."""

    side: int

    def __call__(self, image: np.ndarray, candidate: Candidate, view: str) -> np.ndarray:
        """(227, 227, 3) uint8: the surroundings of a pixel, grey in all channels.

        They may lie outside the ROI; beyond the frame its border pixels are repeated.
        """
        assert isinstance(candidate, PixelCandidate)
        patch = regions.cut_patch(image, candidate.x, candidate.y, self.side)
        return np.repeat(patch[:, :, None], 3, axis=2)


def region_to_test(region: reader.Region, side: int) -> regions.Region:
    """A region to test on: its ROI with the frame around it, border pixels repeated."""
    opened, margin = reader.annotated(region), regions.margin_for(side)
    return regions.Region(region.case, region.group,
                          regions.with_margin(opened.image, opened.roi, margin),
                          opened.lines - opened.roi[1], opened.pixel_um, margin, side)


def write_test(folder: Path, cases: Sequence[reader.Region], side: int) -> dict[str, Any]:
    """Write regions.h5 of the test cases; facts of it."""
    path = folder / regions.REGIONS
    regions.write_regions(path, (region_to_test(region, side) for region in cases))
    return {"regions": len(cases), "groups": sorted({region.group for region in cases}),
            "content_sha256": hashlib.sha256(path.read_bytes()).hexdigest()}


def _files(region: reader.Region) -> tuple[Path, Path]:
    return region.image_path, region.lines_path


def recipe(side: int) -> Recipe:
    """The task's recipe for patches of `side` x `side` pixels of the frame."""
    return Recipe(
        task="cimt", kind=PixelCandidate, expects="B-mode frames of the carotid with traced lines",
        read=reader.read_regions, files=_files, inspect=inspect, detect=detect,
        features=(), recall_at=(),
        views=Views(("centre",), ("centre",), reader.load, Cut(side)),
        origin=functools.partial(manifest.origin_or_name, what="frames"),
        phantom=Phantom(phantom.PhantomSettings, phantom.write_phantom, (phantom,)),
        code=(sys.modules[__name__], regions), batch=8,
        write_test=functools.partial(write_test, side=side))


RECIPE = recipe(Request.patch_side)


def prepare(request: Request) -> Path:
    """The intima-media data set of a request; see `data_prep.prepare`."""
    return common.prepare(recipe(request.patch_side), request)
