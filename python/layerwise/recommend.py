"""How deep to fine-tune on some images, training no more networks than the answer needs.

The search (`analysis.deeper`) sees validation sets only. The test set is scored once, with the
depth that was chosen, for a number that choosing has not made too good.
"""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from layerwise.analysis.auc_bootstrap import Pairs, evidence_groups
from layerwise.analysis.deeper import (
    Gain,
    Measured,
    Search,
    certain_doubts,
    gain,
    measure,
    search,
)
from layerwise.child import Children
from layerwise.contracts import read_index, read_scores
from layerwise.cost import set_sizes, storing
from layerwise.depths import DEPTHS, SWEEP
from layerwise.errors import InputError, LayerwiseError
from layerwise.frozen import tail_of
from layerwise.launch import OnEvent, validate_run
from layerwise.plan import Setting, make_run
from layerwise.ranking import rarest_side
from layerwise.runs import SCORES, Run
from layerwise.session import Session, Wanted, make, order_by_cost
from layerwise.sweep import Work, score_run, sweep
from layerwise.tasks import Task
from layerwise.validation import judged_scores, read_validation

FINE_TUNED = tuple(name for name in SWEEP if DEPTHS[name].fine_tuned)    # the shallowest first
YARDSTICK = "validation-100"      # also of runs on less data: no run trains on its groups


@dataclass(frozen=True)
class Point:
    """One training set: percent, its groups and patches, the AUC, its gain over the size before."""

    fraction: int
    groups: int
    patches: int
    measured: Measured
    gain: Gain | None


@dataclass(frozen=True)
class Effort:
    """Networks trained and their work, in multiply-adds, of the search and of a whole sweep."""

    trained: int
    work: float
    sweep_trained: int
    sweep_work: float
    curve_trained: int


@dataclass(frozen=True)
class Recommendation:
    """The search, how the choice does with less data and on the test set, and what it took.

    `groups_of`: what a group is; `fewer`: what smaller training sets have fewer of, groups or what
    is in each (lesions, cases); one training group in `validation_every` validates; `no_curve`
    says why there is no learning curve, "" when there is one.
    """

    task: str
    dataset: str
    groups_of: str
    fewer: str
    validation_every: int
    search: Search
    curve: tuple[Point, ...]
    no_curve: str
    test: Measured
    test_groups: int
    cost: Effort
    stand_ins: tuple[str, ...]


class Trials:
    """Trains, validates and measures what the search asks for."""

    def __init__(self, setting: Setting, wanted: Wanted) -> None:
        self.setting, self._wanted = setting, wanted
        self.trained: list[Run] = []
        self.groups = 0

    def depths(self, names: Sequence[str]) -> list[Measured]:
        """AUC on the yardstick of depths trained on all data."""
        self.train([(name, 100) for name in names])
        return [self.measured(name, 100) for name in names]

    def train(self, keys: Sequence[tuple[str, int]]) -> None:
        """Train and validate (depth, fraction) with all seeds, as many side by side as fit."""
        runs = [run for key in keys for run in self.runs(*key)]
        self.trained += runs
        self._all(runs, _learn)

    def runs(self, name: str, fraction: int) -> list[Run]:
        """The runs of a depth, one for each seed."""
        return [make_run(self.setting, DEPTHS[name], fraction, seed)
                for seed in self._wanted.seeds]

    def measured(self, name: str, fraction: int) -> Measured:
        """AUC of a depth on the yardstick."""
        pairs = [self._pairs(run) for run in self.runs(name, fraction)]
        self.groups = evidence_groups(pairs[0])
        return measure(name, pairs, self.groups, fraction * 100 + FINE_TUNED.index(name))

    def tested(self, name: str) -> tuple[Measured, int]:
        """AUC of a depth's test candidates, and how many test groups hold the rarer class."""
        self._all(self.runs(name, 100), score_run)
        found = []
        for run in self.runs(name, 100):
            path = run.folder(self.setting.runs) / SCORES
            found.append(judged_scores(str(path), read_scores(path)[0])
                         .pairs(self.setting.task.ranking))
        groups = evidence_groups(found[0])
        return measure(name, found, groups, FINE_TUNED.index(name)), groups

    def _pairs(self, run: Run) -> list[Pairs]:
        folder = run.folder(self.setting.runs)
        judged = read_validation(folder)
        if judged is None:
            raise LayerwiseError(f"{folder}: not validated")
        return judged.pairs(self.setting.task.ranking)

    def _all(self, runs: Sequence[Run], work: Work) -> None:
        wanted = self._wanted
        with Session(self.setting, runs, wanted.jobs) as session:
            outcomes = sweep(session.setting, session.runs, session.jobs, session.children,
                             session.on_event, work)
        for outcome in outcomes:
            if outcome.error:
                raise LayerwiseError(outcome.error)


