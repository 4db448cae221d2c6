"""The handcrafted system for intima-media boundaries: see `wall_model`."""
from __future__ import annotations

from pathlib import Path

from data_prep.cimt import wall_model
from layerwise.boundary import Lines
from layerwise.errors import InputError
from layerwise.regions import REGIONS, Region, read_regions


def traces(dataset: Path, fraction: int, seed: int) -> list[Lines]:
    """Traced lines of the test regions of a prepared data set, in the order of its regions.h5.

    Fitted to the regions of training and validation subjects of a `fraction` in percent: there is
    nothing to stop early, so it learns from both. Raises InputError for a missing file, and for a
    subject that is tested and learnt from.
    """
    tested = read_regions(dataset / "test" / REGIONS)
    learnt: list[Region] = []
    for kind in ("train", "validation"):
        learnt += read_regions(dataset / f"{kind}-{fraction}" / REGIONS)
    shared = {region.group for region in tested} & {region.group for region in learnt}
    if shared:
        raise InputError(f"{dataset}: subject {min(shared)} is in the test split and in the "
                         f"training set of {fraction}%; prepare the data set again")
    model = wall_model.fit(learnt, seed)
    return [wall_model.trace(region, model) for region in tested]
