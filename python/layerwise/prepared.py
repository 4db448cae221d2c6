"""Whether the prepared data of a run are still those that it was begun with."""
from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from layerwise.errors import InputError
from layerwise.locks import hold
from layerwise.runs import Run, data_digest


def check_data(run: Run, busy: Callable[[], None] = lambda: None) -> None:
    """Raise InputError when the prepared data are no longer those that the run was begun with.

    Called after they were read. Waits while another command prepares data in that folder, calling
    `busy`, which may raise to give up.
    """
    with hold(Path(run.data), busy, shared=True):
        found = data_digest(Path(run.data), run.fraction)
    if found != run.data_sha256:
        raise InputError(f"{run.data}: prepared anew with other data while a run was using it; "
                         "prepare them as before, or choose another --data and --runs folder")
