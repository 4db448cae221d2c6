"""AUC of the test candidates, each one mark, with a bootstrap over groups."""
from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from layerwise.analysis.auc_bootstrap import Pairs, evidence_groups, pairs_of, resampled_auc
from layerwise.analysis.bootstrap import RESAMPLES, group_weights, interval_or_none
from layerwise.analysis.collect import Run, Study
from layerwise.analysis.marks import Marks
from layerwise.analysis.operating import BOOTSTRAP_SEED
from layerwise.analysis.outcome import explained, joined
from layerwise.analysis.systems import title
from layerwise.analysis.textable import TextTable
from layerwise.ranking import Ranked, area_under_roc


def pairs_of_marks(marks: Marks) -> Pairs:
    """The pairs of all marks, by group."""
    return pairs_of(
        Ranked(np.concatenate([marks.negatives, marks.positives]),
               np.repeat([False, True], [marks.negatives.size, marks.positives.size])),
        np.concatenate([marks.negative_groups, marks.positive_groups]), len(marks.groups))


def auc_interval(marks: Marks, weights: np.ndarray) -> tuple[float, float] | None:
    """95% interval of the AUC; weights (resamples, G) as from `group_weights`.

    The scarcer class counts the groups. None as `interval_or_none`.
    """
    pairs = [pairs_of_marks(marks)]
    return interval_or_none(resampled_auc(pairs, weights), evidence_groups(pairs))


def _cell(areas: list[float], ends: list[tuple[float, float] | None]) -> str:
    known = np.array([one for one in ends if one is not None])
    if len(known) < len(ends):
        return f"{np.mean(areas):.3f} [no interval]"
    low, high = known.mean(axis=0)
    return f"{np.mean(areas):.3f} [{low:.3f}, {high:.3f}]"


Row = tuple["tuple[str, ...]", "Sequence[Run]"]   # cells, and the runs they are of


def _rows(runs: Sequence[Run], weights: np.ndarray | None) -> list[Row]:
    """A row per seed of one system, and their mean."""
    rows: list[Row] = []
    areas: list[float] = []
    ends: list[tuple[float, float] | None] = []
    for run in runs:
        head = (title(run.init, run.signs), f"{run.fraction}%")
        marks = run.candidates
        if marks is None or not min(marks.negatives.size, marks.positives.size):
            rows.append(((*head, str(run.seed), "-"), [run]))
            continue
        areas.append(area_under_roc(marks.negatives, marks.positives))
        ends.append(None if weights is None else auc_interval(marks, weights))
        rows.append(((*head, str(run.seed), _cell(areas[-1:], ends[-1:])), [run]))
    if len(areas) > 1:
        signs = joined(run.signs for run in runs)
        rows.append(((title(runs[0].init, signs), f"{runs[0].fraction}%", "mean",
                      _cell(areas, ends)), runs))
    return rows


def auc_table(study: Study) -> TextTable:
    """AUC of every run, with the same draws of the test groups for all of them."""
    weights = group_weights(study.test_groups, RESAMPLES, BOOTSTRAP_SEED) \
        if study.test_groups > 1 else None
    keys = dict.fromkeys((run.init, run.fraction) for run in study.runs)
    rows, runs = zip(*(row for key in keys for row in _rows(study.of(*key), weights)))
    note = f"{study.stand_ins()}. Every candidate is one mark"
    if study.task.evaluation == "froc":
        note += ", several of one lesion are several; missed lesions have none"
    note += (f". Random scores give 0.5. Interval: bootstrap over the {study.test_groups} test "
             "groups, none where they are too few or all resamples agree. \"mean\" averages the "
             "seeds and the ends of their intervals."
             f"{explained(joined(run.signs for run in study.runs))}")
    return TextTable("auc", "AUC of the test candidates [95% interval, group bootstrap]",
                     ("system", "training data", "seed", "AUC"), rows, note,
                     row_origins=tuple(map(study.origin, runs)))
