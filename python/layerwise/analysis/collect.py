"""Find the runs under a results folder and read what the statistics need of them.

A run is `<root>/<task>/<dataset>/<init>/<fraction>/<seed>/` with config.json, scores.csv and
log.csv; the test set is `<root>/<task>/<dataset>/cases.csv`. A run without scores.csv is missing,
not an error; a file that contradicts its place or its contract is an InputError.

Several seeds of one system stay separate runs on one test set: curves are averaged over the seeds
at equal false-positive rate with every seed drawn thin behind, tables print each seed and the mean.
"""
from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from layerwise.analysis.boundary_error import BoundaryError, read_boundary_errors
from layerwise.analysis.marks import (
    Marks,
    candidate_marks,
    froc_marks,
    roc_marks,
    versus_rest,
)
from layerwise.analysis.outcome import SIGNS, joined, signs_of
from layerwise.analysis.provenance import (
    Scored,
    check_comparable,
    origin,
    provenance_line,
    seal_of,
)
from layerwise.analysis.systems import SYSTEMS, names
from layerwise.contracts import Case, read_cases, read_scores
from layerwise.errors import InputError
from layerwise.runs import RESULT
from layerwise.tasks import OWN, TASKS, Task, task_named

CONFIG_KEYS: Mapping[str, type | tuple[type, ...]] = {
    "task": str, "dataset": str, "init": str, "fraction": int, "seed": int,
    "stand_in_data": (str, type(None)), "stand_in_weights": (str, type(None)),
}


@dataclass(frozen=True)
class Run:
    """One finished run; `marks` for curves, `boundary` for boundary tasks (else empty).

    candidates: every candidate a mark, the same as `marks` for an ROC task. test_set: seal of the
    candidates scored (see provenance), "" for boundary tasks. signs: see `outcome`.
    """

    folder: Path
    init: str
    fraction: int
    seed: int
    config: Mapping[str, Any]
    test_set: str = ""
    marks: Marks | None = None
    candidates: Marks | None = None
    boundary: tuple[BoundaryError, ...] = ()
    signs: str = ""

    @property
    def log(self) -> Path:
        """Where the run's log.csv is, whether or not it exists."""
        return self.folder / "log.csv"


@dataclass(frozen=True)
class Study:
    """All runs of one task on one data set."""

    task: Task
    dataset: str
    cases: tuple[Case, ...]
    runs: tuple[Run, ...]
    missing: tuple[str, ...] = ()

    def of(self, init: str, fraction: int = 100) -> tuple[Run, ...]:
        """The runs of one system at one size of the training set, by seed."""
        return tuple(run for run in self.runs if (run.init, run.fraction) == (init, fraction))

    def inits(self, fraction: int = 100) -> list[str]:
        """The systems that have runs at `fraction` percent, in the paper's order."""
        return [init for init in SYSTEMS if self.of(init, fraction)]

    def signs(self, init: str, fraction: int = 100) -> str:
        """The signs that any run of the system has."""
        return joined(run.signs for run in self.of(init, fraction))

    def remarks(self, keys: Iterable[tuple[str, int]], signs: Iterable[str] = SIGNS) -> list[str]:
        """For each sign that any of the systems (init, percent) has: its meaning, and which."""
        by_sign = {sign: [key for key in dict.fromkeys(keys) if sign in self.signs(*key)]
                   for sign in signs}
        return [f"{sign} {SIGNS[sign]}: {names(found)}" for sign, found in by_sign.items() if found]

    @property
    def marks(self) -> Marks | None:
        """Those of any run: all runs have the same test set. None for boundary tasks."""
        return next((run.marks for run in self.runs if run.marks is not None), None)

    @property
    def evidence_groups(self) -> int:
        """Those of the marks (see `Marks`); for boundary tasks all test groups."""
        return self.marks.evidence_groups if self.marks is not None else self.test_groups

    @property
    def evidence(self) -> str:
        """What the evidence groups are, for example "videos with lesions"."""
        holds = {"froc": " with lesions", "roc": " with the rarer class"}
        return f"{self.task.group}s{holds.get(self.task.evaluation, '')}"

    @property
    def test_groups(self) -> int:
        """Number of independent groups (videos, patients, subjects) in the test set."""
        return len({case.group for case in self.cases if case.split == "test"})

    @property
    def sensitivity(self) -> str:
        """"sensitivity", of an ROC task with its positive classes: "sensitivity to informative"."""
        return f"sensitivity to {' or '.join(self.task.classes[1:])}" \
            if self.task.evaluation == "roc" else "sensitivity"

    def stand_ins(self, runs: Sequence[Run] | None = None) -> str:
        """One line naming data and source weights of `runs` (all by default), and differences."""
        return provenance_line(self.dataset, self._configs(runs))

    def origin(self, runs: Sequence[Run] | None = None) -> tuple[tuple[str, str], ...]:
        """The same as columns: ("data", name), ("source weights", name)."""
        return origin(self.dataset, self._configs(runs))

    def _configs(self, runs: Sequence[Run] | None) -> list[Mapping[str, Any]]:
        return [run.config for run in (self.runs if runs is None else runs)]


