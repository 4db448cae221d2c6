"""The prepared data of a run: how much is in a set, and whether they are still what they were."""
from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from layerwise.errors import InputError
from layerwise.locks import hold
from layerwise.runs import Run, data_digest


def patches_in(folder: Path) -> int:
    """Patches of a set: lines of its index below the header, or the pixels of its regions."""
    if not (folder / "index.csv").exists():
        from layerwise.regions import REGIONS, read_regions

        return sum(region.roi.size for region in read_regions(folder / REGIONS))
    with (folder / "index.csv").open("rb") as handle:
        return sum(1 for _ in handle) - 1


def check_data(run: Run, busy: Callable[[], None] = lambda: None) -> None:
    """Raise InputError when the prepared data are no longer those that the run was begun with.

    Called after they were read. Waits while another command prepares data in that folder, calling
    `busy`, which may raise to give up.
    """
    with hold(Path(run.data), busy, shared=True):
        found = data_digest(Path(run.data), run.fraction)
    if found != run.data_sha256:
        raise InputError(f"{run.data}: prepared anew, with other data than the run began with; "
                         "prepare them as before, or choose another --data and --runs folder")
