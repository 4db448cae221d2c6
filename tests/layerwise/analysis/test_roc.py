"""ROC, AUC and DeLong against scikit-learn and R's pROC."""
from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.special import ndtr
from sklearn.metrics import roc_curve

from layerwise.analysis.delong import auc_covariance, auc_interval
from layerwise.analysis.froc import froc
from layerwise.analysis.marks import Marks
from layerwise.ranking import area_under_roc

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
    curve = froc(roc_sample(low, high))
    assert curve.fp_per_case == pytest.approx(false_rate)
    assert curve.sensitivity == pytest.approx(true_rate)
    assert curve.thresholds[0] == np.inf


@pytest.mark.parametrize("decimals", [6, 0])
def test_delongs_area_counts_ties_half(decimals: int) -> None:
    generator = np.random.default_rng(decimals)
    low, high = (generator.normal(*of).round(decimals) for of in ((0, 1, 40), (1, 1, 30)))
    area, _ = auc_covariance(low[None], high[None])
    assert area_under_roc(low, high) == pytest.approx(area[0], abs=1e-12)


@pytest.mark.parametrize("name", SAMPLES)
def test_delong_is_that_of_proc(name: str) -> None:
    golden = GOLDEN[name]
    labels = np.array(golden["labels"]) == 1
    systems = np.array([golden["first"], golden["second"]])
    negatives, positives = systems[:, ~labels], systems[:, labels]
    areas, covariance = auc_covariance(negatives, positives)
    assert areas == pytest.approx(golden["auc"], abs=1e-12)
    assert auc_interval(negatives[0], positives[0]) == pytest.approx(golden["interval"], abs=1e-9)
    variance = covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]
    p = 2 * ndtr(-abs(areas[0] - areas[1]) / np.sqrt(variance))     # the paired test of pROC
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


@pytest.mark.parametrize(("low", "high"), [
    (np.arange(5.0), np.arange(10.0, 16.0)), (np.arange(10.0, 16.0), np.arange(5.0)),  # AUC 1 and 0
    (np.arange(5.0), np.array([2.5])), (np.array([0.5]), np.arange(5.0)), (np.zeros(0), np.ones(3)),
])
def test_no_interval_where_nothing_varies(low: np.ndarray, high: np.ndarray) -> None:
    assert auc_interval(low, high) is None
