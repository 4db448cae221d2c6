"""The two forests on edges whose kind is written into their descriptors."""
from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier

from data_prep.polyp import boundary_forests as b
from data_prep.polyp import descriptors
from data_prep.polyp.edge_kinds import KINDS, POLYP

SMALL = b.ForestSettings(per_kind=400, trees=20, pair_trees=20)


def sample(seed: int, groups: int = 6, per_group: int = 250) -> b.Sample:
    """A polyp's boundary has a first coefficient of its own, negative where the normal points
    inwards."""
    rng = np.random.default_rng(seed)
    count = groups * per_group
    kind, inward = rng.integers(len(KINDS), size=count), rng.random(count) < 0.5
    parts = rng.normal(0, 0.1, (count, descriptors.ROWS, descriptors.COLUMNS,
                                 descriptors.COEFFICIENTS, descriptors.CHANNELS))
    step = np.where(kind == POLYP, np.where(inward, -0.1, 0.1), 0)
    parts[..., 0, 0] += step[:, None, None]
    parts[..., 1, 1] += 0.1 * kind[:, None, None]
    return b.Sample(parts.reshape(count, -1).astype(np.float32), kind, inward,
                    np.repeat([f"g{i}" for i in range(groups)], per_group))


def test_boundaries_and_their_sides_are_learnt() -> None:
    forests, fresh = b.learn(sample(1), 1, SMALL), sample(2)
    found = forests.probability(fresh.values)
    assert found.shape == (1500, len(b.SIDES))
    np.testing.assert_allclose(found.sum(1), 1, atol=1e-5)
    expected = np.where(fresh.kind != POLYP, 0, np.where(fresh.inward, 1, 2))
    assert (found.argmax(1) == expected).mean() > 0.9


def test_the_flat_forest_answers_as_scikit_learns() -> None:
    shown = sample(3)
    forest = RandomForestClassifier(7, max_depth=6, random_state=0).fit(shown.values, shown.kind)
    np.testing.assert_allclose(b.flattened(forest).probability(sample(4).values),
                               forest.predict_proba(sample(4).values), atol=1e-6)


def test_of_the_mirror_image_the_sides_change_places() -> None:
    forests, fresh = b.learn(sample(1), 1, SMALL), sample(5)
    clear = fresh.kind == POLYP
    one = forests.probability(fresh.values[clear]).argmax(1)
    two = forests.probability(descriptors.mirrored(fresh.values[clear])).argmax(1)
    assert (one[one > 0] + two[one > 0] == 3).mean() > 0.9


def test_the_same_seed_gives_the_same_forests() -> None:
    one, two = (b.to_arrays(b.learn(sample(1), 3, SMALL)) for _ in range(2))
    assert all(np.array_equal(one[name], two[name]) for name in one)


def test_arrays_bring_the_forests_back() -> None:
    forests, fresh = b.learn(sample(1), 1, SMALL), sample(6)
    again = b.from_arrays(b.to_arrays(forests))
    np.testing.assert_array_equal(again.probability(fresh.values),
                                  forests.probability(fresh.values))
    assert forests.probability(fresh.values[:0]).shape == (0, len(b.SIDES))


def test_kinds_that_are_not_there_and_a_single_video() -> None:
    whole = sample(1, groups=1, per_group=400)
    forests = b.learn(whole.rows(np.flatnonzero(whole.kind < 2)), 1, SMALL)
    assert forests.kinds.share.shape[1] == len(KINDS)
    assert forests.probability(whole.values).shape == (400, len(b.SIDES))


def test_without_a_boundary_nothing_can_be_learnt() -> None:
    shown = sample(1)
    with pytest.raises(ValueError, match="boundary of a polyp"):
        b.learn(replace(shown, kind=np.maximum(shown.kind, 1)), 1, SMALL)
