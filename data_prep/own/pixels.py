"""Pixels of any image as 8-bit BGR: PNG, JPEG, single-page TIFF, and single-frame DICOM.

DICOM values become grey levels by the file's own window (its VOI LUT, or the first of its window
centres and widths, PS3.3 C.11.2); without one, by the full range that BitsStored allows after the
rescaling. The range is never the picture's own: brightness has to mean the same in all images.
MONOCHROME1 (high is dark) is inverted.
"""
from __future__ import annotations

import io
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.pixel_data_handlers.util import (
    apply_modality_lut,
    apply_voi_lut,
    convert_color_space,
)

from data_prep import images
from data_prep.dicom_file import GREY, is_dicom, reading
from layerwise.errors import InputError

_TIFF_KINDS = {b"II*\0": ("<", False), b"MM\0*": (">", False),     # byte order, BigTIFF
               b"II+\0": ("<", True), b"MM\0+": (">", True)}
DICOM_SUFFIXES = (".dcm", ".dicom")


def load(path: Path) -> np.ndarray:
    """(h, w, 3) BGR uint8 of an image file. Raises InputError when it is missing or damaged."""
    data = images.read_bytes(path)
    return images.to_bgr8(stored(path, data))


def stored(path: Path, data: bytes) -> np.ndarray:
    """Pixels as stored: (h, w) or (h, w, 3) BGR, uint8 or uint16; of a DICOM file as windowed.

    Raises InputError naming the file.
    """
    if is_dicom(data) or path.suffix.lower() in DICOM_SUFFIXES:
        return _dicom(path, data)
    pages = _tiff_pages(data)
    if pages > 1:
        raise InputError(f"{path}: {pages} pages; export the pages you labelled as single images")
    return images.decode(path, data)


def _tiff_pages(data: bytes) -> int:
    """Pages of a TIFF file, 0 of any other; thumbnails and masks (NewSubfileType) are none.

    TIFF 6.0, section 2, and BigTIFF. Directories that are damaged are not counted.
    """
    order, big = _TIFF_KINDS.get(data[:4], ("", False))
    if not order:
        return 0
    length, offset, entry, value = ("Q", "Q", 20, 12) if big else ("H", "I", 12, 8)
    place, seen, pages = 8 if big else 4, set[int](), 0
    try:
        while True:
            start, = struct.unpack_from(order + offset, data, place)
            if start == 0 or start in seen:
                return pages
            seen.add(start)
            entries, = struct.unpack_from(order + length, data, start)
            first = start + struct.calcsize(order + length)
            place = first + entries * entry
            struct.unpack_from(order + offset, data, place)     # the directory is whole
            tags = {struct.unpack_from(order + "H", data, at)[0]: at + value
                    for at in range(first, place, entry)}
            kind = struct.unpack_from(order + "I", data, tags[254])[0] if 254 in tags else 0
            pages += not kind & 0b101
    except (struct.error, OverflowError):     # beyond the file's end, or any file's
        return pages


def _dicom(path: Path, data: bytes) -> np.ndarray:
    foreign = "not a DICOM file; replace or rename it"
    with reading(path, "damaged DICOM file ({}); replace it", foreign):
        dataset = pydicom.dcmread(io.BytesIO(data), force=False)
        if str(dataset.get("NumberOfFrames", "") or "1") != "1":
            raise InputError(f"{path}: {dataset.NumberOfFrames} frames; export the frames you "
                             "labelled as single images")
    with reading(path, "pixels cannot be decoded ({}); decompress it (gdcmconv --raw, dcmdjpeg) or "
                 "replace it", foreign):
        return _displayed(path, dataset)


def _displayed(path: Path, dataset: Any) -> np.ndarray:
    """Grey (h, w) or BGR (h, w, 3), uint8."""
    kind = str(dataset.get("PhotometricInterpretation", ""))
    values = dataset.pixel_array
    if kind not in GREY:
        if kind != "RGB" and not kind.startswith("YBR_FULL"):
            raise InputError(f"{path}: colours are {kind or 'of no kind'}, expected "
                             "MONOCHROME1, MONOCHROME2, RGB or YBR_FULL; convert it to PNG")
        if values.dtype != np.uint8 or values.ndim != 3:
            raise InputError(f"{path}: colours are {values.dtype}, expected 8 bits each")
        rgb = values if kind == "RGB" else convert_color_space(values, kind, "RGB")
        return np.ascontiguousarray(rgb[:, :, ::-1])
    for name in ("WindowCenter", "WindowWidth"):
        if name in dataset and dataset[name].VM == 0:
            del dataset[name]
    # pydicom's window gives the range that values without a window have.
    real = np.asarray(apply_voi_lut(apply_modality_lut(values, dataset), dataset), np.float64)
    low, high = _range(dataset)
    grey = np.asarray(np.round(255 * np.clip((real - low) / (high - low), 0, 1)), np.uint8)
    return 255 - grey if kind == GREY[0] else grey


def _range(dataset: Any) -> tuple[float, float]:
    """Lowest and highest value that a pixel can have after its look-up tables."""
    for name in ("VOILUTSequence", "ModalityLUTSequence"):
        if name in dataset:
            return 0.0, float(2 ** int(dataset[name].value[0].LUTDescriptor[2]) - 1)
    bits = int(dataset.BitsStored)
    ends = (-2 ** (bits - 1), 2 ** (bits - 1) - 1) if int(dataset.PixelRepresentation) \
        else (0, 2 ** bits - 1)
    slope = float(dataset.get("RescaleSlope", 1))
    rescaled = [end * slope + float(dataset.get("RescaleIntercept", 0)) for end in ends]
    return min(rescaled), max(rescaled)
