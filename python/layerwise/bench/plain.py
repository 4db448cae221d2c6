"""Plain Caffe: the `caffe` program with the same networks, its times read from its log."""
from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from layerwise.bench.processes import answer, inside, plain_environment, run, worker

# I1124 08:53:01.123456  4711 solver.cpp:239] Iteration 3 (0.5 iter/s, 2s/1 iters), loss = 0.69
_LINE = re.compile(r"[IWE](\d{4} \d\d:\d\d:\d\d)\.(\d{6})\s+\d+ \S+\] +(.*)")
_STEP = re.compile(r"Iteration \d+ \(.*, loss = ")
_TEST = re.compile(r"Iteration \d+, Testing net \(#0\)")
_TESTED = re.compile(r"Test net output #0")


@dataclass(frozen=True)
class PlainLog:
    """Seconds between the log's lines: of iterations after the first, and of test phases."""

    iterations: list[float]
    tests: list[float]


def read_log(text: str) -> PlainLog:
    """Times of a log of `caffe train` with `display: 1`.

    A line is written after the backward pass, before the update: from one to the next is a whole
    iteration. An iteration that a test phase falls into is left out.
    """
    iterations, tests = [], []
    last_step: float | None = None
    test_began = 0.0
    for moment, words in _lines(text):
        if _TEST.match(words):
            test_began, last_step = moment, None
        elif _TESTED.match(words):
            tests.append(moment - test_began)
        elif _STEP.match(words):
            if last_step is not None:
                iterations.append(moment - last_step)
            last_step = moment
    return PlainLog(iterations, tests)


def _lines(text: str) -> Iterator[tuple[float, str]]:
    """Seconds and words of each line of glog, which does not write the year."""
    year = time.localtime().tm_year
    for line in text.splitlines():
        match = _LINE.match(line)
        if match:
            clock = time.strptime(f"{year}{match[1]}", "%Y%m%d %H:%M:%S")
            yield time.mktime(clock) + int(match[2]) / 1e6, match[3]


def train(request: dict[str, Any], weights: str, from_scratch: bool) -> PlainLog:
    """Write the networks of a `plain_nets` request and run `caffe train` on them.

    Raises LayerwiseError when it fails.
    """
    folder, environment = Path(request["folder"]), plain_environment()
    answer(run(worker("plain_nets", request), environment, folder.with_suffix(".nets.log")))
    log = folder.with_suffix(".log")
    source = [] if from_scratch else [f"--weights={weights}"]
    run(inside("caffe", "train", "--solver=solver.prototxt", *source), environment, log, folder)
    return read_log(log.read_text(encoding="utf-8", errors="replace"))
