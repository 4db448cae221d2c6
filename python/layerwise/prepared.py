"""Whether the prepared data of a run are still those that it was begun with."""
from __future__ import annotations

import fcntl
import os
from pathlib import Path

from layerwise.errors import InputError
from layerwise.runs import Run, data_digest


def check_data(run: Run) -> None:
    """Raise InputError when the prepared data are no longer those that the run was begun with.

    Called after they were read. Waits while another command prepares data in that folder.
    """
    handle = os.open(run.data, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_SH)
        found = data_digest(Path(run.data), run.fraction)
    finally:
        os.close(handle)
    if found != run.data_sha256:
        raise InputError(f"{run.data}: prepared anew with other data while a run was using it; "
                         "prepare them as before, or choose another --data and --runs folder")
