"""Reading image files that are whole: a damaged file is an error, never a half-grey picture.

OpenCV decodes a truncated JPEG without complaint and fills the rest with grey, so completeness is
checked on the bytes before anything is decoded.
"""
from __future__ import annotations

import zlib
from pathlib import Path

import cv2
import numpy as np

from layerwise.errors import InputError

JPEG_SUFFIXES = (".jpg", ".jpeg")
IMAGE_SUFFIXES = (".png", *JPEG_SUFFIXES, ".tif", ".tiff")
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_TIFF_SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def _damage_png(data: bytes) -> str:
    """What is wrong with the chunks of a PNG, "" for nothing."""
    position = len(_PNG_SIGNATURE)
    while position + 12 <= len(data):
        length = int.from_bytes(data[position:position + 4], "big")
        kind = data[position + 4:position + 8]
        end = position + 8 + length
        if end + 4 > len(data):
            break
        if zlib.crc32(data[position + 4:end]) != int.from_bytes(data[end:end + 4], "big"):
            return f"damaged PNG (checksum of chunk {kind.decode('latin-1')!r} is wrong)"
        if kind == b"IEND":
            return ""
        position = end + 4
    return "truncated PNG (the file ends before its last chunk)"


def _damage_jpeg(data: bytes) -> str:
    """What is wrong with the markers of a JPEG, "" for nothing.

    Within coded data the byte FF is never followed by DA or D9, so the last start-of-scan marker
    has to be followed by an end-of-image marker. A thumbnail's own end marker comes before it.
    """
    if data.rfind(b"\xff\xd9") < data.rfind(b"\xff\xda"):
        return "truncated JPEG (no end-of-image marker)"
    return ""


def damage(data: bytes) -> str:
    """What is visibly wrong with the bytes of a PNG, JPEG or TIFF file, "" for nothing."""
    if not data:
        return "empty file"
    if data.startswith(_PNG_SIGNATURE):
        return _damage_png(data)
    if data.startswith(b"\xff\xd8"):
        return _damage_jpeg(data)
    if data.startswith(_TIFF_SIGNATURES):
        return ""  # libtiff refuses short strips and a missing directory itself
    return "not a PNG, JPEG or TIFF file"


def decode(path: Path, data: bytes) -> np.ndarray:
    """Pixels of an image file as stored: (h, w) or (h, w, 3) in BGR order, uint8 or uint16.

    An alpha channel is dropped and an EXIF orientation is not applied: a frame and its mask must
    keep the geometry in which they were stored. Raises InputError naming the file.
    """
    problem = damage(data)
    if problem:
        raise InputError(f"{path}: {problem}; replace the file")
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        image = None
    if image is None:
        raise InputError(f"{path}: unreadable image; replace the file")
    if image.dtype not in (np.uint8, np.uint16):
        raise InputError(f"{path}: pixels are {image.dtype}, expected 8 or 16 bits per channel")
    if image.ndim == 3:
        image = image[:, :, 0] if image.shape[2] < 3 else image[:, :, :3]
    return image


def read_bytes(path: Path) -> bytes:
    """Bytes of a file; InputError when it is missing or cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None


def to_bgr8(image: np.ndarray) -> np.ndarray:
    """(h, w, 3) BGR uint8. 16 bits become 8 over the full range of the type: round(v / 257).

    The range is the type's and not the picture's, so that brightness stays comparable between
    frames; a 12-bit camera's data must therefore have been stored scaled to 16 bits.
    """
    if image.dtype == np.uint16:
        image = ((image.astype(np.uint32) + 128) // 257).astype(np.uint8)
    if image.ndim == 2:
        image = cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_GRAY2BGR)
    return np.ascontiguousarray(image)


def png(image: np.ndarray, compression: int | None = None) -> bytes:
    """An image (h, w) or (h, w, 3) BGR, uint8, as PNG; compression 0 to 9, OpenCV's own if None."""
    options = [] if compression is None else [cv2.IMWRITE_PNG_COMPRESSION, compression]
    ok, data = cv2.imencode(".png", image, options)
    if not ok:
        raise RuntimeError(f"OpenCV could not encode an image of {image.shape}")
    return bytes(data.tobytes())


def load_bgr8(path: Path) -> np.ndarray:
    """(h, w, 3) BGR uint8 of an image file. Raises InputError when it is missing or damaged."""
    return to_bgr8(decode(path, read_bytes(path)))


def to_mask(image: np.ndarray, lossy: bool) -> np.ndarray:
    """(h, w) bool: any channel > 0, or > half of the type's range when `lossy` (JPEG).

    Compression surrounds the edge of a JPEG mask with small non-zero values; a lossless file may
    number its lesions 1, 2, ... instead of painting them white.
    """
    values = image if image.ndim == 2 else image.max(axis=2)
    threshold = np.iinfo(values.dtype).max // 2 if lossy else 0
    return np.asarray(values > threshold)
