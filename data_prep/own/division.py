"""Training, validation and test groups where a group may hold any of several classes.

The paper's tasks have videos and patients with lesions and without; a patient of your own may have
one class only. So groups are put into one seeded order in which every class advances at its own
pace: any first part of it holds of each class about that part. Sides are taken from the front of
the order, but never the last group of a class that another side needs more: training needs one of
every class, then testing, then validation.
"""
from __future__ import annotations

import math
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
        order = mixed_order(labels_of, seed, "test")
        test = set(first_but(order, labels_of, wanted, keep=2))
    learn = {group: held for group, held in labels_of.items() if group not in test}
    order = mixed_order(learn, seed, "order")
    places = [place for place in range(len(order)) if place % OWN.validation_every == 1]
    validation = first_but(order, learn, len(places), keep=1)
    training = [group for group in order if group not in validation]
    for side, groups in (("test", test), ("training", training), ("validation", validation)):
        held = {label for group in groups for label in labels_of[group]}
        if len(held) < 2 or len(validation) < len(places):
            raise InputError(
                f"the {side} groups ({len(groups)} of {len(labels_of)}) hold {len(held)} of "
                f"{len({label for _, label in labels})} classes; add groups, choose another "
                "--test-fraction, or give a split")
    for place, group in zip(places, validation):
        training.insert(place, group)
    return {group: "test" if group in test else "train" for group in labels_of}, training


def mixed_order(labels_of: LabelsOf, seed: int, purpose: str) -> list[str]:
    """All groups in seeded order, the classes evenly mixed, groups with no candidate last.

    Next comes a group of the class of which the smallest part is in the order yet (of several such,
    the class in fewest groups), and of its groups one with the most classes.
    """
    rng = generator(seed, purpose)
    names = sorted(labels_of)
    left = [names[i] for i in rng.permutation(len(names)).tolist()]
    total: dict[int, int] = {}
    for held in labels_of.values():
        for label in held:
            total[label] = total.get(label, 0) + 1
    taken = dict.fromkeys(total, 0)
    order: list[str] = []
    while len(order) < len(names):
        behind = [label for label in total if taken[label] < total[label]]
        if not behind:
            return order + left
        label = min(behind, key=lambda one: (taken[one] / total[one], total[one], one))
        group = max((name for name in left if label in labels_of[name]),
                    key=lambda name: len(labels_of[name]))     # the first of equals
        left.remove(group)
        order.append(group)
        for label in labels_of[group]:
            taken[label] += 1
    return order


def first_but(order: Sequence[str], labels_of: LabelsOf, count: int, keep: int) -> list[str]:
    """The first `count` groups of an order that leave `keep` groups of every class, or all but one.

    The only group of a class is never taken.
    """
    remaining: dict[int, int] = {}
    for group in order:
        for label in labels_of[group]:
            remaining[label] = remaining.get(label, 0) + 1
    leave = {label: max(1, min(keep, total - 1)) for label, total in remaining.items()}
    taken: list[str] = []
    for group in order:
        held = labels_of[group]
        if len(taken) < count and all(remaining[label] > leave[label] for label in held):
            taken.append(group)
            for label in held:
                remaining[label] -= 1
    return taken
