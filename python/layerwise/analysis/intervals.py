"""95% intervals of the sensitivity at a false-positive rate, by three named methods.

idca       the paper's reference: binormal candidate model, delta method (see idca.py)
bootstrap  groups drawn again with replacement, expanded percentiles, seeded (see bootstrap.py); no
           narrower than wilson where few lesions are detected, or few missed: what never happened
           does not happen in a resample either
wilson     binomial interval on the detected lesions at the step curve's threshold, which is taken
           as given: it knows neither the clustering of lesions nor the threshold's uncertainty

An interval without width claims certainty; every method gives none instead.
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Union

import numpy as np

from layerwise.analysis.bootstrap import (
    RESAMPLES,
    group_weights,
    percentile_interval,
    resampled_sensitivity,
)
from layerwise.analysis.froc import Froc, froc
from layerwise.analysis.idca import Binormal, DegenerateFit, fit_binormal, modelled_sensitivity
from layerwise.analysis.marks import Marks, resolved
from layerwise.analysis.proportion import wilson
from layerwise.errors import LayerwiseError

METHOD_NAMES = {"idca": "candidate-analysis model", "bootstrap": "group bootstrap",
                "wilson": "Wilson interval"}
METHODS = tuple(METHOD_NAMES)
BARS = "bootstrap"   # the method of the error bars unless another is asked for
FEW_LESIONS = 5    # detected or missed, below which the bootstrap's bars reach as far as Wilson's
MISFIT_P = 0.01   # of Pearson's chi-squared, below which a bar of the model is marked


@dataclass(frozen=True)
class Interval:
    """An estimate with its interval; `method` is the one that really made it.

    `note` is empty, or says why `method` is not the one asked for; `doubt` is empty, or says why
    the model behind the interval does not fit these marks.
    """

    estimate: float
    low: float
    high: float
    method: str
    note: str = ""
    doubt: str = ""

    def overlaps(self, other: Interval) -> bool:
        """Whether the two error bars share a value (the paper's rule: if so, not different)."""
        return self.low <= other.high and other.low <= self.high


@dataclass(frozen=True)
class NoInterval:
    """A method had no answer at a rate; `reason` says why."""

    method: str
    reason: str


Answer = Union[Interval, NoInterval]


def _doubt(fit: Binormal, marks: Marks, fp: float, bar: Interval, step: float) -> str:
    """Why the bar may not be that of these marks; the step curve counts where it is resolved."""
    half_lesion = 0.5 / marks.lesions   # the step curve's own resolution
    if resolved(fp, marks) and not bar.low - half_lesion <= step <= bar.high + half_lesion:
        return f"the step curve's {step:.3f} lies outside"
    return f"chi-squared p = {fit.misfit_p:.1g}" if fit.misfit_p < MISFIT_P else ""


def _by_model(marks: Marks, curve: Froc, fps: Sequence[float], level: float) -> list[Answer]:
    fit = fit_binormal(marks.negatives, marks.positives)
    answers: list[Answer] = []
    for fp in fps:
        try:
            bar = Interval(*modelled_sensitivity(marks, fit, fp, level), "idca")
        except DegenerateFit as error:
            answers.append(NoInterval("idca", str(error)))
            continue
        answers.append(replace(bar, doubt=_doubt(fit, marks, fp, bar, curve.sensitivity_at(fp))))
    return answers


def _reaching(bar: Interval, lesions: int, level: float) -> Interval:
    """A bootstrap's bar, near 0 or 1 lengthened to Wilson's; one without width stays as it is."""
    detected = round(bar.estimate * lesions)
    if bar.low >= bar.high or min(detected, lesions - detected) >= FEW_LESIONS:
        return bar
    low, high = wilson(detected, lesions, level)
    return replace(bar, low=min(bar.low, low), high=max(bar.high, high))


def sensitivity_intervals(method: str, marks: Marks, fps: Sequence[float], level: float = 0.95,
                          seed: int = 0, resamples: int = RESAMPLES) -> list[Answer]:
    """One interval per rate in `fps` (FP per case, or FPF for kind "roc"), or why there is none.

    Raises InputError for a test set without lesions and ValueError for an unknown method.
    """
    if method not in METHODS:
        raise ValueError(f"unknown method {method!r}; the methods are {', '.join(METHODS)}")
    curve = froc(marks)
    estimates = [curve.sensitivity_at(fp) for fp in fps]
    try:
        if method == "idca":
            answers = _by_model(marks, curve, fps, level)
        elif method == "bootstrap":
            weights = group_weights(len(marks.groups), resamples, seed)
            values = resampled_sensitivity(marks, weights, fps)
            groups = marks.evidence_groups
            answers = [_reaching(Interval(value, *percentile_interval(column, groups, level),
                                          method), curve.lesions, level)
                       for value, column in zip(estimates, values.T)]
        else:
            answers = [Interval(value, *wilson(round(value * curve.lesions), curve.lesions, level),
                                method) for value in estimates]
    except LayerwiseError as error:
        return [NoInterval(method, str(error)) for _ in fps]
    flat = "all resamples agree" if method == "bootstrap" else "the interval has no width"
    return [NoInterval(method, flat) if isinstance(one, Interval) and one.low >= one.high else one
            for one in answers]


def intervals_or_fallback(method: str, marks: Marks, fps: Sequence[float],
                          seed: int = 0) -> list[Interval]:
    """`sensitivity_intervals`; where `method` has no answer, the next one's, with a note on why.

    The order is `method`, bootstrap, Wilson; Wilson always answers. Raises InputError for a test
    set without lesions.
    """
    found: dict[int, Interval] = {}
    reasons: list[list[str]] = [[] for _ in fps]
    for name in dict.fromkeys((method, "bootstrap", "wilson")):
        left = [i for i in range(len(fps)) if i not in found]
        answers = sensitivity_intervals(name, marks, [fps[i] for i in left], seed=seed) \
            if left else []
        for i, one in zip(left, answers):
            if isinstance(one, NoInterval):
                reasons[i].append(f"{name}: {one.reason}")
            else:
                found[i] = replace(one, note="; ".join(reasons[i]))
    return [found[i] for i in range(len(fps))]


def mean_interval(intervals: Sequence[Interval]) -> Interval:
    """Mean over seeds of estimate, low and high.

    The seeds share the test set, so averaging them does not narrow the interval of a single run.
    That another training run would give another network is not in it either: with one seed
    nothing is known of that, with several the spread of their estimates shows it.
    """
    table = np.array([(one.estimate, one.low, one.high) for one in intervals])
    estimate, low, high = table.mean(axis=0).tolist()
    methods, notes, doubts = ([*dict.fromkeys(sorted(value for value in column if value))]
                              for column in zip(*((one.method, one.note, one.doubt)
                                                  for one in intervals)))
    return Interval(estimate, low, high, "+".join(methods), "; ".join(notes), "; ".join(doubts))
