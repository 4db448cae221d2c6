"""A folder of single-frame DICOM slices as one stack, ordered by where the slices lie.

File names and InstanceNumber say nothing about the place of a slice; ImagePositionPatient along the
normal of ImageOrientationPatient does (DICOM PS3.3 C.7.6.2).
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pydicom

from data_prep.dicom_file import reading
from data_prep.pe.grid import MAX_SINE, lps_to_ras
from data_prep.pe.hounsfield import HU_RANGE, to_hu
from layerwise.errors import InputError

# Slices closer than this lie at one place.
_SAME_PLACE_MM = 0.01
# How far a slice may be from its place on the regular grid, as a part of the spacing: positions are
# often rounded to 0.1 mm.
_IRREGULARITY = 0.1
# What must be equal in all slices, and how many numbers it holds.
_GEOMETRY = (("Rows", 1), ("Columns", 1), ("PixelSpacing", 2), ("ImageOrientationPatient", 6))
_PER_SLICE = (("ImagePositionPatient", 3), ("RescaleSlope", 1), ("RescaleIntercept", 1))
# What a CT slice says of its values; the empty string is for an absent tag.
_CT = (("Modality", ("CT",)), ("SamplesPerPixel", ("1",)),
       ("PhotometricInterpretation", ("MONOCHROME2",)), ("NumberOfFrames", ("", "1")),
       ("RescaleType", ("", "HU", "US")))
_UNCOMPRESSED = ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.1.99",
                 "1.2.840.10008.1.2.2")
_DAMAGED = "damaged DICOM file ({}); replace it"
_FOREIGN = "not a DICOM file; move it out of the series' folder"


@dataclass(frozen=True)
class _Slice:
    path: Path
    series: str                         # SeriesInstanceUID
    numbers: dict[str, np.ndarray]      # the tags of _GEOMETRY and _PER_SLICE


def read_series(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """(columns, rows, slices) int16 in HU, and (4, 4) from that index to mm in RAS.

    Raises InputError naming the folder or the file for: a file that is no DICOM or damaged, several
    series, other modalities and values than CT's, missing geometry, slices that differ in geometry,
    lie at one place, are missing, unevenly spaced or sheared (gantry tilt), and compressed pixels
    that the installed pydicom does not decode.
    """
    slices = [_read_header(path) for path in _files(folder)]
    _check_one_series(folder, slices)
    row, column = slices[0].numbers["ImageOrientationPatient"].reshape(2, 3)
    normal = np.cross(row, column)
    slices.sort(key=lambda item: float(item.numbers["ImagePositionPatient"] @ normal))
    positions = np.array([item.numbers["ImagePositionPatient"] for item in slices])
    spacing_mm = _slice_spacing(folder, slices, positions, normal)
    row_spacing_mm, column_spacing_mm = slices[0].numbers["PixelSpacing"]
    affine = np.eye(4)
    affine[:3, :3] = np.column_stack((row * column_spacing_mm, column * row_spacing_mm,
                                      normal * spacing_mm))
    affine[:3, 3] = positions[0]
    height, width = (int(slices[0].numbers[name]) for name in ("Rows", "Columns"))
    stack = np.empty((len(slices), height, width), np.int16)
    for plane, item in zip(stack, slices):
        plane[...] = _pixels(item)
    return stack.transpose(2, 1, 0), lps_to_ras(affine)


def _files(folder: Path) -> list[Path]:
    paths = [path for path in sorted(folder.iterdir())
             if not path.name.startswith(".") and path.name != "DICOMDIR"]
    for path in paths:
        if not path.is_file():
            raise InputError(f"{path}: a folder within a DICOM series; put the files of one series "
                             "directly in its folder")
    if len(paths) < 2:
        raise InputError(f"{folder}: {len(paths)} slices; expected the files of one DICOM series")
    return paths


def _read_header(path: Path) -> _Slice:
    with reading(path, _DAMAGED, _FOREIGN):
        header = pydicom.dcmread(str(path), stop_before_pixels=True)
        for name, expected in _CT:
            if str(header.get(name, "")) not in expected:
                raise InputError(f"{path}: {name} is {str(header.get(name, ''))!r}, expected "
                                 f"{expected[-1]}; keep only the slices of one CT series")
        return _Slice(path, str(header.get("SeriesInstanceUID", "")),
                      {name: _numbers(path, header, name, count)
                       for name, count in (*_GEOMETRY, *_PER_SLICE)})


def _numbers(path: Path, header: pydicom.Dataset, name: str, count: int) -> np.ndarray:
    """A tag's numbers, (count,); for one number ()."""
    try:
        value: Any = header[name].value
        numbers = np.asarray(value, np.float64)
    except (KeyError, TypeError, ValueError):
        numbers = np.empty(0)
    if numbers.size != count or not np.isfinite(numbers).all():
        raise InputError(f"{path}: no usable {name}; export the series again as CT slices with "
                         "geometry and rescale values")
    return numbers.reshape(() if count == 1 else (count,))


