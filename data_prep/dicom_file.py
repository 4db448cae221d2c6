"""What the readers of DICOM files share: telling one, opening it quietly, and what goes wrong."""
from __future__ import annotations

import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
from pydicom.errors import InvalidDicomError

from layerwise.errors import InputError

# All that pydicom and the work on its pixels raise on files that are damaged or beyond them.
_DAMAGE = (OSError, EOFError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError,
           struct.error, zlib.error, NotImplementedError, RuntimeError, ImportError, cv2.error)
GREY = ("MONOCHROME1", "MONOCHROME2")


def is_dicom(data: bytes) -> bool:
    """Whether the bytes of a file begin as DICOM files do."""
    return data[128:132] == b"DICM"


@contextmanager
def reading(path: Path, damaged: str, foreign: str) -> Iterator[None]:
    """Read a file, values and pixels, without pydicom's remarks on tags that are not used here.

    pydicom interprets a value only when asked for it: all use of a data set belongs in here.

    Args:
        damaged: what the InputError says of a file that is damaged or beyond pydicom, {} in it
            being the reason.
        foreign: what it says of a file that is no DICOM.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except InvalidDicomError:
        raise InputError(f"{path}: {foreign}") from None
    except _DAMAGE as error:
        raise InputError(f"{path}: {damaged.format(_told(error))}") from None


def _told(error: BaseException) -> str:
    """What an error says, in one line."""
    return " ".join(str(error).split()) or type(error).__name__
