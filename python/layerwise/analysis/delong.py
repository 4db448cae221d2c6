"""DeLong's variance of the AUC by the fast midrank algorithm (Sun & Xu, 2014)."""
from __future__ import annotations

import math

import numpy as np
from scipy.special import ndtr, ndtri
from scipy.stats import rankdata


def _placements(negatives: np.ndarray, positives: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Fraction of the other class that each mark is right about, ties half: (F,), (T,)."""
    ranks = rankdata(np.concatenate([negatives, positives]))
    wins = ranks[negatives.size:] - rankdata(positives)
    losses = ranks[:negatives.size] - rankdata(negatives)
    return 1.0 - losses / positives.size, wins / negatives.size


def auc_covariance(negatives: np.ndarray, positives: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """AUC (S,) and their covariance (S, S) of S systems scored on the same marks.

    negatives: (S, F), positives: (S, T), at least two of each (ValueError otherwise).
    """
    if negatives.shape[1] < 2 or positives.shape[1] < 2:
        raise ValueError("DeLong's variance needs two marks of each class")
    pairs = [_placements(low, high) for low, high in zip(negatives, positives)]
    v01 = np.stack([pair[0] for pair in pairs])
    v10 = np.stack([pair[1] for pair in pairs])
    covariance = np.atleast_2d(np.cov(v10)) / v10.shape[1] \
        + np.atleast_2d(np.cov(v01)) / v01.shape[1]
    return v10.mean(axis=1), covariance


def auc_interval(negatives: np.ndarray, positives: np.ndarray,
                 level: float = 0.95) -> tuple[float, float, float]:
    """AUC and its DeLong interval, cut to 0..1, of one system: scores (F,) and (T,)."""
    auc, covariance = auc_covariance(negatives[None], positives[None])
    half = float(ndtri((1 + level) / 2)) * math.sqrt(covariance[0, 0])
    return float(auc[0]), max(0.0, float(auc[0]) - half), min(1.0, float(auc[0]) + half)


def auc_difference(negatives: np.ndarray, positives: np.ndarray) -> tuple[float, float]:
    """Difference of two AUCs on the same marks and its two-sided p (paired DeLong test).

    negatives: (2, F), positives: (2, T). Identical systems give p = 1.
    """
    auc, covariance = auc_covariance(negatives, positives)
    difference = float(auc[0] - auc[1])
    variance = float(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])
    if variance <= 1e-15:
        return difference, 1.0 if abs(difference) < 1e-12 else 0.0
    return difference, float(2 * ndtr(-abs(difference) / math.sqrt(variance)))
