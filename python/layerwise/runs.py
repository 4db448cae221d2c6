"""The run folder: where a run lives, what it was made with, and what state it is in."""
from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from layerwise.contracts import atomic_text
from layerwise.errors import InputError

CONFIG, LOG, BEST, RESULT = "config.json", "log.csv", "best.caffemodel", "result.json"
SCORES, PATCHES, STATE, CAFFE_LOG = "scores.csv", "patches.h5", "state.json", "caffe.log"
TAIL, TAIL_BEST = "tail.json", "tail_best.caffemodel"
TAIL_NET, TAIL_DEPLOY, TAIL_SOLVER = (f"tail_{name}.prototxt" for name in (
    "train_val", "deploy", "solver"))


@dataclass(frozen=True)
class Tail:
    """A run that trains only what lies above the stored activations of `blob`.

    `train`, `validation`, `test`: folders of the stored activations.
    """

    blob: str
    train: Path
    validation: Path
    test: Path


@dataclass(frozen=True)
class Run:
    """Everything that decides a run's outcome, resolved; config.json is its JSON form.

    Attributes:
        data: the prepared data folder, as given.
        data_sha256: seal of the training, validation and test sets.
        source_weights: name of the source network, None from scratch.
        source_sha1: SHA-1 of its caffemodel.
        stand_in_data, stand_in_weights: what stands in for the paper's, None if nothing does.
        threads: BLAS threads; results are repeatable to the bit with 1.
    """

    task: str
    dataset: str
    init: str
    fraction: int                    # percent of the training groups
    seed: int
    classes: tuple[str, ...]
    data: str
    data_sha256: str
    train_images: int
    batch_size: int
    iterations: int
    evaluate_every: int
    patience: int
    mean_bgr: tuple[float, ...]
    source_weights: str | None
    source_sha1: str | None
    stand_in_data: str | None
    stand_in_weights: str | None
    threads: int
    gpu: int | None = None
    environment: dict[str, Any] = field(default_factory=dict)   # recorded, decides nothing

    def folder(self, root: Path) -> Path:
        """`<root>/<task>/<dataset>/<init>/<fraction>/<seed>`."""
        return dataset_folder(root, self.task, self.dataset) / self.init / str(
            self.fraction) / str(self.seed)


def dataset_folder(root: Path, task: str, dataset: str) -> Path:
    """The folder of all runs on one data set."""
    return root / task / dataset


# What may differ between a run and its resumption without changing the outcome.
_RECORDED_ONLY = ("environment", "data", "threads", "gpu")


def open_run(folder: Path, run: Run) -> Path:
    """Make the run folder, or check that the one there was made with the same settings.

    Raises InputError when it holds a run with other settings, or cannot be written.
    """
    path = folder / CONFIG
    wanted = json.loads(json.dumps(asdict(run)))
    if path.exists():
        for key, value in read_json(path).items():
            if key not in _RECORDED_ONLY and wanted.get(key) != value:
                raise InputError(f"{folder} holds a run with {key}={value}, now {wanted.get(key)}: "
                                 "choose another --runs folder or delete this one")
    write_json(path, wanted)
    return folder


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a run folder; InputError when another process holds it."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise InputError(f"{folder}: another process is working on this run; "
                         "wait for it, or choose another --runs folder") from None
    finally:
        os.close(handle)


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write JSON atomically; InputError when the folder cannot be written."""
    try:
        with atomic_text(path) as handle:
            json.dump(content, handle, indent=2)
            handle.write("\n")
    except (PermissionError, NotADirectoryError, FileExistsError) as error:
        raise InputError(f"{path}: cannot be written ({error.strerror}); "
                         "choose a folder you may write to") from None


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object; InputError when it is missing or is none."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (ValueError, NotADirectoryError) as error:
        raise InputError(f"{path}: not a JSON file ({error})") from None
    if not isinstance(content, dict):
        raise InputError(f"{path}: expected a JSON object")
    return content


def load_run(folder: Path) -> Run:
    """The settings of the run in a folder."""
    content = read_json(folder / CONFIG)
    try:
        run = Run(**content)
    except TypeError as error:
        raise InputError(f"{folder / CONFIG}: {error}") from None
    return Run(**{**asdict(run), "classes": tuple(run.classes), "mean_bgr": tuple(run.mean_bgr)})


def write_tail(folder: Path, tail: Tail) -> None:
    """Say in the run folder that it trains a tail."""
    write_json(folder / TAIL, {key: str(value) for key, value in asdict(tail).items()})


def read_tail(folder: Path) -> Tail | None:
    """The tail that the run folder trains, None when it trains the whole network."""
    if not (folder / TAIL).exists():
        return None
    content = read_json(folder / TAIL)
    return Tail(content["blob"], *(Path(content[key]) for key in ("train", "validation", "test")))


def is_trained(folder: Path) -> bool:
    """Whether training has ended: result.json is written last."""
    return (folder / RESULT).exists()


def is_scored(folder: Path) -> bool:
    """Whether the test set has been scored."""
    return (folder / SCORES).exists()
