"""Sides for groups that hold one class, or several."""
from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_prep import splits
from data_prep.own.division import divide, mixed_order, taken_but
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


@settings(max_examples=60)
@given(bits=st.lists(st.integers(1, 15), min_size=24, max_size=60), seed=st.integers(0, 99),
       fraction=st.sampled_from([0.3, 0.5]))
def test_groups_of_several_classes_are_dealt_evenly(bits: list[int], seed: int, fraction: float
                                                    ) -> None:
    """No side is more than three groups off the part of a class that is due to it."""
    labels_of = {f"g{i:02d}": {label for label in range(4) if one >> label & 1}
                 for i, one in enumerate(bits)}
    total = {label: sum(label in held for held in labels_of.values()) for label in range(4)}
    try:
        found = sides(labels_of, fraction, seed)
    except InputError:
        return
    for groups in found:
        part = len(groups) / len(labels_of)
        for label, count in total.items():
            held = sum(label in labels_of[group] for group in groups)
            assert abs(held - count * part) < 3 and (held or count < 3)


def test_groups_that_all_have_to_be_trained_on_leave_none_to_validate() -> None:
    labels_of = {**{f"a{i}": {i} for i in range(4)}, "t0": {0}, "t1": {1}}
    with pytest.raises(InputError, match="only 0 of the 4 groups .* can validate, 1 needed"):
        sides(labels_of, given_split={group: "test" if group[0] == "t" else "train"
                                      for group in labels_of})


def test_classes_advance_at_their_own_pace() -> None:
    labels_of = {**{f"a{i}": {0} for i in range(8)}, **{f"b{i}": {1} for i in range(4)}}
    order = mixed_order(labels_of, 3, "order")
    assert {group[0] for group in order[:2]} == {"a", "b"}
    for part in (3, 6, 9, 12):
        assert sum(group[0] == "b" for group in order[:part]) == part // 3


def test_groups_without_candidates_come_last() -> None:
    assert mixed_order({"x": set(), "a": {0}, "b": {1}}, 0, "order")[-1] == "x"


def test_what_is_left_of_each_class() -> None:
    """c first (both classes are due), then a or b; c alone where two of class 0 must stay."""
    labels_of = {"a": {0}, "b": {0}, "c": {0, 1}, "d": {1}}
    taken = taken_but(labels_of, 3, 1, 1, "test")
    assert taken[0] == "c" and len(taken) == 2 and taken[1] in "ab"
    assert len(taken_but(labels_of, 3, 2, 1, "test")) == 1
    assert taken_but(labels_of, 1, 1, 1, "test") == ["c"]


def test_the_only_group_of_a_class_leaves_its_other_classes_to_the_rest() -> None:
    labels_of = {"a": {0, 1}, "b1": {1}, "b2": {1}, "b3": {1},
                 **{f"c{i}": {2} for i in range(9)}}
    taken = taken_but(labels_of, 4, 2, 1, "test")
    assert sorted(group[0] for group in taken) == ["b", "c", "c", "c"]


@settings(max_examples=40)
@given(bits=st.lists(st.integers(0, 7), min_size=38, max_size=38), more=st.integers(0, 40),
       seed=st.integers(0, 99), half=st.booleans())
def test_as_many_groups_validate_as_the_tutorial_says(bits: list[int], more: int, seed: int,
                                                      half: bool) -> None:
    """Six of the rarest class, when it is in two more than 36 or 24, whatever else those hold."""
    count, fraction = (38, 0.5) if half else (26, 0.25)
    held = [{0} | {label for label in (1, 2, 3) if one >> label - 1 & 1} for one in bits[:count]]
    for label in (1, 2, 3):
        held += [{label}] * (count + more - sum(label in one for one in held))
    labels_of = {f"g{i:03d}": one for i, one in enumerate(held)}
    _, validation, _ = sides(labels_of, fraction, seed)
    for label in range(4):
        assert sum(label in labels_of[group] for group in validation) >= 6
