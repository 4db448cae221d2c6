"""Initial detection and candidate analysis: a binormal fit of candidate scores, and its interval.

The reference the paper names for its error bars is Edwards, Kupinski, Metz, Nishikawa, "Maximum
likelihood fitting of FROC curves under an initial-detection-and-candidate-analysis model", Medical
Physics 29(12), 2002. Its model: up to a monotone transform, false-positive candidates score N(0, 1)
and detected lesions N(a/b, 1/b^2); there are `lam` false positives per case, and a fraction `nu` of
the lesions is detected. Then the sensitivity at x false positives per case is

    S(x) = nu * Phi(t),   t = a + b q,   q = Phi^-1(x / lam),

and an ROC is the case lam = nu = 1. a and b are fitted by maximum likelihood to scores binned into
at most 20 ordered categories, by Fisher scoring with the analytic gradient. The paper prints no
formula for the error bars. Here the candidate fit, nu and lam are taken as independent, nu
binomial, lam * cases Poisson. The delta method on t,

    Var t = Var a + q^2 Var b + 2 q Cov(a, b) + (b x / (lam^2 phi(q)))^2 lam / cases,

gives Phi(t +- z sqrt(Var t)); nu has Wilson's interval; both join into that of the product (see
`proportion`). A symmetric bar on S would claim certainty wherever t is extreme or nu is 1.
"""
from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, ndtri
from scipy.stats import chi2

from layerwise.analysis.marks import Marks
from layerwise.analysis.proportion import product_interval, wilson
from layerwise.errors import LayerwiseError

MAX_BINS = 20
MIN_COUNT = 5        # marks of both classes together in a bin
MAX_STEPS = 200
A_LIMIT, B_RANGE = 12.0, (0.02, 50.0)  # beyond these the likelihood is still rising: no maximum


class DegenerateFit(LayerwiseError):
    """The binormal likelihood of these marks has no usable maximum; the message says why."""


@dataclass(frozen=True)
class Binormal:
    """Fitted curve TPF = Phi(a + b Phi^-1(FPF)); `covariance` is that of (a, b), shape (2, 2).

    misfit_p: of Pearson's chi-squared over the bins, bins - 3 degrees of freedom; small where the
    scores are not binormal, 1 with too few bins to tell.
    """

    a: float
    b: float
    covariance: np.ndarray
    log_likelihood: float
    bins: int
    misfit_p: float = 1.0


def bin_scores(negatives: np.ndarray, positives: np.ndarray) -> np.ndarray:
    """Counts (2, K) of both classes in ordered categories of rising score, K <= MAX_BINS.

    The cuts lie at equal steps of asin(sqrt(FPF)) + asin(sqrt(TPF)) along the empirical curve, so
    that the low false-positive end is resolved too; only the order of the scores matters, equal
    scores share a bin, and bins with fewer than MIN_COUNT marks join their neighbour.
    """
    values = np.unique(np.concatenate([negatives, positives]))
    counts = np.stack([np.bincount(np.searchsorted(values, scores), minlength=values.size)
                       for scores in (negatives, positives)])
    below = np.cumsum(counts, axis=1)[:, :-1] / counts.sum(axis=1, keepdims=True)
    position = np.arcsin(np.sqrt(below)).sum(axis=0)            # 0..pi, rising with the cut
    step = np.floor(position / (math.pi * (1 + 1e-12)) * MAX_BINS)
    starts = np.append(0, 1 + np.flatnonzero(np.diff(np.append(0.0, step)) > 0))
    binned = np.add.reduceat(counts, starts, axis=1)
    merged: list[np.ndarray] = []
    pending = np.zeros(2, dtype=np.int64)
    for column in binned.T:
        pending = pending + column
        if pending.sum() >= MIN_COUNT:
            merged.append(pending)
            pending = np.zeros(2, dtype=np.int64)
    if not merged:
        merged.append(pending)
    else:
        merged[-1] = merged[-1] + pending
    return np.stack(merged, axis=1)


