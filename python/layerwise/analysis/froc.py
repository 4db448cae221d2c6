"""FROC curves: sensitivity against false positives per case, in O(n log n).

Counting as in the paper (section VI): false positives are averaged over all test cases, also those
without a candidate; a lesion counts once, by its best candidate; a lesion that the candidate
generator missed can never be detected. Marks with equal scores enter together, and the lowest
threshold is kept, so that the curve ends at everything the generator found.
"""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from layerwise.analysis.marks import Marks
from layerwise.errors import InputError


@dataclass(frozen=True)
class Froc:
    """Operating points from the strictest threshold to the most lenient, float64 (K+1,) each.

    Point 0 is "nothing is marked": threshold +inf, 0 false positives, sensitivity 0. Point k counts
    every mark with score >= thresholds[k]. `cases` and `lesions` are the denominators.
    """

    thresholds: np.ndarray
    fp_per_case: np.ndarray
    sensitivity: np.ndarray
    cases: int
    lesions: int

    def index_at(self, fp: float) -> int:
        """Index of the most lenient point with at most `fp` false positives per case."""
        allowed = fp * (1 + 1e-12)  # 3/30 must not exceed 0.1 by rounding
        return int(np.searchsorted(self.fp_per_case, allowed, side="right")) - 1

    def sensitivity_at(self, fp: float) -> float:
        """Sensitivity by step interpolation: that of the largest FP per case <= `fp`."""
        if fp < 0:
            raise ValueError(f"{fp} false positives per case")
        return float(self.sensitivity[self.index_at(fp)])

    @property
    def end(self) -> tuple[float, float]:
        """FP per case and sensitivity when every candidate is marked."""
        return float(self.fp_per_case[-1]), float(self.sensitivity[-1])


def froc(marks: Marks) -> Froc:
    """The curve of any marks; for kind "roc" it is the ROC (FPF against TPF).

    Raises InputError without cases or without lesions: then a rate has no denominator.
    """
    if marks.cases == 0 or marks.lesions == 0:
        raise InputError(f"the test set has {marks.cases} cases (negatives) and {marks.lesions} "
                         "lesions (positives); a curve needs both")
    values = np.concatenate([marks.negatives, marks.positives])
    is_positive = np.concatenate([np.zeros(marks.negatives.size, dtype=np.int64),
                                  np.ones(marks.positives.size, dtype=np.int64)])
    order = np.argsort(-values, kind="stable")
    values, is_positive = values[order], is_positive[order]
    last = np.flatnonzero(np.append(values[1:] != values[:-1], True)) if values.size \
        else np.zeros(0, dtype=np.int64)  # last mark of each run of equal scores
    detected = np.cumsum(is_positive)[last]
    return Froc(thresholds=np.append(np.inf, values[last]),
                fp_per_case=np.append(0.0, (last + 1 - detected) / marks.cases),
                sensitivity=np.append(0.0, detected / marks.lesions),
                cases=marks.cases, lesions=marks.lesions)
