"""The AUC of a set of patches when its groups are drawn again with replacement, exactly.

The AUC is the share of pairs (a negative, a positive) that are ranked right. Counted once for every
pair of groups, the pairs of a resample follow from how often each group was drawn: no resample has
to be sorted.
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from layerwise.ranking import Ranked


@dataclass(frozen=True)
class Pairs:
    """Of G groups: right (G, G) pairs of a negative in the row's and a positive in the column's
    group that are ranked right, ties half; negatives (G,) and positives (G,) in each group.
    """

    right: np.ndarray
    negatives: np.ndarray
    positives: np.ndarray


def pairs_of(ranked: Ranked, groups: np.ndarray, count: int) -> Pairs:
    """Count the pairs; `groups` (n,) are indices 0..count-1."""
    positives, members = ranked.scores[ranked.positive], groups[ranked.positive]
    right = np.zeros((count, count))
    for group in range(count):
        negatives = np.sort(ranked.scores[(groups == group) & ~ranked.positive])
        below = (np.searchsorted(negatives, positives, side="left")
                 + np.searchsorted(negatives, positives, side="right")) / 2
        right[group] = np.bincount(members, weights=below, minlength=count)
    return Pairs(right, np.bincount(groups[~ranked.positive], minlength=count),
                 np.bincount(members, minlength=count))


def resampled_auc(questions: Sequence[Pairs], weights: np.ndarray) -> np.ndarray:
    """Mean AUC over the questions in every resample, float64 (resamples,).

    weights: (resamples, G) as from `bootstrap.group_weights`. NaN where a resample has only one
    side of a question.
    """
    weights = weights.astype(np.float64)
    total = np.zeros(len(weights))
    for one in questions:
        possible = (weights @ one.negatives) * (weights @ one.positives)
        right = np.einsum("bg,bg->b", weights @ one.right, weights)
        total += np.divide(right, possible, out=np.full(len(weights), np.nan),
                           where=possible > 0)
    return total / len(questions)


def evidence_groups(questions: Sequence[Pairs]) -> int:
    """Of the rarest side of any question: in how many groups it is."""
    return min(int(np.count_nonzero(side)) for one in questions
               for side in (one.negatives, one.positives))
