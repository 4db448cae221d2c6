"""Training, validation and test groups where a group may hold any of several classes.

The paper's tasks have videos and patients with lesions and without; a patient of your own may have
one class only. So groups are put into one seeded order of which any first part holds about that
part of each class. Sides are taken from the front of such an order, but never the last group of a
class that another side needs more: training needs one of every class, then testing, then
validation.
"""
from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence

from data_prep.splits import generator
from layerwise.errors import InputError
from layerwise.tasks import OWN

LabelsOf = Mapping[str, Collection[int]]


def divide(labels: Sequence[tuple[str, int]], given: Mapping[str, str], fraction: float, seed: int
           ) -> tuple[dict[str, str], list[str]]:
    """The side of every group, and the order of the training groups (see `splits.reduced`).

    Args:
        labels: group and label of every candidate.
        given: the source's split of every group, "" where it has none.
        fraction: part of the groups to test on, where none is given.

    Raises InputError when fewer than two classes are in the training, validation or test groups.
    """
    labels_of: dict[str, set[int]] = {group: set() for group in sorted(given)}
    for group, label in labels:
        labels_of[group].add(label)
    if any(given.values()):
        test = {group for group, split in given.items() if split == "test"}
    else:
        wanted = min(max(1, math.floor(fraction * len(labels_of) + 0.5)), len(labels_of) - 2)
        test = set(taken_but(labels_of, wanted, 2, seed, "test"))
    learn = {group: held for group, held in labels_of.items() if group not in test}
    places = [place for place in range(len(learn)) if place % OWN.validation_every == 1]
    validation = taken_but(learn, len(places), 1, seed, "validation")
    rest = {group: learn[group] for group in learn.keys() - set(validation)}
    training = mixed_order(rest, seed, "order")
    if len(validation) < len(places):
        raise InputError(f"only {len(validation)} of the {len(learn)} groups that are not for "
                         f"testing can validate, {len(places)} needed: the others are the last of "
                         "a class to train on; add groups of these classes")
    for side, groups in (("test", test), ("training", training), ("validation", validation)):
        held = {label for group in groups for label in labels_of[group]}
        if len(held) < 2:
            raise InputError(
                f"the {side} groups ({len(groups)} of {len(labels_of)}) hold {len(held)} of "
                f"{len({label for _, label in labels})} classes; add groups, choose another "
                "--test-fraction, or give a split")
    for place, group in zip(places, validation):
        training.insert(place, group)
    return {group: "test" if group in test else "train" for group in labels_of}, training


def mixed_order(labels_of: LabelsOf, seed: int, purpose: str) -> list[str]:
    """All groups in seeded order, the classes evenly mixed, groups with no candidate last.

    Next comes a group after which the parts of the classes in the order lie nearest to the part of
    the groups in it, by the sum of squares over the classes; a class of n groups is due its first
    group at once, the part 1/n.
    """
    rng = generator(seed, purpose)
    names = sorted(labels_of)
    kinds: dict[frozenset[int], list[str]] = {}       # groups with the same classes
    for i in rng.permutation(len(names)).tolist():
        kinds.setdefault(frozenset(labels_of[names[i]]), []).append(names[i])
    last = kinds.pop(frozenset(), [])
    groups = sum(map(len, kinds.values()))
    total = _groups_of_each(labels_of)
    taken: Counter[int] = Counter()
    order: list[str] = []

    def unevenness(kind: frozenset[int]) -> float:
        part = (len(order) + 1) / groups
        return sum(((taken[label] + (label in kind)) / count - max(part, 1 / count)) ** 2
                   for label, count in total.items())

    while kinds:
        kind = min(kinds, key=unevenness)             # the first of equals
        order.append(kinds[kind].pop())
        taken.update(kind)
        if not kinds[kind]:
            del kinds[kind]
    return order + last


def taken_but(labels_of: LabelsOf, count: int, keep: int, seed: int, purpose: str) -> list[str]:
    """`count` groups, evenly mixed, that leave `keep` groups of every class, or all but one.

    The only group of a class is never taken, so there may be fewer.
    """
    remaining = _groups_of_each(labels_of)
    leave = {label: max(1, min(keep, total - 1)) for label, total in remaining.items()}
    free = {group: held for group, held in labels_of.items()
            if all(remaining[label] > leave[label] for label in held)}
    taken: list[str] = []
    for group in mixed_order(free, seed, purpose):
        held = labels_of[group]
        if len(taken) < count and all(remaining[label] > leave[label] for label in held):
            taken.append(group)
            remaining.subtract(held)
    return taken


def _groups_of_each(labels_of: LabelsOf) -> Counter[int]:
    return Counter(label for held in labels_of.values() for label in held)
