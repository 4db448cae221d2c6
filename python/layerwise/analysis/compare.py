"""Comparing systems on one test set: the paper's rule, and tests that are statistically right.

The paper calls two curves different at an operating point when their 95% error bars do not overlap.
That ignores that both systems saw the same test set, and how many pairs are compared. Beside it
stands the paired bootstrap: the same groups are drawn for both systems, the difference is taken in
every draw, and p values are adjusted by Holm over all pairs and points of a table.
"""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.stats import ttest_rel, wilcoxon

from layerwise.analysis.bootstrap import group_weights, resampled_sensitivity
from layerwise.analysis.boundary_error import INTERFACES, errors_um
from layerwise.analysis.collect import Study
from layerwise.analysis.froc import froc
from layerwise.analysis.intervals import Interval
from layerwise.analysis.operating import BOOTSTRAP_SEED, Table
from layerwise.analysis.systems import TEN_SYSTEMS, pairs

# Holm over 225 comparisons needs p values well below 0.0002.
RESAMPLES = 20_000


@dataclass(frozen=True)
class PairedPoint:
    """Systems `row` and `column` at one operating point; difference = row - column."""

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

    @property
    def bars_apart(self) -> bool:
        """The paper's rule: significantly different when the error bars do not overlap."""
        return not self.row_bar.overlaps(self.column_bar)

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
    """Boundary errors of two systems on the same regions; difference = mean of row - column."""

    row: str
    column: str
    interface: str
    difference_um: float
    p_t: float
    p_wilcoxon: float


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjusted p values, in the order given."""
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p, kind="stable")
    factors = np.arange(p.size, 0, -1)
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(p[order] * factors))
    return [float(value) for value in adjusted]


def two_sided_p(differences: np.ndarray) -> float:
    """Bootstrap p value of "no difference" from resampled differences (resamples,)."""
    finite = differences[np.isfinite(differences)]
    tail = min(int(np.sum(finite <= 0)), int(np.sum(finite >= 0)))
    return float(min(1.0, 2.0 * (tail + 1) / (finite.size + 1)))


@dataclass(frozen=True)
class Resampled:
    """Every system's sensitivity in the same resamples of the test groups.

    `draws[key]`: float64 (resamples, points), the mean over the seeds; `estimates[key]`: (points,).
    Empty with fewer than two test groups: then nothing can be said about other patients.
    """

    points: tuple[float, ...]
    estimates: Mapping[tuple[str, int], np.ndarray]
    draws: Mapping[tuple[str, int], np.ndarray]


def resample(study: Study, points: Sequence[float], resamples: int = RESAMPLES) -> Resampled:
    """Draw the test groups once and evaluate all systems and fractions of the study on them."""
    estimates: dict[tuple[str, int], np.ndarray] = {}
    draws: dict[tuple[str, int], np.ndarray] = {}
    if study.test_groups < 2:
        return Resampled(tuple(points), estimates, draws)
    weights = group_weights(study.test_groups, resamples, BOOTSTRAP_SEED)
    for key in dict.fromkeys((run.init, run.fraction) for run in study.runs):
        marks = [run.marks for run in study.of(*key) if run.marks is not None]
        curves = [froc(one) for one in marks]
        estimates[key] = np.mean([[curve.sensitivity_at(point) for point in points]
                                  for curve in curves], axis=0)
        draws[key] = np.mean([resampled_sensitivity(one, weights, points) for one in marks], axis=0)
    return Resampled(tuple(points), estimates, draws)


def compare_curves(study: Study, table: Table, resampled: Resampled,
                   method: str = "idca") -> list[PairedPoint]:
    """All pairs of the paper's ten systems that have runs, at every operating point.

    method: of the error bars whose overlap the paper's rule looks at. Empty when the study has
    fewer than two test groups.
    """
    inits = [init for init in TEN_SYSTEMS if (init, 100) in resampled.draws]
    found = []
    for row, column in pairs(inits):
        for i, point in enumerate(resampled.points):
            difference = resampled.draws[row, 100][:, i] - resampled.draws[column, 100][:, i]
            low, high = np.nanquantile(difference, [0.025, 0.975])
            p = two_sided_p(difference)
            found.append(PairedPoint(
                row, column, point, table[row, 100].mean(method, point),
                table[column, 100].mean(method, point),
                float(resampled.estimates[row, 100][i] - resampled.estimates[column, 100][i]),
                float(low), float(high), p, p))
    return [replace(pair, p_holm=value)
            for pair, value in zip(found, holm([pair.p for pair in found]))]


def mean_errors_um(study: Study, init: str, interface: str) -> np.ndarray:
    """Errors per test region, the mean over the seeds, in the order of the case names."""
    errors = [errors_um(run.boundary, interface) for run in study.of(init)]
    return np.asarray(np.mean(errors, axis=0))


def compare_errors(study: Study) -> list[PairedError]:
    """Paired t-test (Table S4) and Wilcoxon's signed-rank test over regions, for all pairs."""
    inits = [init for init in TEN_SYSTEMS if study.of(init)]
    found = []
    for interface in INTERFACES:
        errors = {init: mean_errors_um(study, init, interface) for init in inits}
        for row, column in pairs(inits):
            difference = errors[row] - errors[column]
            same = bool(np.all(difference == 0)) or difference.size < 2
            found.append(PairedError(
                row, column, interface, float(difference.mean()),
                1.0 if same else float(ttest_rel(errors[row], errors[column]).pvalue),
                1.0 if same else float(wilcoxon(errors[row], errors[column]).pvalue)))
    return found
