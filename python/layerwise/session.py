"""From options to runs, in two steps: what can be wrong is found first, then things are made."""
from __future__ import annotations

import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import Any

from layerwise import blas, machine
from layerwise.alexnet import MEAN_BGR
from layerwise.child import Children
from layerwise.cost import Cost, cost_of, set_sizes, storing
from layerwise.dense import DEFAULT_SIDE
from layerwise.depths import SWEEP, Depth, depth_named
from layerwise.device import check_gpu
from layerwise.display import Display, work_done
from layerwise.errors import InputError
from layerwise.frozen import Item, items_of, store_features, worth_storing
from layerwise.handcrafted import HANDCRAFTED, handcrafted_run
from layerwise.plan import Setting, key_of, make_run
from layerwise.profiles import Profile, profile_named
from layerwise.runs import Run, is_scored, is_trained
from layerwise.sweep import jobs_that_fit
from layerwise.tasks import OWN, Task, task_named
from layerwise.weights import (
    ACTIONS,
    Source,
    find_source,
    read_caffemodel,
    read_mean,
    transfer_report,
)

TRAINING_LENGTH = ("iterations", "batch_size", "evaluate_every", "patience")


@dataclass(frozen=True)
class Wanted:
    """What a command asks for, checked; nothing of it is made yet."""

    task: Task
    depths: tuple[Depth, ...]
    handcrafted: bool              # the task's handcrafted system beside the networks
    fractions: tuple[int, ...]
    seeds: tuple[int, ...]
    profile: Profile
    mean_bgr: tuple[float, ...]
    options: Mapping[str, Any]

    @property
    def threads(self) -> int:
        """BLAS threads of one training."""
        return self.options["threads"] or 1

    @property
    def jobs(self) -> int:
        """Trainings side by side on this machine."""
        if self.options["jobs"]:
            return int(self.options["jobs"])
        return 1 if self.options["gpu"] is not None else jobs_that_fit(
            self.threads, self.profile.batch_size)

    @property
    def cache_bytes(self) -> float:
        """Disk space that stored activations may take."""
        return float(self.options["cache_gb"]) * 1e9


def check(task: str, depths: Sequence[str], fractions: Sequence[int], seeds: Sequence[int],
          options: Mapping[str, Any], trains_here: bool = True) -> Wanted:
    """All that can be found wrong without making anything.

    Args:
        depths: names of depths, or `handcrafted`.
        trains_here: whether this machine's own devices will be trained on.

    Raises InputError.
    """
    row = _with_classes(task_named(task), options)
    rows = tuple(depth_named(name) for name in depths if name != HANDCRAFTED)
    if HANDCRAFTED in depths and not row.handcrafted:
        raise InputError(f"task {task} has no handcrafted system yet")
    profile = _profile(options)
    mean = read_mean(Path(options["mean"])) if options["mean"] else MEAN_BGR
    if trains_here and options["gpu"] is not None:
        check_gpu(options["gpu"])
    if options["weights"] and not Path(options["weights"]).is_file():
        raise InputError(f"{options['weights']}: no such weights file")
    return Wanted(row, rows, HANDCRAFTED in depths, tuple(fractions), tuple(seeds), profile, mean,
                  options)


def system_names(names: Sequence[str] | None, task: str) -> list[str]:
    """What a sweep compares: the systems named, each once, or all of the paper's that there are.

    Raises InputError for an unknown one.
    """
    if names is None:
        return [*SWEEP, *([HANDCRAFTED] if task_named(task).handcrafted else [])]
    return list(dict.fromkeys(name if name == HANDCRAFTED else depth_named(name).name
                              for name in names))


def make(wanted: Wanted, trains_here: bool = True) -> tuple[Setting, list[Run]]:
    """The source weights and the data, made where they are missing, and the runs resolved.

    Args:
        trains_here: whether to choose the BLAS kernel for this machine.
    """
    options = wanted.options
    source = _source(wanted.task, wanted.depths, options)
    prepared = prepare_data(wanted.task.name, wanted.fractions, options).resolve()
    kernel = blas.environment_for(blas.choose(wanted.threads)) if trains_here else {}
    setting = Setting(wanted.task, prepared, Path(options["runs"]).resolve(), wanted.profile,
                      source, wanted.mean_bgr, wanted.threads, options["gpu"], kernel,
                      wanted.cache_bytes)
    runs = []
    for seed in wanted.seeds:
        for fraction in wanted.fractions:
            runs += [make_run(setting, depth, fraction, seed) for depth in wanted.depths]
            if wanted.handcrafted:
                runs.append(handcrafted_run(setting, fraction, seed))
    return setting, runs


