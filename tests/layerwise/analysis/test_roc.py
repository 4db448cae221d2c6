"""ROC against scikit-learn."""
from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_curve

from layerwise.analysis.froc import froc
from layerwise.analysis.marks import Marks


def roc_sample(negatives: np.ndarray, positives: np.ndarray) -> Marks:
    return Marks("roc", negatives, positives, np.zeros(negatives.size, dtype=int),
                 np.zeros(positives.size, dtype=int), ("g",), np.array([negatives.size]),
                 np.array([positives.size]))


@pytest.mark.parametrize("decimals", [6, 1, 0])
def test_our_counting_is_scikit_learns(decimals: int) -> None:
    generator = np.random.default_rng(decimals)
    low = generator.normal(size=80).round(decimals)
    high = generator.normal(1, 1, 50).round(decimals)
    labels, values = np.repeat([0, 1], [80, 50]), np.concatenate([low, high])
    false_rate, true_rate, _ = roc_curve(labels, values, drop_intermediate=False)
    curve = froc(roc_sample(low, high))
    assert curve.fp_per_case == pytest.approx(false_rate)
    assert curve.sensitivity == pytest.approx(true_rate)
    assert curve.thresholds[0] == np.inf
