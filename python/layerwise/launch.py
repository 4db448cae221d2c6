"""Starting one run's child processes: its networks, its folder, its training and its scoring."""
from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from layerwise import alexnet, features, prefix, solver
from layerwise.child import Children
from layerwise.contracts import atomic_text
from layerwise.depths import depth_named
from layerwise.errors import InputError
from layerwise.generate import network_name, text_of
from layerwise.machine import check_free
from layerwise.plan import Setting
from layerwise.runs import (
    CAFFE_LOG,
    STATE,
    TAIL,
    TAIL_DATA,
    TAIL_DEPLOY,
    TAIL_FROZEN,
    TAIL_LISTING,
    TAIL_NET,
    TAIL_SOLVER,
    Run,
    Tail,
    is_scored,
    is_trained,
    locked,
    open_run,
    read_tail,
    write_tail,
)
from layerwise.tasks import Task
from layerwise.validation import read_validation

OnEvent = Callable[[Run, dict[str, Any]], None]
Work = Callable[[list[str]], None]      # arguments of `layerwise.worker`


def write_nets(folder: Path, run: Run, task: Task, tail: Tail | None) -> None:
    """Write train_val, deploy and solver prototxt; for a tail also what really runs.

    The solver's paths are relative to the run folder, where Caffe is started, so that a run may be
    moved and resumed; those of the data are absolute and written anew at every start.
    """
    data, classes, depth = Path(run.data), len(task.classes), depth_named(run.init)
    name = network_name(task, depth)
    net = alexnet.train_val(name, task.last_layer, classes, depth, {
        "train": alexnet.DataSource(str(data / f"train-{run.fraction}" / "lmdb"), run.batch_size),
        "test": alexnet.DataSource(str(data / f"validation-{run.fraction}" / "lmdb"), 50)},
        run.mean_bgr)
    deploy = alexnet.deploy(name, task.last_layer, classes)
    message = solver.solver("train_val.prototxt", run.train_images, run.batch_size,
                            run.iterations, "state", run.seed)
    if run.gpu is not None:
        message.solver_mode, message.device_id = 1, run.gpu
    texts = {"train_val.prototxt": text_of(net), "deploy.prototxt": text_of(deploy),
             "solver.prototxt": text_of(message)}
    if tail:
        message.net = TAIL_NET
        message.ClearField("random_seed")     # goes on in the whole network's random stream
        texts[TAIL_LISTING] = "".join(f"{TAIL_DATA}/{path.name}\n"
                                      for path in features.files(tail.train))
        upper = prefix.cut(net, tail.blob, TAIL_LISTING, run.batch_size)
        parts = prefix.split(upper, run.batch_size)
        if parts:
            frozen, upper = parts
            texts[TAIL_FROZEN] = text_of(frozen)
        texts[TAIL_NET] = text_of(upper)
        texts[TAIL_DEPLOY] = text_of(prefix.cut(deploy, tail.blob))
        texts[TAIL_SOLVER] = text_of(message)
    for file_name, text in texts.items():
        with atomic_text(folder / file_name) as handle:
            handle.write(text)
    if tail:
        _link(folder / TAIL_DATA, tail.train)
        write_tail(folder, tail)


def _link(path: Path, target: Path) -> None:
    """A symbolic link in place of the one there, if any.

    Caffe reads a list of files word by word: a path with a blank in it would be two.
    """
    path.unlink(missing_ok=True)
    path.symlink_to(target.resolve(), target_is_directory=True)


def train_run(setting: Setting, run: Run, tail: Tail | None, children: Children,
              on_event: OnEvent) -> Path:
    """Train one run, or resume it, or do nothing when it is trained; returns its folder.

    Args:
        tail: stored activations of the frozen prefix, if any. A run that was begun with or without
            them goes on as it began.
    """
    with _trained(setting, run, tail, children, on_event) as (folder, _):
        return folder


def evaluate_run(setting: Setting, run: Run, tail: Tail | None, children: Children,
                 on_event: OnEvent) -> Path:
    """Score the test set with a run's best snapshot, training it first if need be."""
    with _trained(setting, run, tail, children, on_event) as (folder, work):
        if not is_scored(folder):
            work(["evaluate", str(folder)])
        return folder


def validate_run(setting: Setting, run: Run, tail: Tail | None, children: Children,
                 on_event: OnEvent, name: str) -> Path:
    """Score validation set `name` with a run's best snapshot, training it first if need be."""
    with _trained(setting, run, tail, children, on_event) as (folder, work):
        judged = read_validation(folder)
        if judged is None or judged.name != name:
            work(["validate", str(folder), run.data, name])
        return folder


@contextmanager
def _trained(setting: Setting, run: Run, tail: Tail | None, children: Children, on_event: OnEvent
             ) -> Iterator[tuple[Path, Work]]:
    """Hold a run's folder, trained; with it what has a child do something more in it."""
    folder = run.folder(setting.runs)
    with locked(folder) as lock:
        def work(arguments: list[str]) -> None:
            children.run(arguments, setting.blas, folder / CAFFE_LOG,
                         lambda event: on_event(run, event), folder, lock)
        open_run(folder, run)
        if not is_trained(folder):
            _train(setting, run, folder, tail, work)
        yield folder, work


def _train(setting: Setting, run: Run, folder: Path, tail: Tail | None, work: Work) -> None:
    check_free(folder, disk_needed_bytes(len(run.classes)))
    if (folder / STATE).exists():
        if not (folder / TAIL).exists():
            tail = None
        elif tail is None and not _still_stored(tail := read_tail(folder)):
            raise InputError(f"{folder}: was begun on stored activations of its frozen layers, "
                             "which are gone; raise --cache-gb, or delete the run folder")
    else:
        (folder / TAIL).unlink(missing_ok=True)
    write_nets(folder, run, setting.task, tail)
    arguments = ["train", str(folder)]
    if depth_named(run.init).fine_tuned:
        assert setting.source is not None
        arguments.append(str(setting.source.path.resolve()))
    work(arguments)


def _still_stored(tail: Tail | None) -> bool:
    """Whether a run can go on with what it began on, though another machine computes here."""
    return tail is not None and features.is_stored(tail.train) \
        and features.is_stored(tail.validation)


def disk_needed_bytes(classes: int) -> int:
    """Disk space of a run while it trains: old and new state (weights, momentum) and the best."""
    return 5 * 4 * alexnet.parameters(classes)
