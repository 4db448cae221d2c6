"""The score that ranks candidates, the same in validation and in testing."""
from __future__ import annotations

import numpy as np
import pytest

from layerwise.analysis.marks import positive_scores
from layerwise.contracts import Score
from layerwise.ranking import area_under_roc, lesion_log_odds
from layerwise.score import auc


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
