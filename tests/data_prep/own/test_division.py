"""Sides for groups that hold one class, or several."""
from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_prep import splits
from data_prep.own.division import divide, first_but, mixed_order
from layerwise.errors import InputError
from layerwise.tasks import OWN


def rows(labels_of: dict[str, set[int]]) -> list[tuple[str, int]]:
    return [(group, label) for group, held in labels_of.items() for label in held]


def sides(labels_of: dict[str, set[int]], fraction: float = 0.5, seed: int = 1,
          given_split: dict[str, str] | None = None) -> tuple[list[str], list[str], list[str]]:
    """Training, validation and test groups, as the sets of patches are drawn from them."""
    side_of, order = divide(rows(labels_of), given_split or dict.fromkeys(labels_of, ""), fraction,
                            seed)
    assert set(side_of) == set(labels_of)
    training, validation = splits.reduced(order, 1.0, OWN.validation_every)
    test = [group for group, side in side_of.items() if side == "test"]
    assert sorted(training + validation + test) == sorted(labels_of)
    return training, validation, test


@settings(max_examples=40)
@given(counts=st.lists(st.integers(14, 40), min_size=2, max_size=4), seed=st.integers(0, 99),
       fraction=st.sampled_from([0.3, 0.5, 0.7]))
def test_every_side_has_every_class_in_proportion(counts: list[int], seed: int, fraction: float
                                                  ) -> None:
    labels_of = {f"g{label}-{i}": {label} for label, count in enumerate(counts)
                 for i in range(count)}
    training, validation, test = sides(labels_of, fraction, seed)
    for label, count in enumerate(counts):
        held = [sum(label in labels_of[group] for group in side)
                for side in (training, validation, test)]
        assert abs(held[2] - fraction * count) <= 1.5 and min(held[0], held[2]) > 0
    assert len({label for group in validation for label in labels_of[group]}) >= 2


@settings(max_examples=40)
@given(bits=st.lists(st.integers(1, 7), min_size=16, max_size=24), seed=st.integers(0, 99))
def test_no_class_is_missing_from_training(bits: list[int], seed: int) -> None:
    held = [{label for label in range(3) if one >> label & 1} for one in bits]
    labels_of = {f"g{i:02d}": one for i, one in enumerate(held)}
    try:
        training, *_ = sides(labels_of, seed=seed)
    except InputError:
        return
    assert {label for group in training for label in labels_of[group]} == set().union(*held)


def test_the_only_group_of_a_class_is_trained_on_and_two_are_trained_and_tested_on() -> None:
    labels_of = {**{f"a{i}": {0} for i in range(20)}, **{f"b{i}": {1} for i in range(20)},
                 "c": {2}, "d0": {3}, "d1": {3}}
    for seed in range(20):
        training, validation, test = sides(labels_of, seed=seed)
        assert "c" in training
        assert len({"d0", "d1"} & set(training)) == len({"d0", "d1"} & set(test)) == 1


def test_a_given_split_stays() -> None:
    labels_of = {f"g{i}": {i % 2} for i in range(12)}
    wanted = {group: "test" if i >= 9 else "train" for i, group in enumerate(labels_of)}
    training, validation, test = sides(labels_of, given_split=wanted)
    assert sorted(test) == ["g10", "g11", "g9"] and len(validation) == 3


def test_the_same_seed_gives_the_same_sides_and_another_others() -> None:
    labels_of = {f"g{i}": {i % 2} for i in range(30)}
    assert sides(labels_of, seed=1) == sides(labels_of, seed=1) != sides(labels_of, seed=2)


def test_too_few_groups_are_refused() -> None:
    with pytest.raises(InputError, match="validation groups .* hold 1 of 2 classes"):
        sides({f"g{i}": {i % 2} for i in range(6)})
    with pytest.raises(InputError, match="test groups .* hold 1 of 2 classes"):
        sides({f"g{i}": {i % 2} for i in range(30)},
              given_split={f"g{i}": "train" if i else "test" for i in range(30)})


def test_classes_advance_at_their_own_pace() -> None:
    labels_of = {**{f"a{i}": {0} for i in range(8)}, **{f"b{i}": {1} for i in range(4)}}
    order = mixed_order(labels_of, 3, "order")
    for part in (3, 6, 9, 12):
        assert sum(group[0] == "b" for group in order[:part]) == part // 3


def test_groups_without_candidates_come_last() -> None:
    assert mixed_order({"x": set(), "a": {0}, "b": {1}}, 0, "order")[-1] == "x"


def test_what_is_left_of_each_class() -> None:
    labels_of = {"a": {0}, "b": {0}, "c": {0, 1}, "d": {1}}
    order = ["a", "c", "b", "d"]
    assert first_but(order, labels_of, 3, keep=1) == ["a", "c"]
    assert first_but(order, labels_of, 3, keep=2) == ["a", "d"]
    assert first_but(order, labels_of, 1, keep=1) == ["a"]
