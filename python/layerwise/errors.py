"""The errors that end a command with one clear line instead of a traceback."""
from __future__ import annotations

import errno
import os
import re
from pathlib import Path

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class LayerwiseError(Exception):
    """Work that could not be done; the message is one line for the user. Exit code 1."""

    exit_code = 1


class InputError(LayerwiseError):
    """Input or settings that cannot be used; the message says what to do. Exit code 2."""

    exit_code = 2


def refused(error: OSError, place: Path | str) -> InputError:
    """What the system refused (disk full, not writable, ...) in one line.

    Args:
        place: what to name when the error names no file.
    """
    number = error.errno
    if number is None:                     # HDF5 has it in its message only
        told = re.search(r"errno = (\d+)", str(error))
        number = int(told.group(1)) if told else None
    if number is None:
        return InputError(f"{place}: {' '.join(str(error).split())}")
    advice = "; free some space, then the same command goes on" if number in _FULL else ""
    return InputError(f"{error.filename or place}: {os.strerror(number)}{advice}")
