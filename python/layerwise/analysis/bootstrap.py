"""Bootstrap over groups (videos, patients): whole groups are drawn again with replacement.

Candidates of one video are alike, so that resampling single candidates would understate the
uncertainty. The same draws serve every system scored on the same test set, which makes the
difference of two systems a paired one.
"""
from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from layerwise.analysis.marks import Marks
from layerwise.errors import LayerwiseError

RESAMPLES = 2000


def group_weights(groups: int, resamples: int, seed: int) -> np.ndarray:
    """How often each group is drawn, int64 (resamples, groups); every row sums to `groups`.

    Every one of the `groups` indices 0..groups-1 is drawn with equal probability.
    """
    if groups < 2:
        raise LayerwiseError(f"a bootstrap over groups needs at least two groups, not {groups}")
    generator = np.random.default_rng(seed)
    return generator.multinomial(groups, np.full(groups, 1.0 / groups), size=resamples)


def _cumulative(order: np.ndarray, groups: np.ndarray, count: int) -> np.ndarray:
    """Marks of each group among the first k of `order`, float64 (marks + 1, count)."""
    steps = np.zeros((order.size + 1, count))
    steps[np.arange(1, order.size + 1), groups[order]] = 1.0
    return np.cumsum(steps, axis=0)


def _weighted(weights: np.ndarray, cumulative: np.ndarray, index: np.ndarray) -> np.ndarray:
    return np.asarray(np.einsum("bg,bg->b", weights, cumulative[index]))


def resampled_sensitivity(marks: Marks, weights: np.ndarray, fps: Sequence[float]) -> np.ndarray:
    """Sensitivity of the step curve in every resample, float64 (resamples, len(fps)).

    weights: (resamples, G) as from `group_weights`. Equal scores enter together, as in `froc`. A
    resample without lesions (or negatives) gives NaN. The threshold of each resample is found by
    bisection over the ranked false positives, which costs resamples * G * log(F).
    """
    false_order = np.argsort(-marks.negatives, kind="stable")
    hit_order = np.argsort(-marks.positives, kind="stable")
    false_counts = _cumulative(false_order, marks.negative_groups, len(marks.groups))
    hit_counts = _cumulative(hit_order, marks.positive_groups, len(marks.groups))
    # The first false positive that is one too many sets the limit: what lies above it is marked.
    limits = np.append(-marks.negatives[false_order], np.inf)
    hits_above = np.searchsorted(-marks.positives[hit_order], limits, side="left")
    weights = weights.astype(np.float64)
    units, lesions = weights @ marks.negative_units, weights @ marks.positive_units
    result = np.empty((len(weights), len(fps)))
    for column, fp in enumerate(fps):
        allowed = fp * units * (1 + 1e-12)
        low = np.zeros(len(weights), dtype=np.int64)
        high = np.full(len(weights), marks.negatives.size)
        while np.any(low < high):   # invariant: the first `low` false positives are allowed
            middle = (low + high + 1) // 2
            fits = _weighted(weights, false_counts, middle) <= allowed
            low, high = np.where(fits, middle, low), np.where(fits, high, middle - 1)
        detected = _weighted(weights, hit_counts, hits_above[low])
        result[:, column] = np.where((lesions > 0) & (units > 0),
                                     detected / np.maximum(lesions, 1), np.nan)
    return result


def percentile_interval(values: np.ndarray, level: float = 0.95) -> tuple[float, float]:
    """Percentile interval of resampled values (resamples,), NaN left out.

    Raises LayerwiseError when fewer than half of the resamples have a value.
    """
    finite = values[np.isfinite(values)]
    if finite.size < max(1, values.size // 2):
        raise LayerwiseError("most resamples hold no lesion; there are too few groups with lesions")
    low, high = np.quantile(finite, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
