"""NIfTI files: one array, its map to the patient and its scaling, or one line why not."""
from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Union

import nibabel
import numpy as np
from nibabel.spatialimages import HeaderDataError

from layerwise.contracts import replacing
from layerwise.errors import InputError

SUFFIXES = (".nii.gz", ".nii")
_GZIP_MAGIC = b"\x1f\x8b"
_GZIP_LEVEL = 1     # of noisy CT, 6 takes nine times as long and saves 3%
_CHUNK_BYTES = 1 << 20
_UNITS_OF_SPACE = ("mm", "unknown")
Header = Union[nibabel.Nifti1Header, nibabel.Nifti2Header]


@dataclass(frozen=True)
class Stored:
    """A NIfTI file's array as stored, (i, j, k) in Fortran order, and what its header says."""

    values: np.ndarray
    ras: np.ndarray     # (4, 4) from the index (i, j, k, 1) to mm, RAS
    slope: float
    intercept: float
    intent: str         # "label": values are names of objects, not quantities


def read(path: Path) -> Stored:
    """Read a .nii or .nii.gz (told by content). Raises InputError naming the file.

    Refused: missing, empty, cut short or damaged file, another format, colours or complex numbers,
    no qform or sform code, units other than mm. Axes of length 1 beyond the third are dropped.
    """
    with _opened(path) as stream:
        stored, offset = _described(path, _header(path, stream))
        stream.seek(offset)
        _fill(path, stored.values, stream)
    return stored


def write(path: Path, values: np.ndarray, ras: np.ndarray, intent: str = "none") -> None:
    """Write `values` (i, j, k) as .nii.gz, atomically: the same array gives the same bytes."""
    image = nibabel.Nifti1Image(values, ras)
    image.header.set_xyzt_units("mm")
    image.header.set_intent(intent)
    image.set_sform(ras, code="scanner")
    image.set_qform(ras, code="scanner")
    with replacing(path) as partial, partial.open("wb") as file, \
            gzip.GzipFile("", "wb", _GZIP_LEVEL, file, mtime=0) as stream:
        image.to_file_map({"image": nibabel.FileHolder(fileobj=stream)})


@contextmanager
def _opened(path: Path) -> Iterator[io.BufferedIOBase]:
    try:
        with path.open("rb") as file:
            start = file.read(len(_GZIP_MAGIC))
            file.seek(0)
            if not start:
                raise InputError(f"{path}: empty file; replace it")
            if start == _GZIP_MAGIC:
                with gzip.open(file) as stream:
                    yield stream
            else:
                yield file
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(f"{path}: truncated or damaged gzip file "
                         f"({str(error).rstrip('.')}); replace it") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None


def _header(path: Path, stream: io.BufferedIOBase) -> Header:
    for header_class, magic in ((nibabel.Nifti1Header, b"n+1"), (nibabel.Nifti2Header, b"n+2")):
        size = header_class.template_dtype.itemsize
        stream.seek(0)
        start = stream.read(size)
        if len(start) == size:
            header = header_class.from_fileobj(io.BytesIO(start), check=False)
            if header["sizeof_hdr"] == size and bytes(header["magic"]).startswith(magic):
                return header
    raise InputError(f"{path}: not a NIfTI file (.nii or .nii.gz); convert it")


def _shape(header: Header) -> tuple[int, ...]:
    shape = header.get_data_shape()
    while len(shape) > 3 and shape[-1] == 1:
        shape = shape[:-1]
    return tuple(shape)


def _described(path: Path, header: Header) -> tuple[Stored, int]:
    """What the header says, values still to be filled, and where they start in the file."""
    if not header["sform_code"] and not header["qform_code"]:
        raise InputError(f"{path}: no geometry (qform and sform codes are 0); "
                         "export it again with its orientation and voxel sizes")
    try:
        dtype, shape, ras = header.get_data_dtype(), _shape(header), header.get_best_affine()
        slope, intercept = header.get_slope_inter()
        units, intent = header.get_xyzt_units()[0], header.get_intent()[0]
        offset = max(header.template_dtype.itemsize, int(header["vox_offset"]))
    except (HeaderDataError, ValueError, KeyError, OverflowError) as error:
        raise InputError(f"{path}: damaged NIfTI header ({error}); replace the file") from None
    if dtype.kind not in "iuf":
        raise InputError(f"{path}: voxels of type {dtype}, expected integers or floats; "
                         "store one number per voxel")
    if units not in _UNITS_OF_SPACE:
        raise InputError(f"{path}: lengths are in {units}, expected mm; convert it")
    if len(shape) != 3 or min(shape) < 1:
        raise InputError(f"{path}: array of {'x'.join(map(str, shape))}, expected one "
                         "three-dimensional volume; store one time point and channel")
    try:
        values: np.ndarray = np.empty(shape, dtype, order="F")
    except (MemoryError, ValueError):
        raise InputError(f"{path}: its {'x'.join(map(str, shape))} voxels do not fit in memory; "
                         "is the header damaged?") from None
    return Stored(values, np.asarray(ras, np.float64), 1.0 if slope is None else float(slope),
                  0.0 if intercept is None else float(intercept), intent), offset


def _fill(path: Path, values: np.ndarray, stream: io.BufferedIOBase) -> None:
    """Read into the array itself, and to the end, where gzip keeps its checksum."""
    target, filled = values.reshape(-1, order="F").view(np.uint8), 0
    while filled < len(target):
        chunk = stream.read(min(_CHUNK_BYTES, len(target) - filled))
        if not chunk:
            raise InputError(f"{path}: truncated ({filled} of {len(target)} bytes of voxels); "
                             "replace the file")
        target[filled:filled + len(chunk)] = np.frombuffer(chunk, np.uint8)
        filled += len(chunk)
    while stream.read(_CHUNK_BYTES):
        pass
