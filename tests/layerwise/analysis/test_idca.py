"""The binormal fit: gradient, maximum, degenerate samples, delta method."""
from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.stats import norm

from layerwise.analysis.idca import (
    MAX_BINS,
    Binormal,
    DegenerateFit,
    bin_scores,
    fit_binormal,
    gradient_and_information,
    log_likelihood,
    modelled_sensitivity,
    probit_and_error,
)
from layerwise.analysis.marks import Marks


def sample(seed: int, size: tuple[int, int], mean: float, sd: float,
           ) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    return generator.normal(size=size[0]), generator.normal(mean, sd, size[1])


def froc_sample(negatives: np.ndarray, positives: np.ndarray, cases: int, lesions: int) -> Marks:
    return Marks("froc", negatives, positives, np.zeros(negatives.size, dtype=int),
                 np.zeros(positives.size, dtype=int), ("g",), np.array([cases]),
                 np.array([lesions]))


def test_bins_hold_every_mark_once_and_keep_ties_together() -> None:
    low, high = sample(0, (500, 200), 1.0, 1.0)
    counts = bin_scores(low.round(1), high.round(1))
    assert counts.sum(axis=1).tolist() == [500, 200]
    assert 8 <= counts.shape[1] <= MAX_BINS
    assert counts.sum(axis=0).min() >= 5
    assert bin_scores(np.zeros(9), np.zeros(4)).tolist() == [[9], [4]]


def test_gradient_is_that_of_the_likelihood() -> None:
    counts = bin_scores(*sample(1, (200, 90), 1.3, 1.4))
    cuts = np.linspace(-1.5, 2.0, counts.shape[1] - 1)
    theta = np.concatenate([[0.8, -0.2], cuts])
    gradient, information = gradient_and_information(theta, counts)
    step = 1e-6
    numeric = [(log_likelihood(theta + step * unit, counts)
                - log_likelihood(theta - step * unit, counts)) / (2 * step)
               for unit in np.eye(theta.size)]
    assert gradient == pytest.approx(numeric, rel=1e-5, abs=1e-4)
    assert np.allclose(information, information.T)
    assert np.all(np.linalg.eigvalsh(information) > 0)


@pytest.mark.parametrize(("seed", "size", "mean", "sd", "decimals"), [
    (2, (1800, 120), 1.8, 1.2, 9),   # a PE test set
    (3, (60, 30), 0.8, 0.7, 9),
    (4, (400, 400), 1.0, 1.0, 0),    # heavily tied
    (5, (300, 150), -1.2, 1.5, 9),   # inverted
])
def test_maximum_is_that_of_a_general_optimiser(seed: int, size: tuple[int, int], mean: float,
                                                sd: float, decimals: int) -> None:
    low, high = (values.round(decimals) for values in sample(seed, size, mean, sd))
    fit = fit_binormal(low, high)
    counts = bin_scores(low, high)

    def negative(x: np.ndarray) -> float:  # cuts as first and log gaps: always in order
        cuts = np.append(x[2], x[2] + np.cumsum(np.exp(x[3:])))
        bins = [np.diff(np.concatenate([[0], norm.cdf(z), [1]]))
                for z in (cuts, np.exp(x[1]) * cuts - x[0])]
        return -float(np.sum(counts * np.log(np.maximum(bins, 1e-300))))

    start = np.concatenate([[0.5, 0.0, -1.5], np.full(counts.shape[1] - 2, -1.5)])
    other = minimize(negative, start, method="BFGS", options={"maxiter": 3000})
    assert fit.log_likelihood >= -other.fun - 1e-6
    assert (fit.a, fit.b) == pytest.approx((other.x[0], math.exp(other.x[1])), abs=5e-3)
    assert (fit.a < 0) == (mean < 0)


def test_parameters_and_their_errors_on_a_large_sample() -> None:
    fits = [fit_binormal(*sample(seed, (3000, 1500), 1.5, 1.25)) for seed in range(60)]
    a, b = np.array([fit.a for fit in fits]), np.array([fit.b for fit in fits])
    assert a.mean() == pytest.approx(1.5 / 1.25, abs=0.02)
    assert b.mean() == pytest.approx(1 / 1.25, abs=0.02)
    errors = np.sqrt(np.mean([np.diag(fit.covariance) for fit in fits], axis=0))
    assert errors == pytest.approx([a.std(ddof=1), b.std(ddof=1)], rel=0.3)


def test_only_the_order_of_scores_matters() -> None:
    low, high = sample(6, (300, 100), 1.0, 1.2)
    plain, bent = fit_binormal(low, high), fit_binormal(np.exp(low), np.exp(high))
    assert (plain.a, plain.b, plain.bins) == (bent.a, bent.b, bent.bins)


