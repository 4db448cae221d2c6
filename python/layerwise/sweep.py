"""From prepared data to trained and scored runs: one run, or all of a sweep side by side."""
from __future__ import annotations

import hashlib
import json
import math
import os
import platform
import shutil
import subprocess
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from layerwise import __version__, alexnet, features, prefix, score, solver
from layerwise.child import Children, Interrupted
from layerwise.contracts import atomic_text, read_index
from layerwise.depths import Depth, depth_named
from layerwise.errors import InputError, LayerwiseError
from layerwise.generate import network_name, text_of
from layerwise.profiles import Profile
from layerwise.runs import (
    CAFFE_LOG,
    STATE,
    TAIL,
    TAIL_DEPLOY,
    TAIL_NET,
    TAIL_SOLVER,
    Run,
    Tail,
    dataset_folder,
    is_scored,
    is_trained,
    locked,
    open_run,
    read_json,
    write_tail,
)
from layerwise.tasks import Task
from layerwise.weights import Source

OnEvent = Callable[[Run, dict[str, Any]], None]


@dataclass(frozen=True)
class Setting:
    """What all runs of one command share."""

    task: Task
    prepared: Path                 # prepared data folder
    runs: Path                     # root of all runs
    profile: Profile               # batch size and length of training
    source: Source | None          # None when nothing is fine-tuned
    mean_bgr: tuple[float, ...]    # subtracted from every image, 0..255
    threads: int
    gpu: int | None
    blas: dict[str, str]           # environment variables of the chosen kernel

    @property
    def folder(self) -> Path:
        """The folder of all runs on this data set."""
        return dataset_folder(self.runs, self.task.name, self.prepared.name)


@dataclass(frozen=True)
class Outcome:
    """How one run of a sweep ended; `error` is empty when it is trained and scored."""

    run: Run
    error: str


def make_run(setting: Setting, depth: Depth, fraction: int, seed: int) -> Run:
    """The settings of one run, resolved.

    Raises InputError when the prepared data lacks this fraction.
    """
    facts = read_json(setting.prepared / "source.json")
    index = setting.prepared / f"train-{fraction}" / "index.csv"
    if not index.is_file():
        raise InputError(f"{index}: no such set; prepared fractions are "
                         f"{', '.join(_fractions(setting.prepared)) or 'none'}")
    profile = setting.profile
    source = setting.source if depth.fine_tuned else None
    return Run(
        task=setting.task.name, dataset=setting.prepared.name, init=depth.name, fraction=fraction,
        seed=seed, classes=setting.task.classes, data=str(setting.prepared),
        data_sha256=_data_digest(setting.prepared, facts, fraction),
        train_images=len(read_index(index)),
        batch_size=profile.batch_size, iterations=profile.iterations,
        evaluate_every=profile.evaluate_every, patience=profile.patience,
        mean_bgr=setting.mean_bgr, source_weights=source.name if source else None,
        source_sha1=source.sha1 if source else None, stand_in_data=facts["stand_in"],
        stand_in_weights=source.stand_in if source else None, threads=setting.threads,
        gpu=setting.gpu, environment=_environment(setting.blas))


def _data_digest(prepared: Path, facts: dict[str, Any], fraction: int) -> str:
    """SHA-256 over the contents of all that a run trains, validates and is tested on."""
    names = (f"train-{fraction}", f"validation-{fraction}", "test")
    try:
        contents = [facts["sets"][name]["content_sha256"] for name in names]
        contents += [facts["sha256"][name] for name in ("cases.csv", "candidates.csv")]
    except (KeyError, TypeError):
        raise InputError(f"{prepared / 'source.json'}: says nothing of the sets of {fraction}%; "
                         "run `layerwise prepare` again") from None
    return hashlib.sha256("\n".join(contents).encode()).hexdigest()


def _fractions(prepared: Path) -> list[str]:
    return sorted((path.name.split("-")[1] for path in prepared.glob("train-*")), key=int)


def _environment(blas: dict[str, str]) -> dict[str, Any]:
    return {"layerwise": __version__, "git": _git_revision(), "python": platform.python_version(),
            "machine": platform.machine(), "blas": blas}


