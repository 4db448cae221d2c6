"""95% intervals of the sensitivity at a false-positive rate, by three named methods.

idca       the paper's reference: binormal candidate model, delta method (see idca.py)
bootstrap  groups drawn again with replacement, percentiles, seeded
wilson     binomial interval on the detected lesions at the step curve's threshold, which is taken
           as given: it knows neither the clustering of lesions nor the threshold's uncertainty
"""
from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from layerwise.analysis.bootstrap import (
    RESAMPLES,
    group_weights,
    percentile_interval,
    resampled_sensitivity,
)
from layerwise.analysis.froc import froc
from layerwise.analysis.idca import DegenerateFit, fit_binormal, sensitivity_and_error
from layerwise.analysis.marks import Marks
from layerwise.errors import InputError, LayerwiseError

METHODS = ("idca", "bootstrap", "wilson")


@dataclass(frozen=True)
class Interval:
    """An estimate with its interval; `method` is the one that really made it.

    `note` is empty, or says why `method` is not the one asked for.
    """

    estimate: float
    low: float
    high: float
    method: str
    note: str = ""

    def overlaps(self, other: Interval) -> bool:
        """Whether the two error bars share a value (the paper's rule: if so, not different)."""
        return self.low <= other.high and other.low <= self.high


def wilson(detected: int, lesions: int, level: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval of a binomial proportion; `lesions` > 0."""
    z = float(ndtri((1 + level) / 2))
    p = detected / lesions
    centre = (p + z * z / (2 * lesions)) / (1 + z * z / lesions)
    half = z / (1 + z * z / lesions) * math.sqrt(p * (1 - p) / lesions + (z / (2 * lesions)) ** 2)
    return max(0.0, min(p, centre - half)), min(1.0, max(p, centre + half))


def sensitivity_intervals(method: str, marks: Marks, fps: Sequence[float], level: float = 0.95,
                          seed: int = 0, resamples: int = RESAMPLES) -> list[Interval]:
    """One interval per rate in `fps` (FP per case, or FPF for kind "roc").

    Raises DegenerateFit (idca) or LayerwiseError (bootstrap: fewer than two groups) when the method
    cannot answer, and ValueError for an unknown method.
    """
    if method == "idca":
        fit = fit_binormal(marks.negatives, marks.positives)
        z = float(ndtri((1 + level) / 2))
        answers = [sensitivity_and_error(marks, fit, fp) for fp in fps]
        return [Interval(value, max(0.0, value - z * error), min(1.0, value + z * error), method)
                for value, error in answers]
    curve = froc(marks)
    estimates = [curve.sensitivity_at(fp) for fp in fps]
    if method == "bootstrap":
        weights = group_weights(len(marks.groups), resamples, seed)
        values = resampled_sensitivity(marks, weights, fps)
        ranges = [percentile_interval(column, level) for column in values.T]
    elif method == "wilson":
        ranges = [wilson(round(value * curve.lesions), curve.lesions, level)
                  for value in estimates]
    else:
        raise ValueError(f"unknown method {method!r}; the methods are {', '.join(METHODS)}")
    return [Interval(value, low, high, method) for value, (low, high) in zip(estimates, ranges)]


def sensitivity_interval(method: str, marks: Marks, fp: float, level: float = 0.95,
                         seed: int = 0, resamples: int = RESAMPLES) -> Interval:
    """`sensitivity_intervals` at one rate."""
    return sensitivity_intervals(method, marks, [fp], level, seed, resamples)[0]


def interval_or_fallback(method: str, marks: Marks, fp: float, seed: int = 0) -> Interval:
    """The interval by `method`, or by the next one that can answer, with a note that says so.

    A bootstrap in which all resamples agree (nothing or everything detected) would claim certainty
    and is passed over for Wilson's interval. Raises InputError for a test set without lesions.
    """
    order = [method, *(other for other in ("bootstrap", "wilson") if other != method)]
    reasons = []
    for name in order:
        try:
            answer = sensitivity_interval(name, marks, fp, seed=seed)
        except InputError:
            raise
        except LayerwiseError as error:
            reasons.append(f"{name}: {error}")
            continue
        if name == "bootstrap" and name != method and answer.low == answer.high:
            reasons.append("bootstrap: all resamples agree")
            continue
        return Interval(answer.estimate, answer.low, answer.high, name, "; ".join(reasons))
    raise DegenerateFit("; ".join(reasons))


def intervals_or_fallback(method: str, marks: Marks, fps: Sequence[float],
                          seed: int = 0) -> list[Interval]:
    """`sensitivity_intervals`; where the method fails, `interval_or_fallback` at each rate."""
    try:
        return sensitivity_intervals(method, marks, fps, seed=seed)
    except InputError:
        raise
    except LayerwiseError:
        return [interval_or_fallback(method, marks, fp, seed) for fp in fps]


def mean_interval(intervals: Sequence[Interval]) -> Interval:
    """Mean over seeds of estimate, low and high.

    The seeds share the test set, so averaging them does not narrow the interval of a single run.
    """
    table = np.array([(one.estimate, one.low, one.high) for one in intervals])
    estimate, low, high = table.mean(axis=0).tolist()
    methods = sorted({one.method for one in intervals})
    notes = sorted({one.note for one in intervals if one.note})
    return Interval(estimate, low, high, "+".join(methods), "; ".join(notes))
