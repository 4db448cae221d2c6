"""DeLong's variance of the AUC by the fast midrank algorithm (Sun & Xu, 2014)."""
from __future__ import annotations

import math

import numpy as np
from scipy.special import ndtri
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
                 level: float = 0.95) -> tuple[float, float] | None:
    """DeLong's interval, cut to 0..1, of one system's AUC: scores (F,) and (T,).

    None with fewer than two marks of a class, and where the variance is zero (perfect separation):
    an interval without width would claim certainty.
    """
    if min(negatives.size, positives.size) < 2:
        return None
    area, covariance = auc_covariance(negatives[None], positives[None])
    if covariance[0, 0] <= 1e-15:
        return None
    half = float(ndtri((1 + level) / 2)) * math.sqrt(covariance[0, 0])
    return max(0.0, float(area[0]) - half), min(1.0, float(area[0]) + half)
