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


def _pools(candidates: Sequence[Candidate]) -> list[list[Candidate]]:
    """The candidates of each label that there is, the highest label first."""
    pools: dict[int, list[Candidate]] = {}
    for row in candidates:
        pools.setdefault(row.label, []).append(row)
    return [pools[label] for label in sorted(pools, reverse=True)]


def balanced_size(candidates: Sequence[Candidate], views: int, size: int, multiple: int) -> int:
    """Length of the largest balanced set of at most `size` patches, a multiple of `multiple`.

    `views` is the number of different patches of a candidate. Raises InputError when not even one
    multiple remains.
    """
    pools = _pools(candidates)
    rarest = views * min(map(len, pools)) if len(pools) > 1 else 0
    possible = len(pools) * min(size // max(1, len(pools)), rarest)
    total = possible // multiple * multiple
    if total < 2:
        positive = sum(row.label != 0 for row in candidates)
        raise InputError(f"only {possible} balanced patches ({positive} positive, "
                         f"{len(candidates) - positive} negative candidates), fewer than "
                         f"{max(2, multiple)}; add data or use a profile with a smaller batch")
    return total


def balanced(candidates: Sequence[Candidate], views: Sequence[str], size: int, multiple: int,
             rng: np.random.Generator) -> list[PatchRow]:
    """At most `size` patches, as many of each label, in random order.

    All labels are drawn without replacement from all candidates x views, as the paper's round
    set sizes imply that positives were down-sampled too. Where a class has too few, the set is the
    largest balanced one. Its length is rounded down to a `multiple` (the batch size: Caffe never
    reshuffles, so an epoch should be a whole number of batches), so that classes may differ by one.
    Raises InputError as `balanced_size` does.
    """
    total, count = balanced_size(candidates, len(views), size, multiple), len(views)
    pools = _pools(candidates)
    ends = [total * place // len(pools) for place in range(len(pools) + 1)]
    rows = []
    for pool, begin, end in zip(pools, ends, ends[1:]):
        chosen = rng.choice(len(pool) * count, end - begin, replace=False)
        rows += [PatchRow(pool[i // count], views[i % count]) for i in chosen.tolist()]
    return [rows[i] for i in rng.permutation(total).tolist()]


def every_view(candidates: Sequence[Candidate], views: Sequence[str]) -> list[PatchRow]:
    """All of these views of every candidate, candidate by candidate."""
    return [PatchRow(candidate, view) for candidate in candidates for view in views]
