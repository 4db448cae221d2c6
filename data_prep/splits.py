"""Who is trained on, validated on and tested on: always whole groups (video, patient, subject).

The test groups are drawn first (the paper's "randomly selected half" of the videos). The training
groups are put into one seeded order, and the groups at positions 1, 6, 11, ... of it are the
validation set. A reduced set is a prefix: of the order of groups ("at the video level"), or, with
all groups kept, of a seeded order of the lesions or of the cases on each side. So 25% is contained
in 50% and that in 100%, for training and for validation alike, and no group is on two sides.
"""
from __future__ import annotations

import math
import zlib
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from layerwise.contracts import Candidate
from layerwise.errors import InputError
from layerwise.tasks import Task

VALIDATION_EVERY = Task.validation_every  # of the paper's tasks: 80/20


def generator(seed: int, purpose: str) -> np.random.Generator:
    """A random stream of its own for each purpose, so that one never shifts another."""
    return np.random.default_rng([seed, zlib.crc32(purpose.encode())])


def kinds(labels: Iterable[tuple[str, int]], groups: Iterable[str]) -> dict[str, str]:
    """What each group offers, by its candidates' (group, label): both, positive, negative, none."""
    found: dict[str, set[bool]] = {group: set() for group in sorted(groups)}
    for group, label in labels:
        found[group].add(label != 0)
    names = {(True, True): "both", (True, False): "positive", (False, True): "negative",
             (False, False): "none"}
    return {group: names[True in have, False in have] for group, have in found.items()}


def _shuffled(kind_of: Mapping[str, str], seed: int, purpose: str) -> dict[str, list[str]]:
    """Groups by kind, each kind in seeded order."""
    rng = generator(seed, purpose)
    groups = sorted(kind_of)
    by_kind: dict[str, list[str]] = {}
    for position in rng.permutation(len(groups)):
        by_kind.setdefault(kind_of[groups[position]], []).append(groups[position])
    return {kind: by_kind[kind] for kind in sorted(by_kind)}


def draw_test(kind_of: Mapping[str, str], fraction: float, seed: int) -> set[str]:
    """The test groups: `fraction` of all, of each kind in proportion (largest remainder).

    Raises InputError unless three groups have candidates of both classes: training, validation
    and test each need one.
    """
    by_kind = _shuffled(kind_of, seed, "test")
    both = len(by_kind.get("both", ()))
    if both < 3:
        raise InputError(f"only {both} of {len(kind_of)} groups have positive and negative "
                         "candidates; training, validation and test need one such group each")
    wanted = min(max(1, math.floor(fraction * len(kind_of) + 0.5)), len(kind_of) - 2)
    share = {kind: fraction * len(groups) for kind, groups in by_kind.items()}
    take = {kind: math.floor(part) for kind, part in share.items()}
    for kind in sorted(share, key=lambda kind: take[kind] - share[kind]):
        if sum(take.values()) < wanted and take[kind] < len(by_kind[kind]):
            take[kind] += 1
    take["both"] = min(max(1, take["both"]), both - 2)
    return {group for kind, groups in by_kind.items() for group in groups[:take[kind]]}


def training_order(kind_of: Mapping[str, str], seed: int) -> list[str]:
    """All training groups in the order of which every reduced set is a prefix.

    Two groups with both classes lead, so that training (position 0) and validation (position 1)
    of any prefix have both; the others follow with the kinds evenly mixed. Raises InputError
    when fewer than two groups have both classes.
    """
    by_kind = _shuffled(kind_of, seed, "order")
    leading = by_kind.get("both", [])[:2]
    if len(leading) < 2:
        raise InputError(f"only {len(leading)} of {len(kind_of)} training groups have positive and "
                         "negative candidates; training and validation need one such group each")
    by_kind["both"] = by_kind["both"][2:]
    dealt = sorted(((position + 0.5) / len(groups), kind, group)
                   for kind, groups in by_kind.items() for position, group in enumerate(groups))
    return leading + [group for _, _, group in dealt]