def _check_one_series(folder: Path, slices: Sequence[_Slice]) -> None:
    first = slices[0]
    series = {item.series: item.path.name for item in slices}
    if len(series) > 1:
        names = list(series.values())
        raise InputError(f"{folder}: mixed series ({len(series)} of them, as {names[0]} and "
                         f"{names[1]}); keep one series per folder")
    for item in slices:
        for name, _ in _GEOMETRY:
            if not np.allclose(item.numbers[name], first.numbers[name], rtol=0, atol=1e-4):
                raise InputError(f"{folder}: mixed series ({first.path.name} and {item.path.name} "
                                 f"differ in {name}); keep one series per folder")
    lengths = np.linalg.norm(first.numbers["ImageOrientationPatient"].reshape(2, 3), axis=1)
    if not np.allclose(lengths, 1.0, atol=MAX_SINE):
        raise InputError(f"{first.path}: ImageOrientationPatient holds no unit vectors; export "
                         "the series again")


def _slice_spacing(folder: Path, slices: Sequence[_Slice], positions: np.ndarray,
                   normal: np.ndarray) -> float:
    """Distance of slices in mm; `slices` and `positions` (n, 3) in their order along `normal`."""
    offsets = positions - positions[0]
    along = offsets @ normal
    gaps = np.diff(along)
    closest, widest = int(gaps.argmin()), int(gaps.argmax())
    if gaps[closest] < _SAME_PLACE_MM:
        raise InputError(f"{folder}: duplicate slice ({slices[closest].path.name} and "
                         f"{slices[closest + 1].path.name} lie at the same place); keep one "
                         "reconstruction")
    sideways = np.linalg.norm(offsets - np.outer(along, normal), axis=1).max()
    if sideways > MAX_SINE * along[-1]:
        degrees = np.degrees(np.arctan2(sideways, along[-1]))
        raise InputError(f"{folder}: gantry tilt (slices are stacked {degrees:.1f} degrees off "
                         "their normal); resample it to a straight grid")
    spacing_mm = float(along[-1] / (len(along) - 1))
    if np.abs(along - spacing_mm * np.arange(len(along))).max() > _IRREGULARITY * spacing_mm:
        between = f"{slices[widest].path.name} and {slices[widest + 1].path.name}"
        median = float(np.median(gaps))
        fault = "missing slices" if gaps[widest] > 1.5 * median else "unevenly spaced slices"
        raise InputError(f"{folder}: {fault} ({gaps[widest]:.2f} mm between {between}, elsewhere "
                         f"{median:.2f} mm); export the whole series again")
    return spacing_mm


def _pixels(item: _Slice) -> np.ndarray:
    """(rows, columns) int16 in HU; padding becomes air."""
    with reading(item.path, _DAMAGED, _FOREIGN):
        dataset = pydicom.dcmread(str(item.path))
        syntax = getattr(dataset.file_meta, "TransferSyntaxUID", "")
        padding = dataset.get("PixelPaddingValue")
    name = getattr(syntax, "name", "") or "an unknown encoding"
    compressed = f"pixels in {name} cannot be decoded here; decompress the series first " \
                 "(gdcmconv --raw, dcmdjpeg)"
    with reading(item.path, _DAMAGED if str(syntax) in _UNCOMPRESSED else compressed, _FOREIGN):
        stored = dataset.pixel_array
    shape = (int(item.numbers["Rows"]), int(item.numbers["Columns"]))
    if stored.shape != shape:
        raise InputError(f"{item.path}: pixels of {'x'.join(map(str, stored.shape))}, expected "
                         f"{shape[0]}x{shape[1]}; replace the file")
    outside = np.zeros(shape, bool) if padding is None else np.asarray(stored == padding)
    hu = to_hu(item.path, stored[np.newaxis], float(item.numbers["RescaleSlope"]),
               float(item.numbers["RescaleIntercept"]))[0]
    return np.where(outside, HU_RANGE[0], hu)
