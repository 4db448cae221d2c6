"""Regions of interest whose every pixel is classified: patches of a pixel, and regions.h5.

Data preparation writes regions.h5 where other tasks have an LMDB of test patches; the networks
read it. `cut_patch` cuts the patch of a pixel.
"""
from __future__ import annotations

import io
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from layerwise.alexnet import INPUT_SHAPE
from layerwise.contracts import write_bytes
from layerwise.errors import InputError

REGIONS = "regions.h5"
PATCH_PX = INPUT_SHAPE[1]
CONTEXT_PX = 355     # what fc6 sees of an image when real pixels stand where Table I pads


@dataclass(frozen=True)
class Region:
    """A region of interest (ROI) of one image, with what surrounds it.

    Attributes:
        image: (rows + 2 margin, columns + 2 margin) uint8 grey values, the ROI in the middle; where
            the image ends within the margin, its border pixels are repeated.
        truth: (2, columns) float64, rows of the lumen-intima and the media-adventitia interface in
            pixels from the centre of the ROI's first row.
        pixel_um: side of the square pixels.
        margin: pixels around the ROI, at least `margin_for(patch_side)`.
        patch_side: side of the square of pixels that becomes a patch.
    """

    case: str
    group: str
    image: np.ndarray
    truth: np.ndarray
    pixel_um: float
    margin: int
    patch_side: int

    @property
    def roi(self) -> np.ndarray:
        """(rows, columns) uint8: the image without its margin, a view."""
        return self.image[self.margin:self.image.shape[0] - self.margin,
                          self.margin:self.image.shape[1] - self.margin]


def margin_for(patch_side: int) -> int:
    """Least margin of a region, in pixels.

    The patches of all its pixels, and what `dense.Convolutional` sees beyond them, then lie within
    the image.
    """
    return math.ceil(patch_side / 2 * CONTEXT_PX / PATCH_PX) + 1


def cut_patch(image: np.ndarray, x: float, y: float, side: float) -> np.ndarray:
    """(227, 227) uint8: the square of `side` pixels around the centre of pixel (x, y), enlarged.

    Bilinear, edge to edge: pixels cover unit squares, the patch's outer edges lie side/2 from the
    centre of pixel (x, y) on all sides. Beyond the image its border pixels are repeated.

    Args:
        image: (rows, columns) uint8 grey values; the three channels of a network are equal.
        x, y: column and row.
    """
    import cv2

    scale = side / PATCH_PX
    # Patch pixel u lies at -side/2 + (u + 1/2) scale from the centre of the image's pixel x.
    first = (scale - side) / 2
    return cv2.warpAffine(image, np.array([[scale, 0.0, x + first], [0.0, scale, y + first]]),
                          (PATCH_PX, PATCH_PX), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
                          borderMode=cv2.BORDER_REPLICATE)


def with_margin(image: np.ndarray, roi: tuple[int, int, int, int], margin: int) -> np.ndarray:
    """(h + 2 margin, w + 2 margin): an ROI (x, y, w, h) of an image (rows, columns) and what is
    around it; beyond the image its border pixels are repeated.
    """
    import cv2

    x, y, w, h = roi
    padded = cv2.copyMakeBorder(image, *[margin] * 4, cv2.BORDER_REPLICATE)
    return np.asarray(padded[y:y + h + 2 * margin, x:x + w + 2 * margin])


def write_regions(path: Path, regions: Iterable[Region]) -> None:
    """Write regions.h5 atomically, made in memory: HDF5 itself is silent on a full disk.

    One group per region, in order, named by its number since a case's name may hold a slash:
    datasets `image` and `truth`; attributes case, group, pixel_um, margin, patch_side. Equal
    regions give equal bytes.
    """
    import h5py

    content = io.BytesIO()
    with h5py.File(content, "w") as archive:
        for number, region in enumerate(regions):
            _check(region, path)
            entry = archive.create_group(f"{number:06d}")
            entry.create_dataset("image", data=region.image, track_times=False)
            entry.create_dataset("truth", data=region.truth, track_times=False)
            for name in ("case", "group", "pixel_um", "margin", "patch_side"):
                entry.attrs[name] = getattr(region, name)
    write_bytes(path, content.getbuffer())


def read_regions(path: Path) -> list[Region]:
    """Regions of a regions.h5 in the order written.

    Raises InputError when it is missing, is not of this form, or holds a case twice.
    """
    import h5py

    if not path.is_file():
        raise InputError(f"{path}: no such file; run `layerwise prepare` again")
    try:
        with h5py.File(str(path), "r") as archive:
            regions = [_region(archive[name]) for name in sorted(archive)]
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: not a file of regions ({error}); "
                         "run `layerwise prepare` again") from None
    for region in regions:
        _check(region, path)
    if len({region.case for region in regions}) < len(regions) or not regions:
        raise InputError(f"{path}: holds no region, or a case twice; run `layerwise prepare` again")
    return regions


def _region(entry: Any) -> Region:
    attributes = entry.attrs
    return Region(str(attributes["case"]), str(attributes["group"]), entry["image"][()],
                  entry["truth"][()], float(attributes["pixel_um"]), int(attributes["margin"]),
                  int(attributes["patch_side"]))


def _check(region: Region, path: Path) -> None:
    """InputError for a region whose parts do not fit together."""
    image, margin = region.image, region.margin
    if image.ndim != 2 or image.dtype != np.uint8 or min(image.shape) <= 2 * margin:
        fault = f"image is {image.dtype} of shape {image.shape}"
    elif region.truth.shape != (2, region.roi.shape[1]) or not np.isfinite(region.truth).all():
        fault = f"truth is of shape {region.truth.shape} or not finite"
    elif not region.pixel_um > 0:
        fault = f"pixel_um is {region.pixel_um}"
    elif region.patch_side < 1 or margin < margin_for(region.patch_side):
        fault = f"margin {margin} is too small for patch_side {region.patch_side}"
    else:
        return
    raise InputError(f"{path}: region {region.case}: {fault}")