def _bin_probability(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Phi(high) - Phi(low) without cancellation in the upper tail."""
    upper = low > 0
    first = np.where(upper, -high, low)
    return np.asarray(ndtr(np.where(upper, -low, high)) - ndtr(first))


def _density(z: np.ndarray) -> np.ndarray:
    return np.asarray(np.exp(-0.5 * z * z) / math.sqrt(2 * math.pi))


def _bins_and_slopes(theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Bin probabilities (2, K) and their derivatives (2, K, P); theta = (a, log b, cuts...)."""
    a, b, cuts = theta[0], math.exp(theta[1]), theta[2:]
    edges = np.concatenate([[-np.inf], cuts, [np.inf]])
    shifted = np.concatenate([[-np.inf], b * cuts - a, [np.inf]])
    probability = np.stack([_bin_probability(z[:-1], z[1:]) for z in (edges, shifted)])
    at_edge = np.zeros((2, cuts.size + 2, theta.size))   # d Phi(edge) / d theta, zero at +-inf
    index = np.arange(cuts.size)
    at_edge[0, index + 1, index + 2] = _density(cuts)
    density = _density(b * cuts - a)
    at_edge[1, index + 1, 0] = -density
    at_edge[1, index + 1, 1] = density * b * cuts
    at_edge[1, index + 1, index + 2] = density * b
    return probability, np.diff(at_edge, axis=1)


def log_likelihood(theta: np.ndarray, counts: np.ndarray) -> float:
    """Multinomial log-likelihood of `counts` (2, K) at theta = (a, log b, K-1 rising cuts)."""
    probability, _ = _bins_and_slopes(theta)
    if np.any(probability[counts > 0] <= 0):
        return -math.inf
    return float(np.sum(counts * np.log(np.where(counts > 0, probability, 1.0))))


def gradient_and_information(theta: np.ndarray,
                             counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Analytic gradient (P,) of `log_likelihood` and the Fisher information (P, P) at theta."""
    probability, slopes = _bins_and_slopes(theta)
    safe = np.maximum(probability, 1e-300)
    gradient = np.einsum("ck,ckp->p", counts / safe, slopes)
    weight = counts.sum(axis=1, keepdims=True) / safe
    information = np.einsum("ck,ckp,ckq->pq", weight, slopes, slopes)
    return gradient, information


def _check_counts(counts: np.ndarray) -> None:
    if np.any(counts.sum(axis=1) == 0):
        raise DegenerateFit("one of the two classes has no mark")
    rates = np.cumsum(counts, axis=1)[:, :-1] / counts.sum(axis=1, keepdims=True)
    inside = rates[:, np.all((rates > 0) & (rates < 1), axis=0)]
    if inside.shape[1] == 0:
        raise DegenerateFit("the scores of the two classes do not overlap, or are all equal")
    if any(np.unique(row).size < 2 for row in inside):
        raise DegenerateFit("fewer than two operating points with different rates in both classes")


def _misfit_p(theta: np.ndarray, counts: np.ndarray) -> float:
    freedom = counts.shape[1] - 3
    if freedom < 1:
        return 1.0
    expected = _bins_and_slopes(theta)[0] * counts.sum(axis=1, keepdims=True)
    return float(chi2.sf(np.sum((counts - expected) ** 2 / np.maximum(expected, 1e-300)), freedom))


def fit_binormal(negatives: np.ndarray, positives: np.ndarray) -> Binormal:
    """Ordinal maximum likelihood fit of the binormal curve to two samples of scores.

    negatives, positives: float (F,) and (T,), finite. Raises DegenerateFit when a class is empty,
    when the classes are separable or tied so much that no two interior operating points are left,
    or when the likelihood rises without bound.
    """
    if not negatives.size or not positives.size:
        raise DegenerateFit("one of the two classes has no mark")
    counts = bin_scores(negatives, positives)
    _check_counts(counts)
    below = (np.cumsum(counts, axis=1)[:, :-1] + 0.5) / (counts.sum(axis=1, keepdims=True) + 1)
    cuts = ndtri(below[0])
    cuts = np.maximum.accumulate(cuts) + 1e-3 * np.arange(cuts.size)
    theta = np.concatenate([[float(np.mean(cuts - ndtri(below[1]))), 0.0], cuts])
    value, damping = log_likelihood(theta, counts), 1e-3
    for _ in range(MAX_STEPS):
        gradient, information = gradient_and_information(theta, counts)
        damped = information + damping * np.diag(np.diag(information) + 1e-9)
        try:
            step = np.linalg.solve(damped, gradient)
        except np.linalg.LinAlgError:
            raise DegenerateFit("the information matrix is singular") from None
        if abs(gradient @ step) < 1e-9 and damping <= 1e-3:
            break
        trial = theta + step
        usable = abs(trial[0]) < 10 * A_LIMIT and abs(trial[1]) < 10 \
            and bool(np.all(np.diff(trial[2:]) > 0))
        trial_value = log_likelihood(trial, counts) if usable else -math.inf
        if trial_value >= value - 1e-12 * abs(value):
            theta, value, damping = trial, trial_value, max(damping / 10, 1e-9)
        else:
            damping *= 10
            if damping > 1e12:
                raise DegenerateFit("the likelihood could not be improved any further")
    else:
        raise DegenerateFit(f"no maximum within {MAX_STEPS} steps")
    a, b = float(theta[0]), math.exp(theta[1])
    if abs(a) > A_LIMIT or not B_RANGE[0] < b < B_RANGE[1]:
        raise DegenerateFit(f"the likelihood rises without bound (a = {a:.3g}, b = {b:.3g})")
    _, information = gradient_and_information(theta, counts)
    if np.linalg.cond(information) > 1e12:
        raise DegenerateFit("the information matrix is singular")
    covariance = np.linalg.inv(information)[:2, :2] * np.outer([1.0, b], [1.0, b])
    return Binormal(a, b, covariance, value, counts.shape[1], _misfit_p(theta, counts))


def probit_and_error(marks: Marks, fit: Binormal, fp: float) -> tuple[float, float]:
    """t at `fp` false positives per case (or FPF) and its standard error by the delta method.

    Raises DegenerateFit at a rate of zero or one that the candidates do not reach.
    """
    froc = marks.kind == "froc"
    lam = marks.negatives.size / marks.cases if froc else 1.0
    if not 0 < fp < lam:
        raise DegenerateFit(f"operating point {fp:g} lies outside 0..{lam:.4g}, "
                            "what the candidates reach")
    q = float(ndtri(fp / lam))
    direction = np.array([1.0, q])
    variance = float(direction @ fit.covariance @ direction)
    if froc:
        density = math.exp(-q * q / 2) / math.sqrt(2 * math.pi)
        variance += (fit.b * fp / (lam ** 2 * density)) ** 2 * lam / marks.cases
    return fit.a + fit.b * q, math.sqrt(variance)


def modelled_sensitivity(marks: Marks, fit: Binormal, fp: float,
                         level: float = 0.95) -> tuple[float, float, float]:
    """Fitted sensitivity at `fp` false positives per case (or FPF) with its interval.

    Raises DegenerateFit as `probit_and_error` does, and where the model says zero.
    """
    t, error = probit_and_error(marks, fit, fp)
    z = float(ndtri((1 + level) / 2))
    share, low, high = (float(ndtr(value)) for value in (t, t - z * error, t + z * error))
    if marks.kind != "froc":
        return share, low, high
    if share == 0.0:
        raise DegenerateFit(f"the model's sensitivity at {fp:g} is zero")
    nu = marks.positives.size / marks.lesions
    nu_low, nu_high = wilson(marks.positives.size, marks.lesions, level)
    return nu * share, *product_interval((share, low, high), (nu, nu_low, nu_high))
