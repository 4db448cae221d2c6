"""What tests that train real Caffe share: settings of seconds, and what a run leaves."""
from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Optional

import numpy as np

from layerwise import alexnet
from layerwise.child import Children
from layerwise.contracts import read_table
from layerwise.depths import DEPTHS
from layerwise.frozen import store_features, tail_of
from layerwise.launch import evaluate_run, train_run
from layerwise.locks import LOCK
from layerwise.plan import Setting, make_run
from layerwise.profiles import PROFILES
from layerwise.runs import Run
from layerwise.tasks import TASKS
from layerwise.weights import Source

PROFILE = replace(PROFILES["mini"], batch_size=4, iterations=6, evaluate_every=2)
ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1"}
WHOLE, TAIL = "scratch-xavier", "fc6"      # trained whole; trained above stored activations


def setting(prepared: Path, runs: Path, weights: Optional[Path] = None, **changes: Any) -> Setting:
    """Settings of seconds; `weights` are called random weights."""
    source = Source(weights, "random", "0" * 40, "random weights") if weights else None
    return Setting(TASKS["polyp"], prepared, runs, replace(PROFILE, **changes), source,
                   alexnet.MEAN_BGR, 1, None, ONE_THREAD, 1e9)


def train_at(depth: str, shared: Setting,
             on_event: Callable[..., None] = lambda run, event: None,
             verb: Callable[..., Path] = train_run, children: Children | None = None) -> Path:
    """Train (or evaluate) one depth, on stored activations where there are some."""
    run = make_run(shared, DEPTHS[depth], 100, 7)
    return verb(shared, run, tail_of(shared, run), children or Children(), on_event)


def nothing(*_: object) -> None:
    """An event that nobody looks at."""


@dataclass(frozen=True)
class Place:
    """A data set and source weights, to train any depth in any folder of runs."""

    data: Path
    weights: Path

    def run(self, depth: str, runs: Path, **changes: Any) -> Run:
        """One run, resolved."""
        return make_run(setting(self.data, runs, self.weights, **changes), DEPTHS[depth], 100, 7)

    def folder(self, depth: str, runs: Path) -> Path:
        """Where it goes."""
        return self.run(depth, runs).folder(runs)

    def evaluate(self, depth: str, runs: Path) -> Path:
        """Train and score; the run's folder."""
        return train_at(depth, setting(self.data, runs, self.weights), verb=evaluate_run)

    def store(self, depths: Sequence[str] = (TAIL,), budget_bytes: float = 1e9, jobs: int = 1,
              children: Optional[Children] = None) -> None:
        """Store the activations that runs of these depths share."""
        runs = self.data.parent / "runs"
        shared = replace(setting(self.data, runs, self.weights), cache_bytes=budget_bytes)
        store_features(shared, [self.run(depth, runs) for depth in depths], jobs,
                       children or Children(), nothing)

    def without_activations(self, folder: Path) -> Place:
        """The same data in another folder, by links, with nothing stored yet."""
        data = folder / self.data.parent.name / self.data.name
        data.mkdir(parents=True, exist_ok=True)
        for path in self.data.iterdir():
            if path.name != "features" and not (data / path.name).exists():
                (data / path.name).symlink_to(path)
        return replace(self, data=data)

    def activations(self) -> dict[str, bytes]:
        """All that is stored, by name, and what is left of attempts."""
        root = self.data / "features"
        return {path.relative_to(root).as_posix(): path.read_bytes() if path.is_file() else b""
                for path in sorted(root.glob("*/**/*"))
                if path.is_file() or path.name.startswith(".")}


def names(folder: Path) -> set[str]:
    """Of the files of a folder, but for its lock."""
    return {path.name for path in folder.iterdir()} - {LOCK}


def blobs(path: Path) -> dict[str, list[np.ndarray]]:
    """Weights and biases of a caffemodel."""
    from caffe.proto import caffe_pb2

    net = caffe_pb2.NetParameter.FromString(path.read_bytes())
    return {layer.name: [np.array(blob.data, np.float32) for blob in layer.blobs]
            for layer in net.layer if layer.blobs}


def content(folder: Path) -> dict[str, Any]:
    """What a run leaves, without the seconds."""
    log = [{key: value for key, value in line.items() if key != "seconds"}
           for line in read_table(folder / "log.csv")[1]]
    return {"log": log, "best": hashlib.sha256((folder / "best.caffemodel").read_bytes()).digest(),
            "scores": (folder / "scores.csv").read_bytes()}