def read_config(path: Path) -> dict[str, Any]:
    """config.json of a run; InputError when a key the statistics rely on is missing or wrong."""
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; a run with scores.csv needs one") from None
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise InputError(f"{path}: not a JSON file ({error})") from None
    if not isinstance(config, dict):
        raise InputError(f"{path}: expected a JSON object")
    for key, kind in CONFIG_KEYS.items():
        if key not in config:
            raise InputError(f"{path}: key {key} is missing")
        if not isinstance(config[key], kind) or isinstance(config[key], bool):
            raise InputError(f"{path}: {key} is {config[key]!r}, which is of the wrong type")
    return config


def _read_run(folder: Path, task: Task, dataset: str, cases: Sequence[Case]) -> Run:
    path = folder / "config.json"
    config = read_config(path)
    init, fraction, seed = folder.parts[-3:]
    for key, expected in (("task", task.name), ("dataset", dataset), ("init", init),
                          ("fraction", fraction), ("seed", seed)):
        if str(config[key]) != expected:
            raise InputError(f"{path}: {key} is {config[key]!r}, but the folder says {expected!r}")
    if init not in SYSTEMS:
        raise InputError(f"{folder}: unknown system {init!r}; known: {', '.join(SYSTEMS)}")
    run = Run(folder, init, config["fraction"], config["seed"], config,
              signs=signs_of(folder / RESULT))
    if task.evaluation == "boundary":
        return replace(run, boundary=tuple(read_boundary_errors(folder / "boundary.csv", cases)))
    path = folder / "scores.csv"
    scores, classes = read_scores(path)
    if tuple(classes) != task.classes:
        raise InputError(f"{path}: classes {', '.join(classes)}; task {task.name} has "
                         f"{', '.join(task.classes)}")
    build = froc_marks if task.evaluation == "froc" else roc_marks
    return replace(run, marks=build(scores, cases, str(path)),
                   candidates=candidate_marks(scores, cases, str(path)), test_set=seal_of(scores))


def _result_file(task: Task) -> str:
    return "boundary.csv" if task.evaluation == "boundary" else "scores.csv"


