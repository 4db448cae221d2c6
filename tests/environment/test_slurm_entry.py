"""environment/run hands a sweep with the Slurm launcher to environment/slurm, and nothing else."""
from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture()
def run(project: Path, tmp_path: Path) -> Path:
    """A copy of environment/run beside an environment/slurm that shows its arguments."""
    folder = tmp_path / "environment"
    folder.mkdir()
    shutil.copy(project / "environment" / "run", folder)
    (folder / "slurm").write_text('#!/bin/sh\nprintf "outside:%s\\n" "$*"\n')
    (folder / "slurm").chmod(0o755)
    return folder / "run"


@pytest.mark.parametrize("arguments, outside", [
    (["layerwise", "sweep", "polyp", "--launcher", "slurm", "--dry-run"], True),
    (["layerwise", "sweep", "--launcher=slurm", "polyp"], True),
    (["layerwise", "sweep", "polyp", "--launcher", "local"], False),
    (["layerwise", "sweep", "polyp", "--partition", "slurm"], False),
    (["python3", "-m", "layerwise", "sweep", "polyp", "--launcher", "slurm"], False),
])
def test_the_slurm_launcher_starts_outside(run: Path, tmp_path: Path, arguments: list[str],
                                           outside: bool) -> None:
    """Where it is not outside, a `python3` of the test's takes the place of the one with Caffe."""
    python = tmp_path / "python3"
    python.write_text('#!/bin/sh\n[ "$1" = -c ] || printf "inside:%s\\n" "$*"\n')
    python.chmod(0o755)
    done = subprocess.run([str(run), *arguments], capture_output=True, text=True,
                          env={"PATH": f"{tmp_path}:/usr/bin:/bin"})
    assert done.returncode == 0, done.stderr
    expected = "outside:" + " ".join(arguments[1:]) if outside else "inside:-m layerwise sweep"
    assert done.stdout.startswith(expected)


def test_the_launcher_needs_nothing_that_its_environment_lacks(project: Path) -> None:
    """Outside there are click, numpy, tqdm and submitit only: see slurm-requirements.txt."""
    program = """
import sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("cv2", "scipy", "h5py", "caffe", "lmdb", "sklearn", "matplotlib",
                                  "google", "skimage", "pydicom", "nibabel"):
            raise ImportError(f"{name} is not there")
sys.meta_path.insert(0, Blocked())
import layerwise.cli, layerwise.launcher, layerwise.sweep, layerwise.forecast
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True,
                          cwd=project, env={**os.environ, "PYTHONPATH": "python:."})
    assert done.returncode == 0, done.stderr.splitlines()[-1:]
