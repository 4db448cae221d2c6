"""Balanced sets of patches out of candidates x views (paper: "stratified")."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from layerwise.contracts import Candidate
from layerwise.errors import InputError


@dataclass(frozen=True)
class PatchRow:
    """One patch to cut."""

    candidate: Candidate
    view: str


def _pools(candidates: Sequence[Candidate]) -> tuple[list[Candidate], list[Candidate]]:
    """(positive, negative) candidates."""
    return ([row for row in candidates if row.label != 0],
            [row for row in candidates if row.label == 0])


def balanced_size(candidates: Sequence[Candidate], views: int, size: int, multiple: int) -> int:
    """Length of the largest balanced set of at most `size` patches, a multiple of `multiple`.

    `views` is the number of different patches of a candidate. Raises InputError when not even one
    multiple remains.
    """
    positive, negative = _pools(candidates)
    half = min(size // 2, views * min(len(positive), len(negative)))
    total = 2 * half // multiple * multiple
    if total < 2:
        raise InputError(f"only {2 * half} balanced patches ({len(positive)} positive, "
                         f"{len(negative)} negative candidates), fewer than {max(2, multiple)}; "
                         "add data or use a profile with a smaller batch")
    return total


def balanced(candidates: Sequence[Candidate], views: Sequence[str], size: int, multiple: int,
             rng: np.random.Generator) -> list[PatchRow]:
    """At most `size` patches, half positive, half negative, in random order.

    Both classes are drawn without replacement from all candidates x views, as the paper's round
    set sizes imply that positives were down-sampled too. Where a class has too few, the set is the
    largest balanced one. Its length is rounded down to a `multiple` (the batch size: Caffe never
    reshuffles, so an epoch should be a whole number of batches). Raises InputError as
    `balanced_size` does.
    """
    total, count = balanced_size(candidates, len(views), size, multiple), len(views)
    rows = []
    for pool, wanted in zip(_pools(candidates), (total // 2, total - total // 2)):
        chosen = rng.choice(len(pool) * count, wanted, replace=False)
        rows += [PatchRow(pool[i // count], views[i % count]) for i in chosen.tolist()]
    return [rows[i] for i in rng.permutation(total).tolist()]


def every_view(candidates: Sequence[Candidate], views: Sequence[str]) -> list[PatchRow]:
    """All of these views of every candidate, candidate by candidate."""
    return [PatchRow(candidate, view) for candidate in candidates for view in views]
