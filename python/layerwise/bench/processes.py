"""Child processes of the benchmark: where Caffe is, with the BLAS choice that is wanted.

Where this Python has no Caffe they enter the private root by `environment/run`: the benchmark
itself may run on a Python that has PyTorch instead.
"""
from __future__ import annotations

import importlib.util
import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from layerwise.child import quote
from layerwise.errors import LayerwiseError

PROJECT = Path(__file__).resolve().parents[3]
BLAS_VARIABLES = ("OPENBLAS_CORETYPE", "OPENBLAS_NUM_THREADS", "OPENBLAS_L2_SIZE",
                  "GOTO_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")


def plain_environment() -> dict[str, str]:
    """This process's environment without any choice of BLAS kernel or threads.

    Debian's Caffe then chooses for itself, and so does the harness, which tests kernels first.
    """
    kept = {name: value for name, value in os.environ.items() if name not in BLAS_VARIABLES}
    return {**kept, "GLOG_minloglevel": "0", "GLOG_logtostderr": "1"}


def run_together(commands: Sequence[Sequence[str]], environment: Mapping[str, str], log: Path,
                 folder: Path | None = None) -> list[str]:
    """Standard output of commands that run at the same time; standard error goes to `log`.

    Raises LayerwiseError quoting the log when one of them fails; the others are ended.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as errors:
        children = [subprocess.Popen(command, env=dict(environment), cwd=folder, text=True,
                                     stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                     stderr=errors) for command in commands]
        try:
            outputs = [child.communicate()[0] for child in children]
        finally:
            for child in children:
                if child.poll() is None:
                    child.terminate()
                    child.wait()
    for command, child in zip(commands, children):
        if child.returncode != 0:
            raise LayerwiseError(f"{' '.join(command)} ended with {child.returncode}; "
                                 f"last lines of {log}: {quote(log)}")
    return outputs


def run(command: Sequence[str], environment: Mapping[str, str], log: Path,
        folder: Path | None = None) -> str:
    """Standard output of one command; errors as in `run_together`."""
    return run_together([command], environment, log, folder)[0]


def inside(*words: str) -> list[str]:
    """The words of a command where Caffe is."""
    here = importlib.util.find_spec("caffe") is not None
    return [*([] if here else [str(PROJECT / "environment" / "run")]), *words]


def layerwise(*arguments: str) -> list[str]:
    """The words of a command of the harness."""
    return inside("python3", "-m", "layerwise", *arguments)


def worker(verb: str, request: Mapping[str, Any]) -> list[str]:
    """The words of a measurement in `layerwise.bench.worker`, whose answer is JSON."""
    return inside("python3", "-m", "layerwise.bench.worker", verb, json.dumps(request))


def answer(output: str) -> Any:
    """The JSON that a worker printed last."""
    return json.loads(output.strip().splitlines()[-1])
