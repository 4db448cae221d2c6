"""ROC, AUC and DeLong against scikit-learn and R's pROC."""
from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score, roc_curve

from layerwise.analysis.delong import auc_covariance, auc_difference, auc_interval
from layerwise.analysis.froc import froc
from layerwise.analysis.marks import Marks
from layerwise.analysis.roc import auc, roc
from layerwise.errors import InputError

GOLDEN = json.loads((Path(__file__).resolve().parents[2] / "golden" / "delong.json").read_text())
SAMPLES = [name for name in GOLDEN if name != "made_by"]


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
    marks = roc_sample(low, high)
    for curve in (froc(marks), roc(marks)):
        assert curve.fp_per_case == pytest.approx(false_rate)
        assert curve.sensitivity == pytest.approx(true_rate)
        assert curve.thresholds[0] == np.inf
    assert auc(marks) == pytest.approx(roc_auc_score(labels, values))
    assert auc_interval(low, high)[0] == pytest.approx(auc(marks))


def test_one_class_has_no_roc() -> None:
    with pytest.raises(InputError, match="needs both"):
        auc(roc_sample(np.zeros(3), np.zeros(0)))


@pytest.mark.parametrize("name", SAMPLES)
def test_delong_is_that_of_proc(name: str) -> None:
    golden = GOLDEN[name]
    labels = np.array(golden["labels"]) == 1
    systems = np.array([golden["first"], golden["second"]])
    negatives, positives = systems[:, ~labels], systems[:, labels]
    area, low, high = auc_interval(negatives[0], positives[0])
    assert area == pytest.approx(golden["auc"][0], abs=1e-12)
    assert (low, high) == pytest.approx(golden["interval"], abs=1e-9)
    difference, p = auc_difference(negatives, positives)
    assert difference == pytest.approx(golden["auc"][0] - golden["auc"][1], abs=1e-12)
    assert p == pytest.approx(golden["p"], abs=1e-9)


def test_delong_by_its_definition() -> None:
    """Structural components by all pairs instead of midranks."""
    generator = np.random.default_rng(3)
    low, high = generator.integers(0, 6, 23), generator.integers(2, 8, 17)
    wins = (high[:, None] > low[None, :]) + 0.5 * (high[:, None] == low[None, :])
    area, covariance = auc_covariance(low[None], high[None])
    expected = wins.mean(axis=1).var(ddof=1) / 17 + wins.mean(axis=0).var(ddof=1) / 23
    assert area[0] == pytest.approx(wins.mean())
    assert covariance[0, 0] == pytest.approx(expected)


def test_a_system_does_not_differ_from_itself() -> None:
    low, high = np.arange(5.0), np.arange(3.0, 9.0)
    assert auc_difference(np.stack([low, low]), np.stack([high, high])) == (0.0, 1.0)
