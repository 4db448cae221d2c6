"""What the readers of DICOM files share: telling one, opening it quietly, and what goes wrong."""
from __future__ import annotations

import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

# All that pydicom raises on files that are damaged or beyond it.
DAMAGE = (OSError, EOFError, ValueError, KeyError, TypeError, AttributeError, struct.error,
          zlib.error, NotImplementedError, RuntimeError, ImportError)
GREY = ("MONOCHROME1", "MONOCHROME2")


def is_dicom(data: bytes) -> bool:
    """Whether the bytes of a file begin as DICOM files do."""
    return data[128:132] == b"DICM"


@contextmanager
def quietly() -> Iterator[None]:
    """Without pydicom's remarks on tags that are not used here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def told(error: BaseException) -> str:
    """What an error says, in one line."""
    return " ".join(str(error).split()) or type(error).__name__
