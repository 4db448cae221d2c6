"""Comparing systems on one test set: the paper's rule, and tests that are statistically right.

The paper calls two curves different at an operating point when their 95% error bars do not overlap.
That ignores that both systems saw the same test set, and how many pairs are compared. Beside it
stands the paired bootstrap: the same groups are drawn for both systems and, of each, its training
runs; the difference is taken in every draw, corrected for the number of groups (see bootstrap.py),
and p values are adjusted by Holm over all pairs at the points of the paper's table. Points that the
paper's table lacks are a family of their own.
"""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.stats import ttest_rel, wilcoxon

from layerwise.analysis.bootstrap import (
    RESAMPLES,
    expanded_p,
    group_weights,
    percentile_interval,
    resampled_sensitivity,
    seed_weights,
)
from layerwise.analysis.boundary_error import INTERFACES, errors_um
from layerwise.analysis.collect import Study
from layerwise.analysis.froc import froc
from layerwise.analysis.intervals import BARS, Interval
from layerwise.analysis.marks import resolved
from layerwise.analysis.operating import BOOTSTRAP_SEED, Table
from layerwise.analysis.systems import SYSTEMS, TEN_SYSTEMS, pairs
from layerwise.errors import LayerwiseError


@dataclass(frozen=True)
class PairedPoint:
    """Systems `row` and `column` at one operating point; difference = row - column.

    low, high: its 95% interval, NaN where there is none. resolved: whether the test set tells rates
    near the point apart; where it does not, nothing is called different by the bars.
    """

    row: str
    column: str
    point: float
    row_bar: Interval
    column_bar: Interval
    difference: float
    low: float
    high: float
    p: float
    p_holm: float
    resolved: bool

    @property
    def bars_apart(self) -> bool:
        """The paper's rule: significantly different when the error bars do not overlap."""
        return self.resolved and not self.row_bar.overlaps(self.column_bar)

    @property
    def bars_sign(self) -> int:
        """+1 when the row's bar lies above the column's, -1 below, 0 when they overlap."""
        return 0 if not self.bars_apart else 1 if self.row_bar.low > self.column_bar.high else -1

    @property
    def holm_sign(self) -> int:
        """Sign of the difference when it is significant at 5% after Holm's correction, else 0."""
        return 0 if self.p_holm >= 0.05 else 1 if self.difference > 0 else -1


