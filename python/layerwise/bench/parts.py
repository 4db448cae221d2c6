"""The parts of the benchmark: each measures something beside its baseline and returns raw samples.

What they mean is worked out from the samples in `verdict`, never here.
"""
from __future__ import annotations

import importlib.util
import json
import shutil
import sys
import time
from collections.abc import Callable
from typing import Any

from layerwise import prefix
from layerwise.bench import plain
from layerwise.bench.context import Bench
from layerwise.bench.processes import (
    answer,
    layerwise,
    plain_environment,
    run,
    run_together,
    worker,
)
from layerwise.bench.scale import TASK
from layerwise.depths import depth_named
from layerwise.errors import InputError, LayerwiseError

Section = dict[str, Any]
Save = Callable[[], None]
CACHE_GB = 8             # of the harness, as it is when nothing is said


def limits(bench: Bench, section: Section, save: Save) -> None:
    """Speed of the BLAS as Debian and as the harness choose it, and of the memory."""
    request = {"repeats": bench.scale.repeats}
    for name, environment in (("plain", plain_environment()), ("ours", bench.ours())):
        bench.say(f"sgemm, {name}")
        section[name] = answer(run(worker("gflops", request), environment, bench.log("gflops")))
    bench.say("memory")
    section["gigabytes_per_second"] = answer(run(
        worker("bandwidth", {**request, "threads": bench.machine["cores"]}), bench.ours(),
        bench.log("bandwidth")))


def lmdb(bench: Bench, section: Section, save: Save) -> None:
    """Building an LMDB on all cores, on one, and with a transaction for each patch."""
    folder = bench.work / "build"
    request = {"task": TASK, "prepared": str(bench.prepared), "folder": str(folder),
               "patches": bench.scale.patches, "single": False}
    variants = {"cores": {"jobs": bench.machine["cores"]}, "one": {"jobs": 1},
                "single": {"jobs": 1, "single": True, "patches": bench.scale.single}}
    for _ in range(bench.scale.repeats):
        for name, changes in variants.items():
            bench.say(name)
            section.setdefault(name, []).append(answer(run(
                worker("build", {**request, **changes}), plain_environment(), bench.log("build"))))
    section["stages"] = answer(run(worker("stages", request), plain_environment(),
                                   bench.log("stages")))
    shutil.rmtree(folder)


