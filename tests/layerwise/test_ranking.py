"""The score that ranks candidates, the same in validation and in testing."""
from __future__ import annotations

import numpy as np
import pytest

from layerwise.analysis.auc_bootstrap import evidence_groups
from layerwise.analysis.marks import positive_scores
from layerwise.contracts import Score
from layerwise.ranking import area_under_roc, lesion_log_odds, rarest_side
from layerwise.score import auc
from layerwise.validation import Judged


def softmax(logits: np.ndarray) -> np.ndarray:
    """Two classes in float32, as Caffe's: (n, 2) from differences of the logits (n,)."""
    exponents = np.exp(np.stack([-logits, np.zeros_like(logits)], axis=1).astype(np.float32))
    return exponents / exponents.sum(axis=1, keepdims=True)


def test_by_hand() -> None:
    found = lesion_log_odds(np.array([[0.2, 0.3, 0.5], [0.5, 0.5, 0.0]]))
    assert found == pytest.approx([np.log(4.0), 0.0])


def test_both_ends_keep_their_order() -> None:
    logits = np.array([-25.0, -20.0, -17.5, 0.0, 17.5, 20.0, 22.5, 25.0])
    probabilities = softmax(logits)
    assert np.unique(probabilities[4:, 1]).size == 1      # p_1 alone cannot tell these apart
    assert lesion_log_odds(probabilities) == pytest.approx(logits, abs=1e-4)


def test_certainty_is_finite() -> None:
    found = lesion_log_odds(np.array([[0.0, 1.0], [1.0, 0.0]]))
    assert np.isfinite(found).all() and found[0] == -found[1] > 100
    assert np.isnan(lesion_log_odds(np.array([[np.nan, np.nan]]))).all()


def test_validation_and_testing_rank_alike() -> None:
    probabilities = softmax(np.array([20.0, 22.0, 24.0, 21.0]))
    labels = np.array([0, 1, 1, 0])
    rows = [Score("c", "g", str(i), "l" * label, label, tuple(map(float, row)))
            for i, (label, row) in enumerate(zip(labels.tolist(), probabilities))]
    assert np.array_equal(positive_scores(rows), lesion_log_odds(probabilities))
    assert auc(labels, probabilities) == 1.0


def test_ties_count_half() -> None:
    assert area_under_roc(np.array([0.0, 1.0]), np.array([1.0, 2.0])) == 7 / 8


@pytest.mark.parametrize("rule", ["lesion", "one-vs-rest"])
@pytest.mark.parametrize("names", [("a", "b"), ("a", "b", "c", "d")])
def test_the_rarest_side_is_what_the_bootstrap_counts(rule: str, names: tuple[str, ...]) -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        labels = np.minimum(rng.geometric(0.5, 30) - 1, len(names) - 1)
        groups = rng.integers(0, 9, 30).astype(str)
        judged = Judged("v", groups, groups, labels, np.full((30, len(names)), 1 / len(names)))
        assert rarest_side(labels, groups, names, rule)[1] == evidence_groups(judged.pairs(rule))


def test_the_rarest_side_in_words() -> None:
    groups = np.array(list("pqrstt"))
    assert rarest_side(np.array([0, 0, 0, 1, 1, 2]), groups, "xyz", "one-vs-rest") == ("z", 1)
    assert rarest_side(np.array([0, 0, 0, 1, 1, 2]), groups, "xyz", "lesion") == ("y or z", 2)
    assert rarest_side(np.array([0, 0, 0, 1, 0, 1]), groups, "xyz", "one-vs-rest") == ("y", 2)
    assert rarest_side(np.array([0, 0, 0, 0, 1, 0]), groups, "xy", "one-vs-rest") == ("y", 1)