def _study(folders: Sequence[Path], task: Task, dataset: str) -> Study | None:
    cases: list[Case] | None = None
    runs: dict[tuple[str, int, int], Run] = {}
    missing: list[str] = []
    for folder in folders:
        run_folders = sorted(path for path in folder.glob("*/*/*")
                             if path.is_dir() and not any(part.startswith(".")
                                                          for part in path.parts[-3:]))
        if not run_folders:
            continue
        path = folder / "cases.csv"
        here = read_cases(path)
        if cases is not None and here != cases:
            raise InputError(f"{path}: differs from the cases.csv of another folder given; "
                             "results on different test sets cannot be put together")
        cases = here
        for run_folder in run_folders:
            if not (run_folder / _result_file(task)).is_file():
                missing.append("/".join(run_folder.parts[-3:]))
                continue
            run = _read_run(run_folder, task, dataset, cases)
            key = (run.init, run.fraction, run.seed)
            if key in runs:
                raise InputError(f"{run_folder}: the same run is also in {runs[key].folder}")
            runs[key] = run
    if cases is None or not runs:
        return None
    check_comparable([Scored(str(run.folder), run.fraction, run.test_set,
                             str(run.config.get("data_sha256") or ""),
                             str(run.config.get("test_sha256") or "")) for run in runs.values()])
    order = {init: i for i, init in enumerate(SYSTEMS)}
    ordered = sorted(runs.values(), key=lambda run: (order[run.init], -run.fraction, run.seed))
    return Study(task, dataset, tuple(cases), tuple(ordered), tuple(missing))


def _study_folders(root: Path) -> list[Path]:
    """The `<task>/<dataset>` folders that a folder is or holds."""
    if not root.is_dir():
        raise InputError(f"{root}: no such folder; give a folder of runs or results")
    if (root / "cases.csv").is_file():
        return [root.resolve()]
    return sorted(path for task in (*TASKS, OWN.name) for path in (root / task).glob("*")
                  if path.is_dir())


def _task_of(name: str, folders: Sequence[Path]) -> Task:
    """The task's row; classes of your own images are in the settings of any run."""
    configs = (path for folder in folders for path in sorted(folder.glob("*/*/*/config.json")))
    path = next(configs, None) if name == OWN.name else None
    return task_named(name, read_config(path)["classes"] if path else ())


def _by_class(study: Study) -> list[Study]:
    """A study of your own images with many classes as one for each class against the rest.

    Classes that only one side of the test set has are left out; the data set's name is followed by
    the class's.
    """
    task = study.task
    if task.ranking != "one-vs-rest" or len(task.classes) < 3:
        return [study]
    studies = []
    for label, name in enumerate(task.classes):
        runs = [versus_rest_run(run, study.cases, label) for run in study.runs]
        if any(run.marks is None or not min(run.marks.cases, run.marks.lesions) for run in runs):
            continue
        one = replace(task, title=f"{task.title}, {name} against the rest",
                      classes=("rest", name))
        studies.append(replace(study, task=one, dataset=f"{study.dataset}/{name}",
                               runs=tuple(runs)))
    return studies


def versus_rest_run(run: Run, cases: Sequence[Case], label: int) -> Run:
    """The run as one that tells a class from all others."""
    path = run.folder / "scores.csv"
    scores, _ = read_scores(path)
    marks = roc_marks(versus_rest(scores, label), cases, str(path))
    return replace(run, marks=marks, candidates=marks)


def collect(results: Sequence[Path]) -> list[Study]:
    """Every study in the given folders, by task and data set.

    A folder is a root of `<task>/<dataset>` folders, or one of these itself. Runs of one task and
    data set in several folders are put together when their cases.csv agree. Raises InputError for
    a folder that does not exist, when nothing is found at all, for every invalid file, and for runs
    that were not tested on the same candidates or, at one fraction, not trained on the same data.
    """
    folders: dict[tuple[str, str], list[Path]] = {}
    for root in results:
        for folder in _study_folders(root):
            folders.setdefault((folder.parent.name, folder.name), []).append(folder)
    studies = []
    for task in (*TASKS, OWN.name):
        for name, dataset in sorted(folders):
            if name == task:
                here = folders[name, dataset]
                study = _study(here, _task_of(name, here), dataset)
                studies += _by_class(study) if study is not None else []
    if not studies:
        raise InputError(f"{', '.join(map(str, results))}: no runs found; expected folders "
                         "<task>/<dataset>/<init>/<fraction>/<seed>/ with a scores.csv")
    return studies