def scoring(bench: Bench, section: Section, save: Save) -> None:
    """Scoring patches with plain pycaffe, with ours on all cores, and above stored activations."""
    folder = bench.work / "scoring"
    environment = plain_environment()
    lmdb = {"task": TASK, "prepared": str(bench.prepared), "folder": str(folder / "set"),
            "patches": bench.scale.scored, "single": False, "jobs": 1}
    run(worker("build", lmdb), environment, bench.log("scoring"))
    nets = bench.nets("conv1", folder / "nets")
    run(worker("plain_nets", nets), environment, bench.log("scoring"))
    request = {"task": TASK, "folder": nets["folder"], "weights": bench.weights, "repeats": 1,
               "lmdb": str(folder / "set" / "lmdb")}
    for _ in range(bench.scale.repeats):
        bench.say("plain")
        section.setdefault("plain", []).extend(answer(run(
            worker("whole", request), environment, bench.log("scoring"))))
        bench.say("ours")
        outputs = run_together([worker("whole", request)] * bench.side_by_side, bench.ours(),
                               bench.log("scoring"))
        section.setdefault("ours", []).extend(
            seconds / bench.side_by_side for output in outputs for seconds in answer(output))
    bench.say("above stored activations")
    boundaries = sorted({blob for blob in map(_boundary, bench.scale.depths) if blob})
    tails = worker("tails", {
        **request, "boundaries": boundaries, "repeats": bench.scale.repeats,
        "batches": max(1, bench.scale.scored // 32)})
    found = [answer(output) for output in run_together(
        [tails] * bench.side_by_side, bench.ours(), bench.log("scoring"))]
    section["tails"] = {blob: [seconds / bench.side_by_side for clock in found
                               for seconds in clock[blob]] for blob in boundaries}
    shutil.rmtree(folder)


def sweep(bench: Bench, section: Section, save: Save) -> None:
    """The whole sweep as a user starts it, from prepared data to figures."""
    iterations, every = bench.length()
    section.update({
        "iterations": iterations, "evaluate_every": every,
        **{name: bench.patches(name) for name in ("train-100", "validation-100", "test")}})
    if "seconds" not in section:
        shutil.rmtree(bench.work / "sweep", ignore_errors=True)
        data = bench.linked_data()
        bench.say("ours")
        begin = time.perf_counter()
        run(layerwise("sweep", TASK, "--depths", ",".join(bench.scale.depths), *bench.training(
            data, bench.work / "sweep" / "runs", iterations, every, CACHE_GB)),
            plain_environment(), bench.log("sweep"))
        section["seconds"] = [time.perf_counter() - begin]
        shutil.rmtree(bench.work / "sweep" / "runs")
        save()
    if bench.full:
        _plain_to_the_end(bench, section, save)


def _plain_to_the_end(bench: Bench, section: Section, save: Save) -> None:
    """Every configuration with plain Caffe to its last iteration, then the test set scored."""
    done = section.setdefault("plain_seconds", {})
    for name in bench.scale.depths:
        if name in done:
            continue
        bench.say(f"plain, {name}")
        batch = bench.scale.test_batch
        folder = bench.work / "plain" / name
        begin = time.perf_counter()
        plain.train({**bench.nets(name, folder), "iterations": section["iterations"],
                     "test_interval": section["evaluate_every"],
                     "test_iter": -(-section["validation-100"] // batch), "snapshot": True},
                    bench.weights, not depth_named(name).fine_tuned)
        trained = f"plain_iter_{section['iterations']}.caffemodel"
        run(worker("whole", {"task": TASK, "folder": str(folder), "repeats": 0,
                             "weights": str(folder / trained),
                             "lmdb": str(bench.prepared / "test" / "lmdb")}),
            plain_environment(), bench.log("plain"))
        done[name] = time.perf_counter() - begin
        shutil.rmtree(folder)
        save()


def depths(bench: Bench, section: Section, save: Save) -> None:
    """Seconds per iteration of each depth: plain, ours, ours above stored activations."""
    scale, data = bench.scale, bench.linked_data()
    for name in scale.depths:
        if name in section:
            continue
        bench.say(f"plain, {name}")
        times = plain.train(
            {**bench.nets(name, bench.work / "plain" / name),
             "iterations": scale.warm_up + scale.plain + 1, "test_iter": scale.test_batches},
            bench.weights, not depth_named(name).fine_tuned)
        if len(times.iterations) != scale.warm_up + scale.plain or not times.tests:
            raise LayerwiseError(f"Caffe's log of {name} is not as that of version 1.0.0")
        found = {"plain": times.iterations[scale.warm_up:],
                 "plain_test_batch": [seconds / scale.test_batches for seconds in times.tests]}
        bench.say(f"ours, {name}")
        found["whole"] = bench.train(name, bench.data, scale.whole, scale.whole, cache_gb=0)
        if _boundary(name):
            bench.say(f"ours above stored activations, {name}")
            clock = bench.train(name, data, scale.tail, scale.windows, CACHE_GB)
            found.update({"tail": clock} if clock else {})
        section[name] = found
        save()
    shutil.rmtree(bench.work / "plain", ignore_errors=True)


def _boundary(depth: str) -> str | None:
    return prefix.boundary(depth_named(depth))


def pytorch(bench: Bench, section: Section, save: Save) -> None:
    """Solver steps of PyTorch and of Caffe with the harness's kernel, in turn."""
    if importlib.util.find_spec("torch") is None:
        raise InputError("no PyTorch in this Python; name one that has it: make bench TORCH=python")
    scale = bench.scale
    for name in scale.torch_depths:
        nets = bench.nets(name, bench.work / "steps")
        run(worker("plain_nets", nets), plain_environment(), bench.log("steps"))
        for threads in sorted({1, bench.machine["cores"]}):
            key = f"{name}, {threads} thread" + "s" * (threads > 1)
            clock = section[key] = {"caffe": [], "torch": []}
            request = {"folder": nets["folder"], "depth": name, "batch_size": scale.batch_size,
                       "threads": threads, "warm_up": scale.warm_up, "steps": scale.torch}
            for _ in range(scale.repeats):
                bench.say(f"Caffe, {key}")
                clock["caffe"] += answer(run(worker("steps", request), bench.ours(threads),
                                             bench.log("steps")))
                bench.say(f"PyTorch, {key}")
                output = answer(run(
                    [sys.executable, "-m", "layerwise.bench.torch_alexnet", json.dumps(request)],
                    plain_environment(), bench.log("torch")))
                clock["torch"] += output["seconds"]
                section["version"] = output["version"]
    shutil.rmtree(bench.work / "steps")


RESUMED = ("sweep", "depths")     # parts that go on where they were stopped
PARTS: dict[str, Callable[[Bench, Section, Save], None]] = {
    part.__name__: part for part in (limits, lmdb, scoring, sweep, depths, pytorch)}