@dataclass(frozen=True)
class PairedError:
    """Boundary errors of two systems on the same regions; difference = mean of row - column.

    p_t, p_wilcoxon: over regions as if independent (Table S4); p_subject: t-test on the subjects'
    means, p_holm the same after Holm over all pairs of the interface.
    """

    row: str
    column: str
    interface: str
    difference_um: float
    p_t: float
    p_wilcoxon: float
    p_subject: float
    p_holm: float


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjusted p values, in the order given."""
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p, kind="stable")
    factors = np.arange(p.size, 0, -1)
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(p[order] * factors))
    return [float(value) for value in adjusted]


@dataclass(frozen=True)
class Resampled:
    """Every system's sensitivity in the same resamples of the test groups.

    `draws[key]`: float64 (resamples, points), the mean over the training runs drawn;
    `estimates[key]`: (points,), the mean over all of them; `seeds[key]`: their number. groups:
    `Study.evidence_groups`. Empty with fewer than two: nothing can be said about other patients.
    """

    points: tuple[float, ...]
    groups: int
    estimates: Mapping[tuple[str, int], np.ndarray]
    draws: Mapping[tuple[str, int], np.ndarray]
    seeds: Mapping[tuple[str, int], int]


def runs_drawn(key: tuple[str, int], seeds: int, resamples: int) -> np.ndarray:
    """`seed_weights` of one system and fraction: independent of those of the others."""
    return seed_weights(seeds, resamples, [BOOTSTRAP_SEED, list(SYSTEMS).index(key[0]), key[1]])


def resample(study: Study, points: Sequence[float], resamples: int = RESAMPLES) -> Resampled:
    """Draw the test groups once and evaluate all systems and fractions of the study on them."""
    found = Resampled(tuple(points), study.evidence_groups, {}, {}, {})
    if found.groups < 2:
        return found
    weights = group_weights(study.test_groups, resamples, BOOTSTRAP_SEED)
    estimates, draws, seeds = {}, {}, {}
    for key in dict.fromkeys((run.init, run.fraction) for run in study.runs):
        marks = [run.marks for run in study.of(*key) if run.marks is not None]
        curves = [froc(one) for one in marks]
        estimates[key] = np.mean([[curve.sensitivity_at(point) for point in points]
                                  for curve in curves], axis=0)
        shares, seeds[key] = runs_drawn(key, len(marks), resamples), len(marks)
        draws[key] = np.zeros((resamples, len(points)))
        for share, one in zip(shares.T, marks):
            draws[key] += share[:, None] * resampled_sensitivity(one, weights, points)
    return replace(found, estimates=estimates, draws=draws, seeds=seeds)


def _interval(difference: np.ndarray, groups: int) -> tuple[float, float]:
    """95% interval, NaN where the groups are too few for one."""
    try:
        return percentile_interval(difference, groups)
    except LayerwiseError:
        return np.nan, np.nan


def compare_curves(study: Study, table: Table, resampled: Resampled,
                   method: str = BARS) -> list[PairedPoint]:
    """All pairs of the paper's ten systems that have runs, at every operating point.

    method: of the error bars whose overlap the paper's rule looks at. Empty when the study has
    fewer than two test groups.
    """
    inits = [init for init in TEN_SYSTEMS if (init, 100) in resampled.draws]
    found = []
    for row, column in pairs(inits):
        for i, point in enumerate(resampled.points):
            difference = resampled.draws[row, 100][:, i] - resampled.draws[column, 100][:, i]
            low, high = _interval(difference, resampled.groups)
            found.append(PairedPoint(
                row, column, point, table[row, 100].mean(method, point),
                table[column, 100].mean(method, point),
                float(resampled.estimates[row, 100][i] - resampled.estimates[column, 100][i]),
                low, high, expanded_p(difference, resampled.groups), 1.0,
                study.marks is not None and resolved(point, study.marks)))
    for family in (True, False):
        members = [i for i, pair in enumerate(found)
                   if (pair.point in study.task.operating_points) == family]
        for i, value in zip(members, holm([found[i].p for i in members])):
            found[i] = replace(found[i], p_holm=value)
    return found


def mean_errors_um(study: Study, init: str, interface: str) -> np.ndarray:
    """Errors per test region, the mean over the seeds, in the order of the case names."""
    errors = [errors_um(run.boundary, interface) for run in study.of(init)]
    return np.asarray(np.mean(errors, axis=0))


def spread_um(study: Study, init: str, interface: str) -> float:
    """Standard deviation over regions, the mean of those of the single runs; 0 for one region.

    That of errors averaged over runs would be smaller than any run's.
    """
    spreads = [errors_um(run.boundary, interface).std(ddof=1) for run in study.of(init)
               if len(run.boundary) > len(INTERFACES)]
    return float(np.mean(spreads)) if spreads else 0.0


def region_groups(study: Study) -> np.ndarray:
    """Index of the subject of every test region, in the order of the case names, int64."""
    groups = {case.case: case.group for case in study.cases if case.split == "test"}
    return np.unique([groups[name] for name in sorted(groups)], return_inverse=True)[1]


def _t_test(differences: np.ndarray) -> float:
    """p of a paired t-test; 1 when nothing differs or fewer than two differences are there."""
    if differences.size < 2 or np.all(differences == 0):
        return 1.0
    return float(ttest_rel(differences, np.zeros_like(differences)).pvalue)


def compare_errors(study: Study) -> list[PairedError]:
    """All pairs: t-test (Table S4) and Wilcoxon's over regions, t-test over subjects' means."""
    inits = [init for init in TEN_SYSTEMS if study.of(init)]
    groups = region_groups(study)
    found: list[PairedError] = []
    for interface in INTERFACES:
        errors = {init: mean_errors_um(study, init, interface) for init in inits}
        one: list[PairedError] = []
        for row, column in pairs(inits):
            difference = errors[row] - errors[column]
            same = bool(np.all(difference == 0)) or difference.size < 2
            subjects = np.bincount(groups, weights=difference) / np.bincount(groups)
            one.append(PairedError(
                row, column, interface, float(difference.mean()), _t_test(difference),
                1.0 if same else float(wilcoxon(difference).pvalue), _t_test(subjects), 1.0))
        adjusted = holm([pair.p_subject for pair in one])
        found += [replace(pair, p_holm=value) for pair, value in zip(one, adjusted)]
    return found
