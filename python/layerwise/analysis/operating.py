"""Sensitivities at the task's operating points with all three intervals, computed once per study.

Figures, tables and claims read these numbers; nothing else computes an interval.
"""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from layerwise.analysis.collect import Run, Study
from layerwise.analysis.intervals import METHODS, Interval, intervals_or_fallback, mean_interval
from layerwise.tasks import Task

BOOTSTRAP_SEED = 2016


@dataclass(frozen=True)
class Operating:
    """One system at one size of the training set; intervals[method][seed index][point index]."""

    init: str
    fraction: int
    seeds: tuple[int, ...]
    points: tuple[float, ...]
    intervals: Mapping[str, tuple[tuple[Interval, ...], ...]]

    def mean(self, method: str, point: float) -> Interval:
        """Mean over the seeds of estimate, low and high at one operating point."""
        column = self.points.index(point)
        return mean_interval([seed[column] for seed in self.intervals[method]])


Table = Mapping[tuple[str, int], Operating]  # by (init, fraction in percent)


def points_of(task: Task) -> tuple[float, ...]:
    """False-positive rates at which a task is tabulated, rising; empty for boundary tasks."""
    return tuple(sorted({*task.operating_points, *task.extra_points}))


def point_label(task: Task, point: float) -> str:
    """For example "0.01 FP/frame" or "FPR 0.15"."""
    return f"{point:g} FP/{task.case}" if task.evaluation == "froc" else f"FPR {point:.2f}"


def _of(runs: tuple[Run, ...], points: tuple[float, ...]) -> Operating:
    intervals = {method: tuple(tuple(intervals_or_fallback(method, run.marks, points,
                                                           seed=BOOTSTRAP_SEED))
                               for run in runs if run.marks is not None)
                 for method in METHODS}
    return Operating(runs[0].init, runs[0].fraction, tuple(run.seed for run in runs), points,
                     intervals)


def operating_table(study: Study) -> Table:
    """Every system and fraction of a study; empty for boundary tasks."""
    points = points_of(study.task)
    if not points:
        return {}
    keys = dict.fromkeys((run.init, run.fraction) for run in study.runs)
    return {key: _of(study.of(*key), points) for key in keys}
