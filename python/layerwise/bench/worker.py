"""Measurements that need Caffe: `python3 -m layerwise.bench.worker VERB REQUEST`, answered in JSON.

Every measurement has a process of its own, because OpenBLAS chooses its kernel as it is loaded.
"""
from __future__ import annotations

import importlib
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from layerwise import alexnet, blas, blas_check, machine, prefix, score, solver
from layerwise.bench import builds
from layerwise.depths import depth_named
from layerwise.generate import network_name, text_of
from layerwise.plan import environment
from layerwise.tasks import task_named
from layerwise.weights import find_source

BANDWIDTH_BYTES = 64 << 20     # of each array; far more than caches hold
MODULES = ("numpy", "cv2", "lmdb", "h5py", "google.protobuf")
Request = Mapping[str, Any]


def describe(request: Request) -> dict[str, Any]:
    """The machine, its software, and the BLAS choice of the harness for each number of threads."""
    import caffe

    choices = {threads: blas.choose(threads) for threads in sorted({1, machine.cores()})}
    versions = {name: importlib.import_module(name).__version__ for name in MODULES}
    return {
        "processor": blas.read_processor().model, "cores": machine.cores(),
        "memory_gb": round(machine.memory_bytes()[1] / 1e9),
        "system": platform.system() + " " + platform.release(),
        "python": platform.python_version(), "caffe": caffe.__version__, "versions": versions,
        "blas": choices[1].library, "kernel": choices[1].kernel,
        "git": environment({})["git"],
        "variables": {str(threads): blas.environment_for(choice)
                      for threads, choice in choices.items()}}


def bandwidth(request: Request) -> list[float]:
    """GB/s of adding arrays in place (two are read, one written), by all threads at once."""
    arrays = [(np.ones(BANDWIDTH_BYTES // 4, np.float32), np.ones(BANDWIDTH_BYTES // 4, np.float32))
              for _ in range(request["threads"])]

    def add(pair: tuple[np.ndarray, np.ndarray]) -> None:
        for _ in range(4):
            np.add(pair[0], pair[1], out=pair[0])

    rates = []
    with ThreadPoolExecutor(len(arrays)) as pool:
        for _ in range(1 + request["repeats"]):
            start = time.perf_counter()
            list(pool.map(add, arrays))
            rates.append(4 * 3 * BANDWIDTH_BYTES * len(arrays) / (time.perf_counter() - start))
    return [rate / 1e9 for rate in rates[1:]]


def gflops(request: Request) -> dict[str, Any]:
    """Speed of an AlexNet-sized sgemm as Caffe calls it, and the kernel that computes it."""
    library = blas_check.load_blas()
    assert library is not None
    checks = [blas_check.check(library) for _ in range(request["repeats"])]
    return {"kernel": checks[0]["kernel"], "gflops": [check["gflops"] for check in checks]}


def weights(request: Request) -> str:
    """Path of the source weights."""
    return str(find_source(None, Path(request["data"])).path.resolve())


def plain_nets(request: Request) -> dict[str, Any]:
    """Write train_val, solver and deploy prototxt of a depth as the generator makes them.

    Plain Caffe validates itself: `test_iter` batches, every `test_interval` iterations.
    """
    task, depth = task_named(request["task"]), depth_named(request["depth"])
    prepared, folder = Path(request["prepared"]).resolve(), Path(request["folder"])
    classes, name = len(task.classes), network_name(task, depth)
    net = alexnet.train_val(name, task.last_layer, classes, depth, {
        phase: alexnet.DataSource(str(prepared / f"{part}-100" / "lmdb"), request[size])
        for phase, part, size in (("train", "train", "batch_size"),
                                  ("test", "validation", "test_batch"))})
    message = solver.solver("train_val.prototxt", request["train_images"], request["batch_size"],
                            request["iterations"], "plain", seed=1)
    message.test_iter.append(request["test_iter"])
    message.test_interval = request["test_interval"]
    message.display = message.average_loss = 1
    message.snapshot_after_train = request["snapshot"]
    folder.mkdir(parents=True, exist_ok=True)
    for file_name, content in (("train_val", net), ("solver", message), (
            "deploy", alexnet.deploy(name, task.last_layer, classes))):
        (folder / f"{file_name}.prototxt").write_text(text_of(content), encoding="utf-8")
    return {}


def steps(request: Request) -> list[float]:
    """Seconds of each solver step after the warm-up, of the networks in `folder`."""
    import caffe

    os.chdir(request["folder"])
    trained = caffe.SGDSolver("solver.prototxt")
    clock = []
    for _ in range(request["warm_up"] + request["steps"]):
        start = time.perf_counter()
        trained.step(1)
        clock.append(time.perf_counter() - start)
    return clock[request["warm_up"]:]


def whole(request: Request) -> list[float]:
    """Seconds per patch of scoring an LMDB, everything from reading to probabilities."""
    import caffe

    task = task_named(request["task"])
    net = caffe.Net(_deploy(request), caffe.TEST, weights=request["weights"])
    patches = len(score.predict(net, Path(request["lmdb"]), alexnet.MEAN_BGR)[0])
    clock = []
    for _ in range(request["repeats"]):
        start = time.perf_counter()
        _, probabilities = score.predict(net, Path(request["lmdb"]), alexnet.MEAN_BGR)
        clock.append((time.perf_counter() - start) / patches)
        assert probabilities.shape == (patches, len(task.classes))
    return clock


def tails(request: Request) -> dict[str, list[float]]:
    """Seconds per patch of the forward pass above each boundary, in batches as scoring has them."""
    import caffe
    from caffe.proto import caffe_pb2
    from google.protobuf import text_format

    deploy = text_format.Parse(Path(_deploy(request)).read_text(encoding="utf-8"),
                               caffe_pb2.NetParameter())
    found: dict[str, list[float]] = {}
    for blob in request["boundaries"]:
        path = Path(request["folder"]) / f"tail_{blob}_{os.getpid()}.prototxt"
        path.write_text(text_of(prefix.cut(deploy, blob, batch_size=score.BATCH)), encoding="utf-8")
        net = caffe.Net(str(path), caffe.TEST, weights=request["weights"])
        values = np.random.default_rng(1).random((score.BATCH, *prefix.shape(blob)), np.float32)
        found[blob] = []
        for _ in range(1 + request["repeats"]):
            start = time.perf_counter()
            for _ in range(request["batches"]):
                score.feed(net, blob, values)
                net.forward()
            found[blob].append((time.perf_counter() - start) / request["batches"] / score.BATCH)
        del found[blob][0]
    return found


def _deploy(request: Request) -> str:
    return str(Path(request["folder"]) / "deploy.prototxt")


VERBS: dict[str, Callable[[Request], Any]] = {
    function.__name__: function for function in (
        describe, bandwidth, gflops, weights, plain_nets, steps, whole, tails, builds.build,
        builds.stages)}


def main(arguments: Sequence[str]) -> None:
    """Answer one request."""
    print(json.dumps(VERBS[arguments[0]](json.loads(arguments[1]))))


if __name__ == "__main__":
    main(sys.argv[1:])
