"""Learning from bags."""
from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from data_prep import forest
from data_prep.forest import ForestSettings

SETTINGS = ForestSettings(trees=40)


def bags_of(seed: int, positive: int, junk: int, negative: int
            ) -> tuple[np.ndarray, list[str], np.ndarray]:
    """Values, bags and whether each instance is a clear one: one per bag, the rest is junk, drawn
    from where the negatives are."""
    rng = np.random.default_rng(seed)
    clear = np.array(([True] + [False] * junk) * positive + [False] * negative)
    values = rng.normal(0, 1, (len(clear), 4))
    values[clear, :2] += 1.8
    bags = [f"b{i // (1 + junk)}" if i < positive * (1 + junk) else "" for i in range(len(clear))]
    return values, bags, clear


def keys_of(count: int) -> list[str]:
    return [f"k{i:05d}" for i in range(count)]


def test_relabelling_finds_the_clear_instance_among_junk() -> None:
    values, bags, clear = bags_of(0, positive=60, junk=6, negative=400)
    unseen, _, truth = bags_of(1, positive=200, junk=0, negative=800)
    keys = keys_of(len(values))
    plain = forest.fit(values, bags, keys, 0, ForestSettings(trees=40, rounds=0))
    learnt = forest.fit(values, bags, keys, 0, SETTINGS)
    assert plain.rounds == 0 and plain.labels.tolist() == [bool(bag) for bag in bags]
    assert 0 < learnt.rounds <= SETTINGS.rounds
    junk = np.array([bool(bag) for bag in bags]) & ~clear
    assert learnt.labels[clear].mean() > learnt.labels[junk].mean() + 0.5
    gain = roc_auc_score(truth, learnt.probability(unseen)) \
        - roc_auc_score(truth, plain.probability(unseen))
    assert gain > 0.01


def test_every_bag_keeps_one_and_no_negative_is_relabelled() -> None:
    rng = np.random.default_rng(3)
    values = rng.normal(0, 1, (120, 3))  # nothing to learn: most scores stay below the threshold
    bags = [f"b{i // 3}" if i < 30 else "" for i in range(120)]
    learnt = forest.fit(values, bags, keys_of(120), 5, SETTINGS)
    assert learnt.labels[:30].reshape(10, 3).any(axis=1).all()
    assert not learnt.labels[30:].any()


def test_single_instances_are_never_relabelled() -> None:
    values, bags, _ = bags_of(4, positive=30, junk=0, negative=90)
    learnt = forest.fit(values, bags, keys_of(len(bags)), 0, SETTINGS)
    assert learnt.rounds == 0 and learnt.labels.sum() == 30


def test_the_order_of_rows_changes_nothing_and_the_seed_does() -> None:
    values, bags, _ = bags_of(2, positive=20, junk=2, negative=80)
    keys = keys_of(len(bags))
    mixed = np.random.default_rng(9).permutation(len(bags))
    first = forest.fit(values, bags, keys, 0, SETTINGS)
    again = forest.fit(values[mixed], [bags[i] for i in mixed], [keys[i] for i in mixed], 0,
                       SETTINGS)
    other = forest.fit(values, bags, keys, 1, SETTINGS)
    np.testing.assert_array_equal(first.probability(values), again.probability(values))
    np.testing.assert_array_equal(first.labels[mixed], again.labels)
    assert not np.array_equal(first.probability(values), other.probability(values))


def test_a_large_bag_and_a_large_class_weigh_no_more() -> None:
    """One value, so that every tree is its root: both classes draw alike, whatever their number."""
    bags = ["big"] * 40 + ["small"] + [""] * 400
    learnt = forest.fit(np.zeros((len(bags), 1)), bags, keys_of(len(bags)), 0, SETTINGS)
    np.testing.assert_allclose(learnt.probability(np.zeros((1, 1))), 0.5)


def test_a_few_bags_can_learn() -> None:
    """Two bags and a single negative: fewer negatives than bags, trees that saw every bag."""
    values = np.array([[1.0], [1.1], [1.2], [0.0]])
    learnt = forest.fit(values, ["a", "a", "b", ""], ["1", "2", "3", "4"], 0,
                        ForestSettings(trees=40, leaf=1))
    assert learnt.probability(values).tolist() == [1, 1, 1, 0]


@pytest.mark.parametrize("bags", [["", ""], ["a", "a"]])
def test_one_class_alone_is_refused(bags: list[str]) -> None:
    with pytest.raises(ValueError, match="positive and negative"):
        forest.fit(np.zeros((2, 3)), bags, ["a", "b"], 0)
