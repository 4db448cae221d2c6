"""What the training verbs share: data and weights made in order, a progress bar, signals."""
from __future__ import annotations

import signal
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

from tqdm import tqdm

from layerwise import blas, machine
from layerwise.alexnet import MEAN_BGR
from layerwise.child import Children
from layerwise.depths import Depth, depth_named
from layerwise.device import check_gpu
from layerwise.errors import InputError
from layerwise.frozen import store_features
from layerwise.plan import Setting, make_run
from layerwise.profiles import Profile, profile_named
from layerwise.runs import Run, is_trained
from layerwise.sweep import jobs_that_fit
from layerwise.tasks import Task, ready_task
from layerwise.weights import (
    ACTIONS,
    Source,
    find_source,
    read_caffemodel,
    read_mean,
    transfer_report,
)

TRAINING_LENGTH = ("iterations", "batch_size", "evaluate_every", "patience")


def prepare_data(task: str, fractions: Sequence[int], options: Mapping[str, Any]) -> Path:
    """Prepared data of a ready task, made if missing; its preparer is named by the task's row."""
    row = ready_task(task)
    request = import_module("data_prep.request").Request(
        source=Path(options["images"]) if options["images"] else None,
        data=Path(options["data"]), profile=profile_named(options["profile"]),
        seed=options["data_seed"], test_fraction=options["test_fraction"],
        fractions=tuple(percent / 100 for percent in fractions),
        jobs=options["jobs"] or machine.cores())
    return Path(import_module(row.preparer).prepare(request))


class Session:
    """Settings and runs of one command, and the display of what its children report.

    Everything that can be wrong with the options is found before anything is made. As a context it
    shows the progress bar and turns Ctrl-C and SIGTERM into a request to the children to stop.
    """

    def __init__(self, task: str, depths: Sequence[str], fractions: Sequence[int],
                 seeds: Sequence[int], options: Mapping[str, Any]) -> None:
        row, rows = ready_task(task), [depth_named(name) for name in depths]
        profile = _profile(options)
        mean = read_mean(Path(options["mean"])) if options["mean"] else MEAN_BGR
        if options["gpu"] is not None:
            check_gpu(options["gpu"])
        if options["images"] and not Path(options["images"]).is_dir():
            raise InputError(f"{options['images']}: no such folder (folders below /usr, /etc, /var "
                             "and /run are seen only when LAYERWISE_BIND names them)")
        source = _source(row, rows, options)
        prepared = prepare_data(task, fractions, options).resolve()
        threads = options["threads"] or 1
        self.jobs = options["jobs"] or (1 if options["gpu"] is not None else jobs_that_fit(
            threads, profile.batch_size))
        self.setting = Setting(row, prepared, Path(options["runs"]).resolve(), profile, source,
                               mean, threads, options["gpu"],
                               blas.environment_for(blas.choose(threads)))
        self.runs = [make_run(self.setting, depth, fraction, seed)
                     for seed in seeds for fraction in fractions for depth in rows]
        self.children = Children()
        self._cache_bytes = options["cache_gb"] * 1e9
        self._lock = threading.Lock()
        self._done: dict[tuple[str, int, int], int] = {}

    def __enter__(self) -> Session:
        self._previous = {number: signal.signal(number, lambda *_: self.children.stop())
                          for number in (signal.SIGINT, signal.SIGTERM)}
        self.store_features()
        left = sum(run.iterations for run in self.runs
                   if not is_trained(run.folder(self.setting.runs)))
        self._bar = tqdm(total=left, unit="it",
                         desc=self.setting.task.name, dynamic_ncols=True)
        return self

    def __exit__(self, *_: Any) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._bar.close()

    def store_features(self) -> None:
        """Compute frozen prefixes once for all runs of this command, within --cache-gb."""
        with tqdm(desc="frozen layers", unit="patch", dynamic_ncols=True, disable=None) as bar:
            def on_event(done: int, total: int) -> None:
                with self._lock:
                    bar.total = total
                    bar.update(done)
            store_features(self.setting, self.runs, self._cache_bytes, self.jobs, self.children,
                           on_event)

    def on_event(self, run: Run, event: Mapping[str, Any]) -> None:
        """Move the bar on by what a child reports, and print each validation."""
        key = (run.init, run.fraction, run.seed)
        name = f"{run.init} {run.fraction}% seed {run.seed}"
        with self._lock:
            if "iteration" in event:
                self._bar.update(event["iteration"] - self._done.get(key, 0))
                self._done[key] = event["iteration"]
            if event.get("auc") is not None:
                self._bar.write(f"{name:32s} iteration {event['iteration']:5d}  "
                                f"validation AUC {event['auc']:.4f}")
            elif "ended" in event:
                self._bar.set_postfix_str(f"{name}: {event['ended']}")


def _profile(options: Mapping[str, Any]) -> Profile:
    """The profile's row with the options that change the length of training."""
    changes = {name: options[name] for name in TRAINING_LENGTH if options[name] is not None}
    return replace(profile_named(options["profile"]), **changes)


def _source(task: Task, depths: Sequence[Depth], options: Mapping[str, Any]) -> Source | None:
    """The source network, if a depth needs one; says what the task's network takes from it."""
    if not any(depth.fine_tuned for depth in depths):
        return None
    source = find_source(Path(options["weights"]) if options["weights"] else None,
                         Path(options["data"]))
    print(f"source weights: {source.stand_in or source.name}")
    report = transfer_report(read_caffemodel(source.path), task.last_layer, len(task.classes))
    for action in ACTIONS:
        layers = dict.fromkeys(row.layer for row in report if row.action == action)
        print(f"  {action}: {', '.join(layers) or 'nothing'}")
    if any((row.layer, row.action) == (task.last_layer, "copied") for row in report):
        raise InputError(f"{source.path}: holds {task.last_layer}, so it was trained on this task; "
                         "fine-tuning starts from a network that was not")
    return source