def _git_revision() -> str | None:
    try:
        return subprocess.run(["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"],
                              capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def write_nets(folder: Path, run: Run, task: Task, depth: Depth, tail: Tail | None) -> None:
    """Write train_val, deploy and solver prototxt; for a tail also what really runs, and tail.json.
    """
    data, classes = Path(run.data), len(task.classes)
    name = network_name(task, depth)
    net = alexnet.train_val(name, task.last_layer, classes, depth, {
        "train": alexnet.DataSource(str(data / f"train-{run.fraction}" / "lmdb"), run.batch_size),
        "test": alexnet.DataSource(str(data / f"validation-{run.fraction}" / "lmdb"), 50)},
        run.mean_bgr)
    deploy = alexnet.deploy(name, task.last_layer, classes)
    message = solver.solver(str(folder / "train_val.prototxt"), run.train_images, run.batch_size,
                            run.iterations, str(folder / "state"), run.seed)
    if run.gpu is not None:
        message.solver_mode, message.device_id = 1, run.gpu
    texts = {"train_val.prototxt": text_of(net), "deploy.prototxt": text_of(deploy),
             "solver.prototxt": text_of(message)}
    if tail:
        message.net = str(folder / TAIL_NET)
        message.ClearField("random_seed")     # goes on in the whole network's random stream
        listing = str(tail.train / features.LISTING)
        texts[TAIL_NET] = text_of(prefix.cut(net, tail.blob, listing, run.batch_size))
        texts[TAIL_DEPLOY] = text_of(prefix.cut(deploy, tail.blob))
        texts[TAIL_SOLVER] = text_of(message)
    for file_name, text in texts.items():
        with atomic_text(folder / file_name) as handle:
            handle.write(text)
    if tail:
        write_tail(folder, tail)


def store_features(setting: Setting, runs: Sequence[Run], budget_bytes: float, jobs: int,
                   children: Children, on_event: Callable[[int, int], None]) -> None:
    """Compute what lies below the first tuned layer of these runs once, where that pays.

    Args:
        budget_bytes: disk space that the stored activations may take; 0 stores nothing.
        on_event: called with the patches done since the last call and the patches in all.
    """
    pending = [run for run in runs if run.source_sha1 and not is_trained(run.folder(setting.runs))]
    if setting.source is None or not pending:
        return
    sets = {name: batch for run in pending for name, batch in _sets(run).items()}
    sizes = {name: len(read_index(setting.prepared / name / "index.csv")) for name in sets}
    blobs = prefix.affordable([depth_named(run.init) for run in pending], sum(sizes.values()),
                              budget_bytes)
    facts = read_json(setting.prepared / "source.json")
    requests = {}
    for name in sorted(sets, key=lambda name: -sizes[name]):
        targets = {blob: _features(setting, facts, name, blob, sets[name]) for blob in blobs}
        missing = {blob: str(folder) for blob, folder in targets.items()
                   if not features.is_stored(folder)}
        if missing:
            requests[name] = {"patches": str(setting.prepared / name / "lmdb"), "targets": missing,
                              "mean_bgr": setting.mean_bgr, "batch_size": sets[name],
                              "source": str(setting.source.path), "gpu": setting.gpu,
                              "deploy": str(setting.prepared / "features" / "deploy.prototxt")}
    if not requests:
        return
    total = sum(sizes[name] for name in requests)
    folder = setting.prepared / "features"
    folder.mkdir(exist_ok=True)
    _check_free(folder, features.estimated_bytes(blobs, total))
    with atomic_text(folder / "deploy.prototxt") as handle:
        handle.write(text_of(alexnet.deploy("AlexNet", setting.task.last_layer,
                                            len(setting.task.classes))))
    with ThreadPoolExecutor(max_workers=jobs) as pool:
        done = [pool.submit(children.run, ["features", json.dumps(request)], setting.blas,
                            folder / f"{name}.log",
                            lambda event: on_event(event.get("patches", 0), total))
                for name, request in requests.items()]
    for future in done:
        future.result()


def _sets(run: Run) -> dict[str, int]:
    """The sets a run reads, and the batch size that their activations are computed with."""
    return {f"train-{run.fraction}": run.batch_size, f"validation-{run.fraction}": score.BATCH,
            "test": score.BATCH}


def _features(setting: Setting, facts: dict[str, Any], name: str, blob: str, batch: int) -> Path:
    assert setting.source is not None
    return features.folder_for(setting.prepared, name, blob, facts["sets"][name]["content_sha256"],
                               setting.source.sha1, setting.mean_bgr, batch)


def _tail_of(setting: Setting, run: Run) -> Tail | None:
    """The stored activations this run may train on, None when they are not all there."""
    blob = prefix.boundary(depth_named(run.init))
    if setting.source is None or blob is None:
        return None
    facts = read_json(setting.prepared / "source.json")
    folders = [_features(setting, facts, name, blob, batch) for name, batch in _sets(run).items()]
    return Tail(blob, *folders) if all(map(features.is_stored, folders)) else None


def train_run(setting: Setting, run: Run, children: Children, on_event: OnEvent) -> Path:
    """Train one run, or resume it, or do nothing when it is trained; returns its folder."""
    folder = open_run(run.folder(setting.runs), run)
    with locked(folder):
        _train(setting, run, folder, children, on_event)
    return folder


def evaluate_run(setting: Setting, run: Run, children: Children, on_event: OnEvent) -> Path:
    """Score the test set with a run's best snapshot, training it first if need be."""
    folder = open_run(run.folder(setting.runs), run)
    with locked(folder):
        _train(setting, run, folder, children, on_event)
        if not is_scored(folder):
            children.run(["evaluate", str(folder)], setting.blas, folder / CAFFE_LOG,
                         lambda event: on_event(run, event))
    with atomic_text(setting.folder / "cases.csv") as handle:
        handle.write((setting.prepared / "cases.csv").read_text(encoding="utf-8"))
    return folder


def _train(setting: Setting, run: Run, folder: Path, children: Children,
           on_event: OnEvent) -> None:
    if is_trained(folder):
        return
    depth = depth_named(run.init)
    _check_free(folder, 5 * 4 * _parameters(len(run.classes)))   # old and new state, best
    if not (folder / STATE).exists():
        (folder / TAIL).unlink(missing_ok=True)
        write_nets(folder, run, setting.task, depth, _tail_of(setting, run))
    arguments = ["train", str(folder)]
    if depth.fine_tuned:
        assert setting.source is not None
        arguments.append(str(setting.source.path))
    children.run(arguments, setting.blas, folder / CAFFE_LOG, lambda event: on_event(run, event))


def _parameters(classes: int) -> int:
    return sum(math.prod(shape) for blobs in alexnet.parameter_shapes(classes).values()
               for shape in blobs)


def jobs_that_fit(cores: int, threads: int, batch_size: int) -> int:
    """How many trainings side by side the cores and the memory available now allow, at least 1.

    A training holds each parameter four times (weights, gradient, momentum, solver buffer) and
    about 12 MB of activations per image of the mini-batch.
    """
    needed = 4 * 4 * _parameters(classes=2) + 12_000_000 * batch_size
    available = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return max(1, min(cores // threads, available // needed))


def _check_free(folder: Path, needed: float) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise InputError(f"{folder}: disk full, {needed / 1e9:.1f} GB needed but "
                         f"{free / 1e9:.1f} GB free; free some space or choose another folder")


def sweep(setting: Setting, runs: Sequence[Run], jobs: int, children: Children,
          on_event: OnEvent) -> list[Outcome]:
    """Train and score all runs, `jobs` at a time; a failed one does not stop the others.

    Deep runs go first: they take longest.

    Raises Interrupted once all children have stopped, when asked to stop.
    """
    order = sorted(runs, key=lambda run: len(depth_named(run.init).frozen))
    outcomes: dict[int, str] = {}
    with ThreadPoolExecutor(max_workers=jobs) as pool:
        pending = {pool.submit(evaluate_run, setting, run, children, on_event): position
                   for position, run in enumerate(order)}
        for future in as_completed(pending):
            try:
                future.result()
                outcomes[pending[future]] = ""
            except Interrupted:
                children.stop()
            except LayerwiseError as error:
                outcomes[pending[future]] = str(error)
    if children.stopping:
        raise Interrupted("stopped on request; the same command resumes it")
    return [Outcome(run, outcomes[position]) for position, run in enumerate(order)]
