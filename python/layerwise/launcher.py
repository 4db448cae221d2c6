"""`sweep --launcher slurm`: its steps outside, where Slurm is, and inside, where Caffe is.

The command first starts itself inside, with a variable set that makes it check, prepare data and
weights, resolve the runs, and write all that down; then the jobs are submitted and followed
outside; at last the figures are drawn inside.
"""
from __future__ import annotations

import math
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from layerwise.cost import set_sizes, storing
from layerwise.entry import layerwise_words, python_words
from layerwise.errors import InputError
from layerwise.handover import (
    HANDOVER,
    HANDOVER_VARIABLE,
    Handover,
    read_handover,
    write_handover,
)
from layerwise.runs import is_trained
from layerwise.session import Wanted, make, order_by_cost
from layerwise.slurm import Requests, sweep_on_slurm
from layerwise.sweep import Outcome, memory_needed_bytes

JOB_OPTIONS = ("partition", "time", "memory_gb", "cpus", "gpus", "max_parallel", "slurm_option",
               "container")
DEFAULT_MINUTES = 24 * 60
MEMORY_SLACK_GB = 1.0      # Python, Caffe's libraries, pages of the LMDB


def settled(options: Mapping[str, Any], launcher: str) -> dict[str, Any]:
    """The options with the device that the runs train on.

    Raises InputError for an option that the launcher has no use for.
    """
    given = [f"--{name.replace('_', '-')}" for name in JOB_OPTIONS if options[name]]
    if launcher == "local" and given:
        raise InputError(f"{given[0]} is for --launcher slurm")
    if launcher == "slurm" and options["gpu"] is not None:
        raise InputError("--gpu names a GPU of this machine; ask Slurm for one by --gpus 1")
    return {**options, "gpu": 0 if options["gpus"] else options["gpu"]}


def is_inside() -> bool:
    """Whether this process was started to hand over, and not by the user."""
    return HANDOVER_VARIABLE in os.environ


def launch(arguments: Sequence[str], options: Mapping[str, Any]
           ) -> tuple[list[Outcome], Path, list[str]]:
    """The sweep that the command line `arguments` asks for, on Slurm.

    Returns:
        Outcomes; the folder of the data set's runs; the words that start Python where Caffe is.

    Exits with the code of the part inside when that fails or, on --dry-run, has printed the plan.
    Raises as `slurm.sweep_on_slurm`.
    """
    folders = [Path(options[name]) for name in ("data", "runs", "images", "weights", "mean")
               if options[name]]
    python = python_words(options["container"], folders, bool(options["gpus"]))
    with TemporaryDirectory() as folder:
        path = Path(folder) / HANDOVER
        inside = subprocess.run(layerwise_words(python, *arguments),
                                env={**os.environ, HANDOVER_VARIABLE: str(path)})
        if inside.returncode or not path.exists():
            sys.exit(inside.returncode)
        handover = read_handover(path)
    outcomes = sweep_on_slurm(handover, _requests(options, handover), python)
    return outcomes, handover.setting.folder, python


def hand_over(wanted: Wanted) -> None:
    """The part inside: make what the jobs need, and write down what they are to do."""
    setting, runs = make(wanted, trains_here=False)
    runs, costs, items = order_by_cost(
        runs, [run for run in runs if not is_trained(run.folder(setting.runs))],
        set_sizes(setting.prepared, runs), wanted.cache_bytes)
    write_handover(Path(os.environ[HANDOVER_VARIABLE]), Handover(
        setting, tuple(runs), tuple(costs), storing(items)))


def draw(folder: Path, python: Sequence[str]) -> None:
    """Draw the figures of a data set's runs, inside; exits with the code of that when it fails."""
    out = folder.parents[1] / "figures"
    done = subprocess.run(layerwise_words(python, "figures", str(folder), "--out", str(out)))
    if done.returncode:
        sys.exit(done.returncode)


def _requests(options: Mapping[str, Any], handover: Handover) -> Requests:
    memory = max((memory_needed_bytes(run.batch_size) for run in handover.runs), default=0)
    return Requests(
        options["partition"], options["time"] or DEFAULT_MINUTES,
        options["memory_gb"] or math.ceil(memory / 1e9 + MEMORY_SLACK_GB),
        options["cpus"] or handover.setting.threads, options["gpus"] or 0,
        options["max_parallel"], dict(options["slurm_option"]))
