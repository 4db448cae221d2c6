"""How fast this machine trains: one iteration, measured once and remembered, for estimates."""
from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from layerwise import blas, cost
from layerwise.cache import path_of, remember
from layerwise.contracts import json_or_empty
from layerwise.depths import LAYERS

BATCH = 16              # images; enough for the convolutions to weigh what they do in a training
TIMED = 2               # iterations after the first; the faster one counts
TIMEOUT_S = 300


@dataclass(frozen=True)
class Speed:
    """Seconds of one iteration that tunes all layers of AlexNet on `batch` images.

    `source` says where the number is from.
    """

    seconds: float
    batch: int
    source: str

    @property
    def seconds_per_work(self) -> float:
        """Seconds per multiply-add of the cost model."""
        return self.seconds / cost.step(LAYERS[0], LAYERS[0], self.batch)

    def at(self, batch: int) -> float:
        """Seconds of such an iteration on another number of images."""
        return self.seconds_per_work * cost.step(LAYERS[0], LAYERS[0], batch)


def measured(threads: int) -> Speed | None:
    """This machine's speed with the kernel that training will use; None where Caffe is not.

    Takes ten seconds and 1.3 GB of memory once; kept in the user's cache for this processor, kernel
    and number of threads. To measure again, delete the file that `source` names.
    """
    choice = blas.choose(threads)
    processor = blas.read_processor()
    path = path_of("speed", [BATCH, processor.vendor, processor.model, choice.library,
                             choice.kernel, threads])
    speed = _read(path)
    if speed is None:
        seconds = _measure(choice)
        if seconds is None:
            return None
        source = (f"measured on {time.strftime('%Y-%m-%d')}, "
                  f"{processor.model or 'unknown processor'}")
        speed = Speed(round(seconds, 3), BATCH, source)
        remember(path, asdict(speed))
    return Speed(speed.seconds, speed.batch, f"{speed.source}, {path}")


def _read(path: Path) -> Speed | None:
    try:
        return Speed(**json_or_empty(path))
    except TypeError:       # not there, or of another version: measure again
        return None


def _measure(choice: blas.BlasChoice) -> float | None:
    """Seconds by a child process that owns Caffe; None when there is none or it fails."""
    try:
        child = subprocess.run(
            [sys.executable, "-m", "layerwise.speed", str(choice.threads)], text=True,
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=TIMEOUT_S,
            env={**os.environ, **blas.environment_for(choice),
                 "PYTHONPATH": os.pathsep.join(map(os.path.abspath, filter(None, sys.path)))})
        return float(child.stdout) if child.returncode == 0 else None
    except (subprocess.TimeoutExpired, ValueError):
        return None


def time_iteration(threads: int) -> float:
    """Seconds of one iteration of Caffe's solver on noise, in this process.

    Processor time over threads, which is wall time on an idle machine, and on a busy one still is
    what the work takes.
    """
    import caffe
    import numpy as np

    from layerwise.generate import text_of

    rng = np.random.default_rng(1)
    with TemporaryDirectory() as folder:
        net, solver = Path(folder) / "net.prototxt", Path(folder) / "solver.prototxt"
        net.write_text(text_of(_network()), encoding="utf-8")
        solver.write_text(text_of(_solver(net)), encoding="utf-8")
        caffe.set_mode_cpu()
        trained = caffe.SGDSolver(str(solver))
        trained.net.blobs["data"].data[...] = rng.normal(0, 50, trained.net.blobs["data"].shape)
        seconds = []
        for _ in range(1 + TIMED):
            started = time.process_time()
            trained.step(1)
            seconds.append((time.process_time() - started) / threads)
    return min(seconds[1:])


def _network() -> Any:
    """AlexNet from scratch with inputs that are set from outside."""
    from caffe.proto import caffe_pb2

    from layerwise import alexnet
    from layerwise.depths import depth_named

    whole = alexnet.train_val("speed", "fc8", cost.CLASSES, depth_named("scratch"), {})
    net = caffe_pb2.NetParameter(name=whole.name)
    for name, shape in (("data", alexnet.INPUT_SHAPE), ("label", ())):
        layer = net.layer.add(name=name, type="Input", top=[name])
        layer.input_param.shape.add(dim=[BATCH, *shape])
    net.layer.extend(whole.layer)
    return net


def _solver(net: Path) -> Any:
    from layerwise.solver import solver

    message = solver(str(net), BATCH, BATCH, 1 + TIMED, str(net.with_name("snapshot")), 1)
    message.display = 0
    message.snapshot_after_train = False
    return message


if __name__ == "__main__":
    print(time_iteration(int(sys.argv[1])))
