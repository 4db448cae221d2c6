"""What all parts of the benchmark share: sizes, folders, environments, and the phantom's data."""
from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from layerwise.bench.processes import (
    answer,
    layerwise,
    plain_environment,
    run,
    run_together,
    worker,
)
from layerwise.bench.samples import iteration_seconds
from layerwise.bench.scale import TASK, Scale
from layerwise.contracts import read_index
from layerwise.profiles import profile_named
from layerwise.runs import read_json

UNDISTURBED = 10 ** 6        # iterations between test phases: only the first takes place


@dataclass(frozen=True)
class Bench:
    """What all parts share.

    Attributes:
        work: folder of the data, the runs and the logs.
        full: run plain Caffe to the end instead of multiplying out.
        machine: what `worker.describe` answered.
        say: prints what is under way.
    """

    scale: Scale
    work: Path
    full: bool
    machine: dict[str, Any]
    say: Callable[[str], None]

    @property
    def side_by_side(self) -> int:
        """Trainings with one thread each that fill the cores, as a sweep runs them."""
        return self.scale.side_by_side or int(self.machine["cores"])

    @property
    def data(self) -> Path:
        """Root of the prepared data, on which nothing is stored beside it."""
        return self.work / "data"

    @cached_property
    def prepared(self) -> Path:
        """The phantom's folder, made if missing."""
        folder = self.data / TASK / f"phantom-{self.scale.profile}"
        if not (folder / "source.json").exists():
            self.say("preparing the phantom")
        run(layerwise("prepare", TASK, "--profile", self.scale.profile, "--data", str(self.data)),
            plain_environment(), self.log("prepare"))
        return folder

    @cached_property
    def weights(self) -> str:
        """Path of the source weights, made if missing."""
        return str(answer(run(worker("weights", {"data": str(self.data)}), plain_environment(),
                              self.log("weights"))))

    def ours(self, threads: int = 1) -> dict[str, str]:
        """Environment of a worker that computes as the harness does."""
        return {**plain_environment(), **self.machine["variables"][str(threads)]}

    def log(self, name: str) -> Path:
        """Where a child's messages go."""
        return self.work / "logs" / f"{name}.log"

    def patches(self, name: str) -> int:
        """Size of a prepared set."""
        return len(read_index(self.prepared / name / "index.csv"))

    def linked_data(self) -> Path:
        """A second root of the same data, of hard links, in which activations may be stored."""
        root = self.work / "sweep" / "data"
        if not root.exists():
            partial = root.with_name("data.partial")
            shutil.rmtree(partial, ignore_errors=True)
            assert Path(self.weights).exists() and self.prepared.exists()   # made by now
            shutil.copytree(self.data, partial, copy_function=os.link,
                            ignore=shutil.ignore_patterns("lock.mdb"))
            partial.rename(root)
        return root

    def length(self) -> tuple[int, int]:
        """Iterations of the sweep, and those between validations."""
        profile = profile_named(self.scale.profile)
        return (self.scale.iterations or profile.iterations,
                self.scale.evaluate_every or profile.evaluate_every)

    def training(self, data: Path, runs: Path, iterations: int, every: int, cache_gb: int
                 ) -> list[str]:
        """Options of a training verb of the harness."""
        return [word for name, value in (
            ("profile", self.scale.profile), ("data", data), ("runs", runs),
            ("iterations", iterations), ("evaluate-every", every), ("cache-gb", cache_gb),
            ("batch-size", self.scale.batch_size)) for word in (f"--{name}", str(value))]

    def nets(self, depth: str, folder: Path) -> dict[str, Any]:
        """Request for the networks of plain Caffe, whose test phase runs once, at the start."""
        return {"task": TASK, "depth": depth, "prepared": str(self.prepared),
                "folder": str(folder), "batch_size": self.scale.batch_size,
                "test_batch": self.scale.test_batch, "train_images": self.patches("train-100"),
                "iterations": 1, "test_iter": self.scale.test_batches,
                "test_interval": UNDISTURBED, "snapshot": False}

    def train(self, depth: str, data: Path, timed: int, windows: int, cache_gb: int
              ) -> list[float]:
        """Seconds of the whole machine per iteration, as many runs side by side as fill it.

        Args:
            timed: iterations, in `windows` samples.
            cache_gb: 0 computes all layers; otherwise what is frozen is stored first, and nothing
                is returned where the harness finds that this does not pay.
        """
        runs, log = self.work / "runs", self.log(depth)
        shutil.rmtree(runs, ignore_errors=True)
        iterations = self.scale.warm_up + timed + 1
        command = layerwise("train", TASK, depth, *self.training(
            data, runs, iterations, iterations, cache_gb), "--seed")
        run_together([[*command, str(1 + seed)] for seed in range(self.side_by_side)],
                     plain_environment(), log)
        stored = [read_json(path)["stored_prefix"] is not None
                  for path in runs.rglob("result.json")]
        clock = [seconds / self.side_by_side for path in sorted(runs.rglob("log.csv"))
                 for seconds in iteration_seconds(path, self.scale.warm_up, windows)]
        shutil.rmtree(runs)
        return clock if stored == [cache_gb > 0] * self.side_by_side else []
