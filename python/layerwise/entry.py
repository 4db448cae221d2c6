"""How a command enters the place where Caffe is, from one where it need not be.

Slurm's commands belong to the machine, Caffe to the private Debian 11 root or to a container: so
the launcher stays outside, and both its own steps and the jobs go in by these words.
"""
from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from layerwise.errors import InputError

ENTRY_VARIABLE = "LAYERWISE_ENTRY"         # set by environment/slurm: the path of environment/run
RUNTIMES = ("apptainer", "singularity")


def python_words(container: str | None, folders: Iterable[Path], gpu: bool) -> list[str]:
    """The words that start Python where Caffe is; what follows are Python's arguments.

    Args:
        container: image for Apptainer or Singularity that has Caffe and layerwise.
        folders: what has to be seen inside; those that are not there yet, by their parents.

    Raises InputError when there is no container runtime.
    """
    if container:
        return [*_container_words(container, folders, gpu), "python3"]
    entry = os.environ.get(ENTRY_VARIABLE)
    return [entry, "python3"] if entry else [sys.executable]


def _container_words(image: str, folders: Iterable[Path], gpu: bool) -> list[str]:
    runtime = next(filter(None, map(shutil.which, RUNTIMES)), None)
    if runtime is None:
        raise InputError(f"--container {image}: neither {' nor '.join(RUNTIMES)} is on this "
                         "machine's path")
    binds = dict.fromkeys(str(_existing(folder)) for folder in (*folders, Path()))
    # The image has a PYTHONPATH of its own, which that of this machine would replace.
    return ["env", "-u", "PYTHONPATH", runtime, "exec", *(("--nv",) if gpu else ()),
            *(word for folder in binds for word in ("--bind", folder)), image]


def _existing(folder: Path) -> Path:
    folder = folder.resolve()
    return folder if folder.exists() else _existing(folder.parent)


def layerwise_words(python: Sequence[str], *arguments: str) -> list[str]:
    """The words that start the command line there."""
    return [*python, "-m", "layerwise", *arguments]
