"""One ultrasound frame out of a DICOM file, and its pixel size.

The scale of an ultrasound image is not in PixelSpacing but in its regions (SequenceOfUltrasound-
Regions, DICOM PS3.3 C.8.5.5), in cm per pixel: a screen holds several images.
"""
from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

import cv2
import numpy as np
import pydicom

from data_prep.dicom_file import GREY, reading
from layerwise.errors import InputError

SQUARE_TOLERANCE = 0.01     # by how much the sides of a pixel may differ
_TWO_DIMENSIONAL, _CENTIMETRES = 1, 3       # RegionSpatialFormat, PhysicalUnitsXDirection
_COLOUR, _LUMA = ("RGB",), ("YBR_FULL", "YBR_FULL_422")

Box = tuple[int, int, int, int]     # x, y of the first pixel, w, h


@dataclass(frozen=True)
class Scaled:
    """A rectangle of the screen in which pixels have one size."""

    box: Box
    pixel_um: tuple[float, float]   # across, down

    def holds(self, box: Box) -> bool:
        """Whether a box lies wholly inside."""
        (x, y, w, h), (left, top, width, height) = box, self.box
        return left <= x and top <= y and x + w <= left + width and y + h <= top + height


def decode(path: Path, data: bytes) -> tuple[np.ndarray, tuple[Scaled, ...]]:
    """(rows, columns) uint8 grey values, and the scaled regions of the frame.

    More than 8 stored bits become 8 over their whole range; colours become luminance. InputError
    for a damaged file, several frames, other values, and pixels that pydicom does not decode here.
    """
    with reading(path, "damaged DICOM file or one that cannot be decoded here ({}); export the "
                 "frame as PNG", "not a DICOM file; export the frame as PNG"):
        dataset = pydicom.dcmread(io.BytesIO(data))
        frames = int(dataset.get("NumberOfFrames") or 1)
        if frames != 1:
            raise InputError(f"{path}: {frames} frames; export the one that was traced")
        scaled = tuple(filter(None, map(_scaled, dataset.get("SequenceOfUltrasoundRegions") or ())))
        if hasattr(dataset, "pixel_array_options"):     # pydicom 3 would turn luma into RGB
            dataset.pixel_array_options(raw=True)
        return _grey(path, dataset, dataset.pixel_array), scaled


def _scaled(region: pydicom.Dataset) -> Optional[Scaled]:
    """The region, None unless it is an image measured in centimetres."""
    def number(name: str) -> float:
        return float(region.get(name, 0))

    if number("RegionSpatialFormat") != _TWO_DIMENSIONAL or any(
            number(f"PhysicalUnits{axis}Direction") != _CENTIMETRES for axis in "XY"):
        return None
    left, top, right, bottom = (int(number(f"RegionLocation{name}"))
                                for name in ("MinX0", "MinY0", "MaxX1", "MaxY1"))
    across, down = (abs(number(f"PhysicalDelta{axis}")) * 1e4 for axis in "XY")
    return Scaled((left, top, right - left + 1, bottom - top + 1), (across, down))


def _grey(path: Path, dataset: Any, stored: np.ndarray) -> np.ndarray:
    kind = str(dataset.get("PhotometricInterpretation", ""))
    signed = int(dataset.get("PixelRepresentation") or 0)
    if kind not in (*GREY, *_COLOUR, *_LUMA) or signed:
        raise InputError(f"{path}: pixels are {'signed ' * signed}{kind or 'of no known kind'}; "
                         "export the frame as PNG")
    bits = int(dataset.get("BitsStored", 8))
    if bits > 8:
        stored = stored >> (bits - 8)
    stored = np.ascontiguousarray(stored).astype(np.uint8)
    if kind in _COLOUR:
        return np.asarray(cv2.cvtColor(stored, cv2.COLOR_RGB2GRAY))
    if kind in _LUMA:
        return np.ascontiguousarray(stored[:, :, 0])
    return 255 - stored if kind == "MONOCHROME1" else stored