def reduced(order: Sequence[str], fraction: float, every: int = VALIDATION_EVERY
            ) -> tuple[list[str], list[str]]:
    """(training, validation) groups of a reduced set: a prefix of at least two groups."""
    prefix = order[:max(2, math.floor(fraction * len(order) + 0.5))]
    validation = [group for i, group in enumerate(prefix) if i % every == 1]
    return [group for group in prefix if group not in validation], validation


def pools(candidates: Sequence[Candidate], order: Sequence[str], reduced_by: str,
          fraction: float, seed: int, every: int = VALIDATION_EVERY
          ) -> tuple[list[Candidate], list[Candidate]]:
    """(training, validation) candidates of a reduced set.

    Fewer groups (on both sides, or only to train on, then enough of them for every label); or fewer
    lesions ("at the PE level"), each with all its candidates, beside all false positives; or fewer
    cases, equally many of each class: the fraction of the rarer one's.
    """
    groups = reduced(order, fraction if reduced_by == "group" else 1.0, every)
    if reduced_by == "training group":
        count = max(2, math.floor(fraction * len(groups[0]) + 0.5))
        groups = groups[0][:_enough(groups[0], count, candidates)], groups[1]
    sides = [[row for row in candidates if row.group in side] for side in groups]
    if reduced_by not in ("group", "training group"):
        sides = [_reduced_units(rows, reduced_by, fraction, seed) for rows in sides]
    return sides[0], sides[1]


def _enough(groups: Sequence[str], count: int, candidates: Sequence[Candidate]) -> int:
    """Length, `count` at least, of the prefix that holds every label of these groups."""
    places = {group: place for place, group in enumerate(groups, 1)}
    first: dict[int, int] = {}
    for row in candidates:
        if row.group in places:
            place = places[row.group]
            first[row.label] = min(place, first.get(row.label, place))
    return max([count, *first.values()])


def _reduced_units(candidates: Sequence[Candidate], unit: str, fraction: float, seed: int
                   ) -> list[Candidate]:
    """Candidates of a prefix of the lesions, or of the cases of each class, in seeded order."""
    rng = generator(seed, unit)
    kept: set[tuple[int, str]] = set()
    names_of = {label: sorted({getattr(row, unit) for row in candidates if row.label == label})
                for label in sorted({row.label for row in candidates})}
    rarer = min(map(len, names_of.values()), default=0)
    for label, names in names_of.items():
        whole = fraction == 1 or (unit == "lesion" and label == 0)
        count = len(names) if whole else max(1, math.floor(
            fraction * (rarer if unit == "case" else len(names)) + 0.5))
        kept.update((label, names[i]) for i in rng.permutation(len(names))[:count].tolist())
    return [row for row in candidates if (row.label, getattr(row, unit)) in kept]


def assign(kind_of: Mapping[str, str], given: Mapping[str, str], fraction: float, seed: int
           ) -> dict[str, str]:
    """train or test for every group: as `given` where the source has a split, else drawn.

    Raises InputError when a side is left without candidates of either class.
    """
    if any(given.values()):
        test = {group for group, split in given.items() if split == "test"}
        if not any(kind_of[group] in ("both", "positive") for group in test) \
                or not any(kind_of[group] in ("both", "negative") for group in test):
            raise InputError("the test groups do not have both positive and negative candidates")
    else:
        test = draw_test(kind_of, fraction, seed)
    return {group: "test" if group in test else "train" for group in kind_of}


def divide(labels: Sequence[tuple[str, int]], given: Mapping[str, str], fraction: float, seed: int
           ) -> tuple[dict[str, str], list[str]]:
    """The side of every group, and the order of the training groups.

    Args:
        labels: group and label of every candidate.
        given: the source's split of every group, "" where it has none.

    Raises InputError as `assign` and `training_order` do.
    """
    kind_of = kinds(labels, given)
    side_of = assign(kind_of, given, fraction, seed)
    return side_of, training_order({group: kind for group, kind in kind_of.items()
                                    if side_of[group] == "train"}, seed)