def request_for(task: str, fractions: Sequence[int], options: Mapping[str, Any]) -> Any:
    """What the task's preparation is asked for: a `data_prep.request.Request`."""
    return import_module("data_prep.request").Request(
        source=Path(options["images"]) if options["images"] else None,
        data=Path(options["data"]), profile=profile_named(options["profile"]),
        seed=options["data_seed"], test_fraction=options["test_fraction"],
        fractions=tuple(percent / 100 for percent in fractions),
        jobs=options["jobs"] or machine.cores(), patch_side=options["patch_side"],
        negative=options["negative"] or "", upright=options["upright"])


def prepare_data(task: str, fractions: Sequence[int], options: Mapping[str, Any]) -> Path:
    """Prepared data of a task, made if missing."""
    row = task_named(task)
    _check_images(row, options)
    return Path(import_module(row.preparer).prepare(request_for(task, fractions, options)))


def order_by_cost(runs: Sequence[Run], pending: Sequence[Run], sizes: Mapping[str, int],
                  budget_bytes: float) -> tuple[list[Run], list[Cost], list[Item]]:
    """The runs with the longest first, their costs, and what is worth storing for the pending.

    Args:
        sizes: patches in each set that the runs read.
        budget_bytes: disk space for what is stored.
    """
    items = worth_storing(items_of([run for run in pending if run.source_sha1], sizes),
                          budget_bytes)
    stored = {(item.name, item.blob) for item in items}
    costs = [cost_of(run, sizes, stored) for run in runs]
    order = sorted(range(len(runs)), key=lambda place: -costs[place].total)
    return [runs[place] for place in order], [costs[place] for place in order], items


class Session:
    """The runs of a command on this machine, longest first, with their display and children.

    As a context it stores the activations that are shared, shows what is done, and turns Ctrl-C and
    SIGTERM into a request to the children to stop.
    """

    def __init__(self, setting: Setting, runs: Sequence[Run], jobs: int) -> None:
        pending = [run for run in runs if not is_trained(run.folder(setting.runs))]
        self.runs, costs, items = order_by_cost(
            runs, pending, set_sizes(setting.prepared, runs), setting.cache_bytes)
        self.setting, self.jobs, self.children = setting, jobs, Children()
        folders = [run.folder(setting.runs) for run in self.runs]
        self._display = Display(setting.task.name, {
            key_of(run): (cost, work_done(folder, cost))
            for run, cost, folder in zip(self.runs, costs, folders) if not is_scored(folder)},
            storing(items), jobs)
        self.on_event = self._display.on_event

    def __enter__(self) -> Session:
        self._previous = {number: signal.signal(number, lambda *_: self.children.stop())
                          for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            store_features(self.setting, self.runs, self.jobs, self.children,
                           self._display.stored)
        except BaseException:
            self.__exit__()
            raise
        self._display.stored_all()
        return self

    def __exit__(self, *_: Any) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._display.close()


def _with_classes(task: Task, options: Mapping[str, Any]) -> Task:
    """The task with the classes of your own images, as their manifest names them."""
    _check_images(task, options)
    if task.name != OWN.name:
        return task
    return task_named(task.name, import_module(task.preparer).classes(
        Path(options["images"]), options["negative"] or ""))


def _check_images(task: Task, options: Mapping[str, Any]) -> None:
    """InputError when the images named are not there, or not named where they must be."""
    own, images = task.name == OWN.name, options["images"]
    if own and not images:
        raise InputError(f"task {task.name}: name your images by --images, a manifest.csv "
                         "(path, label, group) or a folder with one folder for each class")
    for option in ("negative", "upright"):
        if options[option] and not own:
            raise InputError(f"--{option} is for task {OWN.name}")
    if not task.by_region and options.get("patch_side", DEFAULT_SIDE) != DEFAULT_SIDE:
        raise InputError("--patch-side is for task cimt")
    if images and not (Path(images).exists() if own else Path(images).is_dir()):
        raise InputError(f"{images}: no such {'file or ' if own else ''}folder (folders below "
                         "/usr, /etc, /var and /run are seen only when LAYERWISE_BIND names them)")


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
