"""Groups: never on two sides, nested, both classes everywhere, the same for the same seed."""
from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from data_prep import splits
from layerwise.contracts import BoxCandidate
from layerwise.errors import InputError

FRACTIONS = (1.0, 0.5, 0.25, 0.1)
mixtures = st.dictionaries(st.text("abcdefgh123", min_size=1, max_size=4),
                           st.sampled_from(["both", "both", "negative", "positive", "none"]),
                           min_size=3, max_size=40)


def enough(kind_of: dict[str, str], count: int) -> bool:
    return sum(kind == "both" for kind in kind_of.values()) >= count


@given(kind_of=mixtures, fraction=st.floats(0.05, 0.95), seed=st.integers(0, 9))
def test_drawn_split(kind_of: dict[str, str], fraction: float, seed: int) -> None:
    assume(enough(kind_of, 3))
    test = splits.draw_test(kind_of, fraction, seed)
    train = set(kind_of) - test
    assert test < set(kind_of)
    assert any(kind_of[group] == "both" for group in test)
    assert sum(kind_of[group] == "both" for group in train) >= 2
    assert test == splits.draw_test(dict(reversed(list(kind_of.items()))), fraction, seed)


@given(numbers=st.tuples(st.integers(6, 30), st.integers(0, 30)), seed=st.integers(0, 9))
def test_kinds_are_split_in_proportion(numbers: tuple[int, int], seed: int) -> None:
    kind_of = {f"p{i}": "both" for i in range(numbers[0])}
    kind_of.update({f"n{i}": "negative" for i in range(numbers[1])})
    test = splits.draw_test(kind_of, 0.5, seed)
    assert abs(len(test) - len(kind_of) / 2) <= 0.5
    assert abs(sum(group[0] == "p" for group in test) - numbers[0] / 2) <= 0.5


def test_seeds_draw_different_groups() -> None:
    kind_of = {str(i): "both" for i in range(20)}
    assert len({frozenset(splits.draw_test(kind_of, 0.5, seed)) for seed in range(10)}) > 5
    assert len({tuple(splits.training_order(kind_of, seed)) for seed in range(10)}) > 5


@given(kind_of=mixtures, seed=st.integers(0, 9))
def test_reduced_sets(kind_of: dict[str, str], seed: int) -> None:
    assume(enough(kind_of, 2))
    order = splits.training_order(kind_of, seed)
    assert sorted(order) == sorted(kind_of)
    sides = [splits.reduced(order, fraction) for fraction in FRACTIONS]
    for train, validation in sides:
        assert not set(train) & set(validation)
        for side in (train, validation):
            assert any(kind_of[group] == "both" for group in side)
    for (large_train, large_validation), (train, validation) in zip(sides, sides[1:]):
        assert set(train) <= set(large_train)
        assert set(validation) <= set(large_validation)
    assert set(sides[0][0]) | set(sides[0][1]) == set(kind_of)


def test_sizes_of_reduced_sets_by_hand() -> None:
    order = [f"g{i}" for i in range(20)]
    train, validation = splits.reduced(order, 1.0)
    assert validation == ["g1", "g6", "g11", "g16"]
    assert len(train) == 16
    train, validation = splits.reduced(order, 0.25)
    assert (train, validation) == (["g0", "g2", "g3", "g4"], ["g1"])
    assert splits.reduced(order, 0.01) == (["g0"], ["g1"])


def test_fewer_groups_to_train_on_hold_every_label() -> None:
    """Of ten groups g1 and g6 validate; label 2 is in the third and label 3 in the sixth other."""
    order = [f"g{i}" for i in range(10)]
    held = {0: (0, 1), 1: (3,), 3: (2,), 4: (2,), 7: (3,)}
    rows = [BoxCandidate(f"c{i}", f"g{i}", f"c{i}-{label}", "", label, 0.0, 0.0, 9.0, 9.0, 0.5)
            for i in range(10) for label in held.get(i, (1,))]
    trained, validated = splits.pools(rows, order, "training group", 0.2, 1)
    assert list(dict.fromkeys(row.group for row in trained)) == ["g0", "g2", "g3", "g4", "g5", "g7"]
    assert {row.group for row in validated} == {"g1", "g6"}
    two = [row for row in rows if row.label < 2]
    trained, _ = splits.pools(two, order, "training group", 0.2, 1)
    assert {row.group for row in trained} == {"g0", "g2"}


def test_kinds_are_dealt_evenly() -> None:
    kind_of = {f"p{i:02d}": "both" for i in range(12)}
    kind_of.update({f"n{i:02d}": "negative" for i in range(10)})
    order = splits.training_order(kind_of, seed=4)
    assert [group[0] for group in order[:2]] == ["p", "p"]
    for start in range(2, 22, 4):
        assert sorted(group[0] for group in order[start:start + 4]) == ["n", "n", "p", "p"]


def test_kinds_by_hand() -> None:
    labels = [("a", 0), ("a", 2), ("b", 1), ("c", 0)]
    assert splits.kinds(labels, ["a", "b", "c", "d"]) == \
        {"a": "both", "b": "positive", "c": "negative", "d": "none"}


@pytest.mark.parametrize("both", [0, 1, 2])
def test_too_few_groups(both: int) -> None:
    kind_of = {f"n{i}": "negative" for i in range(9)}
    kind_of.update({f"p{i}": "both" for i in range(both)})
    with pytest.raises(InputError, match=f"only {both} of {9 + both} groups"):
        splits.draw_test(kind_of, 0.5, 0)
    if both < 2:
        with pytest.raises(InputError, match="training groups"):
            splits.training_order(kind_of, 0)


def test_a_given_split_is_kept() -> None:
    kind_of = {"a": "both", "b": "both", "c": "negative", "d": "both"}
    given_split = {"a": "train", "b": "test", "c": "test", "d": "train"}
    assert splits.assign(kind_of, given_split, 0.5, 0) == given_split


def test_a_given_split_without_positives_to_test_is_refused() -> None:
    kind_of = {"a": "both", "b": "both", "c": "negative"}
    with pytest.raises(InputError, match="test groups"):
        splits.assign(kind_of, {"a": "train", "b": "train", "c": "test"}, 0.5, 0)


def test_purposes_have_streams_of_their_own() -> None:
    draws = [splits.generator(seed, purpose).integers(0, 2 ** 60)
             for seed in (0, 1) for purpose in ("test", "order")]
    assert len(set(draws)) == 4
    assert splits.generator(1, "order").integers(0, 2 ** 60) == draws[3]