@pytest.mark.parametrize(("negatives", "positives", "message"), [
    (np.arange(50.0), np.arange(100.0, 150.0), "do not overlap"),
    (np.arange(100.0, 150.0), np.arange(50.0), "do not overlap"),
    (np.zeros(40), np.zeros(20), "do not overlap"),
    (np.repeat([0.0, 1.0], 20), np.repeat([0.0, 1.0], 20), "fewer than two"),
    (np.arange(3.0), np.array([]), "no mark"),
    (np.array([]), np.arange(3.0), "no mark"),
    (np.array([0.1, 0.5]), np.array([0.3, 0.9]), "do not overlap|fewer than two"),
])
def test_degenerate_samples_fail_by_name(negatives: np.ndarray, positives: np.ndarray,
                                         message: str) -> None:
    with pytest.raises(DegenerateFit, match=message):
        fit_binormal(negatives, positives)


def test_hostile_samples_end_in_a_fit_or_a_named_failure() -> None:
    outcomes = {"fit": 0, "failed": 0}
    for seed in range(150):
        generator = np.random.default_rng(seed)
        low, high = sample(seed, tuple(generator.integers(1, 60, 2)), generator.normal(0, 2),
                           float(np.exp(generator.normal(0, 0.7))))
        if seed % 3 == 0:
            low, high = low.round(), high.round()
        try:
            fit = fit_binormal(low, high)
        except DegenerateFit as error:
            outcomes["failed"] += 1
            assert str(error)
            continue
        outcomes["fit"] += 1
        assert np.isfinite([fit.a, fit.b, *fit.covariance.ravel()]).all()
        assert fit.covariance[0, 0] > 0 and fit.covariance[1, 1] > 0
    assert min(outcomes.values()) > 20


def test_delta_method_by_numerical_differentiation() -> None:
    marks = froc_sample(*sample(7, (1800, 120), 1.8, 1.2), cases=45, lesions=127)
    fit = fit_binormal(marks.negatives, marks.positives)

    def probit(a: float, b: float, lam: float, x: float) -> float:
        return a + b * float(norm.ppf(x / lam))

    at = np.array([fit.a, fit.b, 1800 / 45])
    covariance = np.zeros((3, 3))
    covariance[:2, :2], covariance[2, 2] = fit.covariance, 1800 / 45 / 45
    for x in (1.0, 5.0, 20.0):
        slope = np.array([(probit(*(at + 1e-6 * unit), x) - probit(*(at - 1e-6 * unit), x)) / 2e-6
                          for unit in np.eye(3)])
        t, error = probit_and_error(marks, fit, x)
        assert t == pytest.approx(probit(*at, x))
        assert error == pytest.approx(math.sqrt(slope @ covariance @ slope), rel=1e-5)
        value, low, high = modelled_sensitivity(marks, fit, x)
        assert value == pytest.approx(120 / 127 * norm.cdf(t))
        assert 0 < low < value < high < 1


def test_bars_never_claim_certainty() -> None:
    """All 19 lesions found far above, or far below, the false positives of interest."""
    marks = froc_sample(*sample(9, (500, 19), 0.0, 1.0), cases=100, lesions=19)
    for a in (-9.0, 9.0):
        fit = Binormal(a, 1.0, np.diag([0.01, 0.01]), 0.0, 10)
        value, low, high = modelled_sensitivity(marks, fit, 1.0)
        assert low < value < high
    assert low == pytest.approx(0.83, abs=0.01)       # Wilson's for 19 of 19, not 0.996


def test_misfit_is_seen_and_fit_is_not_suspected() -> None:
    generator = np.random.default_rng(11)
    suspicions = [fit_binormal(*sample(seed, (1500, 200), 1.5, 1.2)).misfit_p < 0.01
                  for seed in range(60)]
    assert sum(suspicions) <= 4
    two_kinds = np.concatenate([generator.normal(0.3, 1.0, 150), generator.normal(4.0, 0.4, 150)])
    assert fit_binormal(generator.normal(size=1500), two_kinds).misfit_p < 1e-4


def test_operating_points_the_candidates_do_not_reach() -> None:
    marks = froc_sample(*sample(8, (90, 40), 1.0, 1.0), cases=30, lesions=40)
    fit = Binormal(1.0, 1.0, np.eye(2), 0.0, 10)
    for point in (0.0, 3.0, 7.0):
        with pytest.raises(DegenerateFit, match="operating point"):
            probit_and_error(marks, fit, point)
    with pytest.raises(DegenerateFit, match="is zero"):
        modelled_sensitivity(marks, Binormal(-60.0, 1.0, np.eye(2), 0.0, 10), 0.5)
