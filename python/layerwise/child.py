"""Child processes that own Caffe: start, follow, stop, and quote when they die."""
from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from layerwise.errors import InputError, LayerwiseError

QUOTED_LINES = 6
FULL_DISK_BYTES = 16 << 20      # with less than this left a failed write is the likely cause
FULL_DISK = "disk full; free some space, then the same command goes on"
OUT_OF_MEMORY = "out of memory; use fewer --jobs, then the same command goes on"

# What a dying Caffe says: a full disk, no memory.
SIGNS: tuple[tuple[re.Pattern[str], type[LayerwiseError], str], ...] = (
    (re.compile(r"Check failed: proto\.SerializeToOstream"), InputError, FULL_DISK),
    (re.compile(r"host allocation of size|bad_alloc|thread_resource_error|Cannot allocate memory"
                r"|failed to map segment"), LayerwiseError, OUT_OF_MEMORY),
)


class Interrupted(LayerwiseError):
    """A child finished its iteration and stopped on request. Exit code 130."""

    exit_code = 130


class Children:
    """The live children of this process; `stop()` asks all of them to finish and stop."""

    def __init__(self) -> None:
        self._live: set[subprocess.Popen[str]] = set()
        self._lock = threading.RLock()   # re-entered by the signal handler
        self.stopping = False

    def stop(self) -> None:
        """Ask every child to stop after its iteration; later ones are not started."""
        with self._lock:
            self.stopping = True
            for child in self._live:
                child.send_signal(signal.SIGTERM)

    def run(self, arguments: Sequence[str], environment: Mapping[str, str], log: Path,
            on_event: Callable[[dict[str, Any]], None], folder: Path | None = None,
            lock: int | None = None) -> None:
        """Run `python3 -m layerwise.worker ARGUMENTS` to its end.

        Args:
            environment: added to this process's environment (BLAS kernel and threads).
            log: receives the child's standard error, Caffe's log; quoted when it dies.
            on_event: called with each event the child reports.
            folder: where it runs; paths in its solver are relative to that.
            lock: file descriptor that the child is to hold as long as it lives.

        Raises:
            Interrupted: after `stop()`.
            InputError, LayerwiseError: what the child reported, or how it died.
        """
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as errors:
            begin = errors.tell()
            with self._lock:
                if self.stopping:
                    raise Interrupted("stopped before it began")
                # A session of its own: Ctrl-C reaches the parent alone, which passes it on once.
                child = subprocess.Popen(
                    [sys.executable, "-m", "layerwise.worker", *arguments], text=True,
                    stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors, cwd=folder,
                    env={**os.environ, **environment, "PYTHONPATH": _python_path()},
                    start_new_session=True, pass_fds=() if lock is None else (lock,))
                self._live.add(child)
                if self.stopping:                # asked to while the child was being started
                    child.send_signal(signal.SIGTERM)
        last: dict[str, Any] = {}
        try:
            assert child.stdout is not None
            for line in child.stdout:
                if line.startswith("{"):         # the rest is what libraries have to say
                    last = json.loads(line)
                    on_event(last)
            code = child.wait()
        finally:
            if child.poll() is None:
                child.kill()
                child.wait()
            with self._lock:
                self._live.discard(child)
        if "error" in last:
            kind = InputError if last["exit_code"] == InputError.exit_code else LayerwiseError
            raise kind(last["error"])
        if last.get("ended") == "interrupted" or (self.stopping and code != 0):
            raise Interrupted("stopped on request; the same command resumes it")
        if code != 0:
            raise _death(code, log, begin)


def _death(code: int, log: Path, begin: int) -> LayerwiseError:
    """Why a child ended without a word of its own, as far as signal, disk and log tell."""
    if code == -signal.SIGKILL:
        return LayerwiseError(f"{log.parent}: Caffe was killed, most likely {OUT_OF_MEMORY}")
    if shutil.disk_usage(log.parent).free < FULL_DISK_BYTES:
        return InputError(f"{log.parent}: {FULL_DISK}")
    told = quote(log, begin)
    for sign, kind, advice in SIGNS:
        if sign.search(told):
            return kind(f"{log.parent}: {advice} ({told})")
    ended = signal.Signals(-code).name if code < 0 else f"exit code {code}"
    return LayerwiseError(f"Caffe ended with {ended}; last lines of {log}: {told}")


def _python_path() -> str:
    """This process's search path for modules, absolute: the child runs in another folder."""
    return os.pathsep.join(os.path.abspath(path) for path in sys.path if path)


def quote(log: Path, begin: int = 0) -> str:
    """The last telling lines of a Caffe log on one line, without stack traces."""
    with log.open("rb") as handle:
        handle.seek(begin)
        lines = handle.read().decode(errors="replace").splitlines()
    told = fatal_lines(lines) or [line for line in lines if line.strip()]
    return " | ".join(line.strip() for line in told[-QUOTED_LINES:]) or "(nothing)"


def fatal_lines(lines: Sequence[str]) -> list[str]:
    """The lines glog marks with F and the date; what follows them is the stack trace."""
    return [line for line in lines if line[:1] == "F" and line[1:5].isdigit()]