def _learn(setting: Setting, run: Run, children: Children, on_event: OnEvent) -> Path:
    return validate_run(setting, run, tail_of(setting, run), children, on_event, YARDSTICK)


def recommend(wanted: Wanted) -> Recommendation:
    """Search for the effective depth, and say what less data would have given.

    What is certain before anything is trained is printed then.

    Args:
        wanted: of the depths FINE_TUNED; its fractions hold 100, the others are of the learning
            curve.

    Raises InputError for unusable images, LayerwiseError when a training fails.
    """
    if wanted.task.by_region:
        raise InputError(f"recommend is not for task {wanted.task.name}: its networks are compared "
                         "by the error of traced lines; see layerwise sweep")
    setting, no_curve = _prepared(wanted)
    for line in _beforehand(setting, len(wanted.seeds)):
        print(line, flush=True)
    sizes = {fraction: _size(setting, fraction)
             for fraction in ([100] if no_curve else sorted(wanted.fractions))}
    task, fewer = setting.task, _fewer(setting.task)
    fractions = list(sizes)
    if fewer == task.group:
        fractions = growing({fraction: size[0] for fraction, size in sizes.items()})
        if len(fractions) == 1 < len(sizes):
            no_curve = f"all have the same number of {fewer}s"
    for fraction in sizes:
        if fraction not in fractions:
            print(f"learning curve without {fraction}%: no fewer training {fewer}s than the next "
                  "larger set", flush=True)
    trials = Trials(setting, wanted)
    found = search(FINE_TUNED, trials.depths, lambda: trials.groups)
    searched = list(trials.trained)
    trials.train([(found.chosen, fraction) for fraction in fractions if fraction < 100])
    points: list[Point] = []
    for fraction in fractions:
        one = found.of(found.chosen) if fraction == 100 \
            else trials.measured(found.chosen, fraction)
        points.append(Point(fraction, *sizes[fraction], one,
                            gain(one, points[-1].measured, found.groups) if points else None))
    test, test_groups = trials.tested(found.chosen)
    every = [make_run(setting, DEPTHS[name], 100, seed) for seed in wanted.seeds for name in SWEEP]
    named = (("data", trials.trained[0].stand_in_data),
             ("source weights", trials.trained[0].stand_in_weights))
    return Recommendation(
        task.name, setting.prepared.name, task.group, fewer, task.validation_every,
        found, tuple(points), no_curve, test, test_groups,
        Effort(len(searched), _work(setting, searched, wanted), len(every),
               _work(setting, every, wanted), len(trials.trained) - len(searched)),
        tuple(f"{what}: {text} (stand-in)" for what, text in named if text))


def _prepared(wanted: Wanted) -> tuple[Setting, str]:
    """The data and weights; where the smaller training sets cannot be made, without, and why."""
    try:
        return make(wanted)[0], ""
    except InputError as error:
        if set(wanted.fractions) == {100}:
            raise
        return make(replace(wanted, fractions=(100,)))[0], str(error)


def _beforehand(setting: Setting, seeds: int) -> list[str]:
    task, rows = setting.task, read_index(setting.prepared / YARDSTICK / "index.csv")
    labels = np.array([row.label for row in rows])
    rarest, held = rarest_side(labels, np.array([row.group for row in rows]), task.classes,
                               task.ranking)
    return certain_doubts(rarest, held, task.group, seeds, task.validation_every,
                          len(np.unique(labels)))


def growing(groups: Mapping[int, int]) -> list[int]:
    """The percentages whose training sets have fewer groups than the next larger one kept.

    Args:
        groups: of each percentage, the largest of which is kept whatever it holds.
    """
    kept: list[int] = []
    for fraction in sorted(groups, reverse=True):
        if not kept or groups[fraction] < groups[kept[0]]:
            kept.insert(0, fraction)
    return kept


def _fewer(task: Task) -> str:
    if task.reduced_by.endswith("group"):
        return task.group
    return task.case if task.reduced_by == "case" else task.reduced_by


def _size(setting: Setting, fraction: int) -> tuple[int, int]:
    """Groups and patches of a training set."""
    rows = read_index(setting.prepared / f"train-{fraction}" / "index.csv")
    return len({row.group for row in rows}), len(rows)


def _work(setting: Setting, runs: Sequence[Run], wanted: Wanted) -> float:
    """Multiply-adds of training these runs from nothing, shared activations included."""
    _, costs, items = order_by_cost(runs, runs, set_sizes(setting.prepared, runs),
                                    wanted.cache_bytes)
    return float(np.sum([cost.training for cost in costs])) + storing(items)
