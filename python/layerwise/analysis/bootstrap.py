"""Bootstrap over groups (videos, patients): whole groups are drawn again with replacement.

Candidates of one video are alike, so that resampling single candidates would understate the
uncertainty. The same draws serve every system scored on the same test set, which makes the
difference of two systems a paired one.

G groups carry no more evidence than G numbers do: plain percentiles of many resamples are too
narrow, by the factor sqrt((G - 1) / G) and by normal instead of t tails. Hesterberg's expanded
percentiles ("What Teachers Should Know About the Bootstrap", The American Statistician 69, 2015)
make up for both; p values are corrected alike. G counts the groups that hold evidence (`Marks.
evidence_groups`). An interval whose ends so few resamples reach that they are chance themselves is
refused.
"""
from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.special import ndtr, ndtri
from scipy.stats import t as student_t

from layerwise.analysis.marks import Marks
from layerwise.errors import LayerwiseError

RESAMPLES = 20_000
FEW = 10  # resamples: fewer beyond a point do not tell how likely it is to lie beyond it
FEW_GROUPS_NOTE = ("The bootstrap over groups is corrected for their number, but with fewer than "
                   "some twenty it may still be too narrow.")


def group_weights(groups: int, resamples: int, seed: int) -> np.ndarray:
    """How often each group is drawn, int64 (resamples, groups); every row sums to `groups`.

    Every one of the `groups` indices 0..groups-1 is drawn with equal probability.
    """
    if groups < 2:
        raise LayerwiseError(f"a bootstrap over groups needs at least two groups, not {groups}")
    generator = np.random.default_rng(seed)
    return generator.multinomial(groups, np.full(groups, 1.0 / groups), size=resamples)


def seed_weights(seeds: int, resamples: int, entropy: Sequence[int]) -> np.ndarray:
    """Share of each training run in every resample, float64 (resamples, seeds), rows sum to 1.

    Runs are drawn with replacement, so that differences between repeats of the training count.
    Draws of S runs vary by (S - 1) / S of what the runs do; the shares' distances from 1 / S are
    stretched to make up for it, and some are negative. With one run every share is 1.
    """
    generator = np.random.default_rng(entropy)
    drawn = generator.multinomial(seeds, np.full(seeds, 1.0 / seeds), size=resamples) / seeds
    if seeds == 1:
        return np.asarray(drawn)
    return np.asarray(1 / seeds + np.sqrt(seeds / (seeds - 1)) * (drawn - 1 / seeds))


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


def _need_groups(groups: int) -> None:
    if groups < 2:
        raise LayerwiseError(f"{groups} group with lesions or the rarer class; a bootstrap "
                             "needs at least two")


def percentile_interval(values: np.ndarray, groups: int, level: float = 0.95,
                        ) -> tuple[float, float]:
    """Expanded percentile interval of resampled values (resamples,), NaN left out.

    groups: G above. Raises LayerwiseError for fewer than two, when fewer than half of the
    resamples have a value, and when fewer than FEW of them lie beyond each end.
    """
    _need_groups(groups)
    finite = values[np.isfinite(values)]
    if finite.size < max(1, values.size // 2):
        raise LayerwiseError("most resamples hold no lesion or one class only; too few groups "
                             "have lesions or the rarer class")
    tail = float(ndtr(-np.sqrt(groups / (groups - 1))
                      * student_t.ppf((1 + level) / 2, groups - 1)))
    if tail * finite.size < FEW:
        raise LayerwiseError(f"the ends of a {100 * level:.3g}% interval from {groups} groups lie "
                             f"beyond what {finite.size:,} resamples show")
    low, high = np.quantile(finite, [tail, 1 - tail])
    return float(low), float(high)


def interval_or_none(values: np.ndarray, groups: int) -> tuple[float, float] | None:
    """`percentile_interval` at 95%, None where there is none, and where all resamples agree: no
    width would claim certainty."""
    try:
        low, high = percentile_interval(values, groups)
    except LayerwiseError:
        return None
    return (low, high) if low < high else None


def plain_p(differences: np.ndarray) -> float:
    """Two-sided p of "no difference" by counting resampled differences (resamples,) beyond 0."""
    finite = differences[np.isfinite(differences)]
    tail = min(int(np.sum(finite <= 0)), int(np.sum(finite >= 0)))
    return float(min(1.0, 2.0 * (tail + 1) / (finite.size + 1)))


def attainable_p(groups: int) -> float:
    """The smallest two-sided p that `groups` paired differences can give: all of one sign."""
    return 2.0 ** (1 - groups)


def expanded_p(differences: np.ndarray, groups: int) -> float:
    """`plain_p` corrected for the number of groups as `percentile_interval` is.

    The plain p becomes a z, z sqrt((G-1)/G) is referred to t with G - 1 degrees of freedom, and
    the result is no smaller than `attainable_p`. Where fewer than FEW resamples lie beyond 0 there
    is nothing to count: z grows on in proportion to the distance from the median, from what it is
    at the FEW-th resample. Of normal resamples that is their mean over their standard deviation.
    """
    _need_groups(groups)
    finite = differences[np.isfinite(differences)]
    z = float(-ndtri(plain_p(finite) / 2))
    if min(np.sum(finite <= 0), np.sum(finite >= 0)) < FEW:
        ranked = np.sort(finite if np.median(finite) > 0 else -finite)
        median, last = float(np.median(ranked)), float(ranked[FEW - 1])
        counted = float(-ndtri((FEW + 1) / (finite.size + 1)))
        z = counted * median / (median - last) if last < median else np.inf
    p = 2.0 * float(student_t.sf(z * np.sqrt((groups - 1) / groups), groups - 1))
    return min(1.0, max(p, attainable_p(groups)))
