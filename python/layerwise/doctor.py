"""What this machine offers, for `layerwise doctor`: each row is a name and what was found."""
from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from layerwise import __version__, machine
from layerwise.blas import choose, read_processor
from layerwise.device import gpu_problem
from layerwise.errors import InputError, LayerwiseError
from layerwise.machine import GIB
from layerwise.tasks import OWN, TASKS
from layerwise.weights import BVLC_ALEXNET, find_source


def report(data: Path) -> list[tuple[str, str]]:
    """Rows of name and finding; `data` is the data folder. Changes nothing in it."""
    rows = [("layerwise", __version__), ("Caffe", _caffe())]
    if not rows[-1][1].startswith("none"):
        rows += [("GPU", _gpu()), *_blas()]
    return [*rows,
            ("processor", f"{read_processor().model or 'unknown'}, {machine.cores()} cores"),
            ("memory", _memory()),
            ("disk", _disk(data)),
            ("source weights", _weights(data)),
            ("tasks", ", ".join([*TASKS, OWN.name]))]


def _caffe() -> str:
    """Version of pycaffe; in a child, because a broken build may end the process."""
    child = subprocess.run(
        [sys.executable, "-c", "import caffe; print(caffe.__version__, caffe.__file__)"],
        capture_output=True, text=True)
    if child.returncode != 0:
        last = child.stderr.strip().splitlines()[-1:] or [f"exit code {child.returncode}"]
        return f"none: {last[0]}"
    version, _, path = child.stdout.strip().partition(" ")
    return f"{version}, {_package() or Path(path).parent}"


def _package() -> str | None:
    """Debian's version of the package, which names the git revision; None where Debian's is not."""
    try:
        return subprocess.run(
            ["dpkg-query", "-W", "-f", "${Package} ${Version}", "python3-caffe"], check=True,
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout.strip() or None
    except (OSError, subprocess.CalledProcessError):
        return None


def _gpu() -> str:
    problem = gpu_problem(0)
    return f"no: {problem}" if problem else "yes: --gpu 0 works"


def _blas() -> list[tuple[str, str]]:
    """The choice for one thread (what training takes unless told) and for all cores."""
    rows: list[tuple[str, str]] = []
    for threads in sorted({1, machine.cores()}):
        try:
            choice = choose(threads, afresh=True)
        except LayerwiseError as error:
            return [*rows, ("BLAS", str(error))]
        if not rows:
            rows.append(("BLAS", choice.library))
            rows += [("kernel rejected", text) for text in choice.rejected]
            rows.append(("kernel", (choice.kernel or "the library's own choice")
                         + (", checked against float64" if choice.checked else "")))
        speed = f"{choice.gflops} GFLOP/s" if choice.gflops else "unknown"
        rows.append((f"speed, {threads} thread" + "s" * (threads > 1), speed))
    return rows


def _memory() -> str:
    available, total = machine.memory_bytes()
    return f"{available / GIB:.1f} GiB available of {total / GIB:.1f} GiB"


def _disk(data: Path) -> str:
    """Free space where `data` is or will be."""
    folder = data.resolve()
    while not folder.exists():
        folder = folder.parent
    return f"{shutil.disk_usage(folder).free / GIB:.1f} GiB free at {data}"


def _weights(data: Path) -> str:
    """bvlc_alexnet when it is in `data`, else the stand-in."""
    path = data / BVLC_ALEXNET
    if path.exists():
        try:
            return f"{find_source(None, data).path}, SHA-1 as published"
        except InputError as error:
            return str(error)
    from layerwise.standin import STANDIN_FILE

    instead = (f"the stand-in {STANDIN_FILE.name} will be used" if STANDIN_FILE.is_file()
               else "no stand-in either; give --weights")
    return f"{path} not found; {instead}"
