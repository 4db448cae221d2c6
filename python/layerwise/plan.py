"""What a command is to run: the settings its runs share, and each run resolved."""
from __future__ import annotations

import functools
import os
import platform
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from layerwise import __version__
from layerwise.contracts import read_index
from layerwise.depths import Depth
from layerwise.errors import InputError
from layerwise.profiles import Profile
from layerwise.runs import Run, data_digest, dataset_folder, read_json
from layerwise.tasks import Task
from layerwise.weights import Source

Key = tuple[str, int, int]         # init, fraction, seed


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
    cache_bytes: float             # disk space for stored activations; 0 = none are made or used

    @property
    def folder(self) -> Path:
        """The folder of all runs on this data set."""
        return dataset_folder(self.runs, self.task.name, self.prepared.name)


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
        data_sha256=data_digest(setting.prepared, fraction),
        train_images=len(read_index(index)),
        batch_size=profile.batch_size, iterations=profile.iterations,
        evaluate_every=profile.evaluate_every, patience=profile.patience,
        mean_bgr=setting.mean_bgr, source_weights=source.name if source else None,
        source_sha1=source.sha1 if source else None, stand_in_data=facts["stand_in"],
        stand_in_weights=source.stand_in if source else None, threads=setting.threads,
        gpu=setting.gpu, test_sha256=data_digest(setting.prepared),
        environment=environment(setting.blas))


def key_of(run: Run) -> Key:
    """What tells the runs of one command apart."""
    return run.init, run.fraction, run.seed


def title_of(run: Run) -> str:
    """How a run is called in what is printed."""
    return f"{run.init} {run.fraction}% seed {run.seed}"


def _fractions(prepared: Path) -> list[str]:
    return sorted((path.name.split("-")[1] for path in prepared.glob("train-*")), key=int)


def environment(blas: dict[str, str]) -> dict[str, Any]:
    """What a run is computed with, for its config.json; decides nothing."""
    return {"layerwise": __version__, "git": _git_revision(), "python": platform.python_version(),
            "machine": platform.machine(), "blas": blas}


@functools.lru_cache(maxsize=1)
def _git_revision() -> str | None:
    """Of the checkout, or what an image was told when it was built."""
    if os.environ.get("LAYERWISE_REVISION"):
        return os.environ["LAYERWISE_REVISION"]
    try:
        return subprocess.run(["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"],
                              capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
