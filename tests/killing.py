"""Commands in processes of their own, killed by SIGKILL with all their workers.

The processes are forked: what they import is imported already, and a test may patch it.
"""
from __future__ import annotations

import ctypes
import faulthandler
import io
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Optional, TextIO

import numpy as np

from layerwise.errors import LayerwiseError

LIMIT_S = 120.0
PR_SET_CHILD_SUBREAPER = 36
MOVES = ("os.rename", "os.link", "os.remove", "os.mkdir", "os.rmdir")


class Command:
    """A function that runs in a forked process, the head of a process group."""

    def __init__(self, action: Callable[[], Any]) -> None:
        # Orphans become children of this process, which can wait for them.
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)
        read, write = os.pipe()
        self.started = time.monotonic()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(read)
            _become(action, write)
        os.close(write)
        _head_group(self.pid)
        self._told = os.fdopen(read)

    def kill(self) -> bool:
        """Kill it and all its workers at once; whether it was still running."""
        os.killpg(self.pid, signal.SIGKILL)
        _, status = os.waitpid(self.pid, 0)
        self.outlive()
        self._told.close()
        return os.WIFSIGNALED(status)

    def kill_head(self) -> None:
        """Kill it alone; `outlive` then waits for its workers."""
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)

    def outlive(self, limit_s: float = LIMIT_S) -> None:
        """Wait until none of the group is left; an assertion says that one stays alive."""
        deadline = time.monotonic() + limit_s
        while time.monotonic() < deadline:
            try:
                if os.waitpid(-self.pid, os.WNOHANG)[0] == 0:
                    time.sleep(0.01)
            except ChildProcessError:
                return
        raise AssertionError("a worker outlives its parent")

    def end(self) -> tuple[int, str]:
        """Wait for it; exit code and message: (0, "") when it did what it should."""
        with self._told:
            told = self._told.read()
        _, status = os.waitpid(self.pid, 0)
        self.outlive()
        if os.WIFSIGNALED(status):
            return -os.WTERMSIG(status), told
        return os.WEXITSTATUS(status), told


def _head_group(pid: int) -> None:
    """Called on both sides of the fork: whoever comes first."""
    with suppress(PermissionError, ProcessLookupError):
        os.setpgid(pid, pid)


def _writer(number: int) -> TextIO:
    return os.fdopen(number, "w", closefd=False)


def _become(action: Callable[[], Any], write: int) -> None:
    """The rest of a forked process's life."""
    code = 70
    try:
        _head_group(os.getpid())
        sink = os.open(os.devnull, os.O_RDWR)
        for number in (1, 2):
            os.dup2(sink, number)
        sys.stdout, sys.stderr = _writer(1), _writer(2)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        try:
            action()
            code = 0
        except LayerwiseError as error:
            code = error.exit_code
            os.write(write, str(error).encode())
        except BaseException as error:
            os.write(write, repr(error).encode())
    finally:
        os._exit(code)


def run(action: Callable[[], Any]) -> float:
    """Run a command to its end, which has to be a good one; seconds it took."""
    command = Command(action)
    code, told = command.end()
    if code or told:
        raise AssertionError(f"ended with {code}: {told}")
    return time.monotonic() - command.started


def killed_after(action: Callable[[], Any], seconds: float) -> bool:
    """Kill a command so long after its start; False when it was faster."""
    command = Command(action)
    while time.monotonic() < command.started + seconds:
        time.sleep(0.004)
    return command.kill()


def kill_at_instants(action: Callable[[Path], Any], root: Path, length: float, count: int,
                     seed: int, look: Callable[[Path], None]) -> list[Path]:
    """Kill `count` commands, at seeded instants spread over their whole course, and repeat each.

    Args:
        action: the command; its argument is a folder of its own below `root`.
        length: seconds of its course, measured before.
        look: looks at what a killed command has left.

    Returns:
        The folders, each finished by the same command.
    """
    rng = np.random.default_rng(seed)
    folders = []
    for trial in range(count):
        instant = (trial + rng.random()) / count * length
        for attempt in range(20):
            folder = root / f"{trial}-{attempt}"
            if killed_after(partial(action, folder), instant):
                break
            instant *= 0.8                 # it was faster than the one that was measured
        else:
            raise AssertionError("never killed")
        look(folder)
        run(partial(action, folder))
        folders.append(folder)
    return folders


def at_event(number: int, then: Callable[[], Any], events: tuple[str, ...] = MOVES,
             name: str = "") -> None:
    """From now on in this process: call `then` just before it moves, links or removes a file.

    Args:
        number: at which of these events, from 1; at each for 0.
        events: which kinds count.
        name: only those whose last path ends like this.
    """
    seen = 0

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal seen
        paths = [os.fspath(each) for each in arguments if isinstance(each, (str, Path))]
        if event in events and paths and paths[-1].endswith(name):
            seen += 1
            if number in (0, seen):
                then()
    sys.addaudithook(hook)


def die() -> None:
    """SIGKILL to this process."""
    os.kill(os.getpid(), signal.SIGKILL)


def forked_workers(prepare: Optional[Callable[[list[str]], None]] = None) -> SimpleNamespace:
    """Stands in for the module `subprocess` in `layerwise.child`.

    Args:
        prepare: called in each worker with its arguments before it begins.
    """
    return SimpleNamespace(PIPE=None, DEVNULL=None, Popen=lambda arguments, **options: ForkedWorker(
        prepare, arguments, **options))


class ForkedWorker:
    """Stands in for subprocess.Popen of `layerwise.worker`: a fork, with all that is imported."""

    def __init__(self, prepare: Optional[Callable[[list[str]], None]], arguments: list[str],
                 stderr: io.BufferedWriter, cwd: Any, **_: Any) -> None:
        from layerwise import worker

        read, write = os.pipe()
        self.returncode: Optional[int] = None
        self.pid = os.fork()
        if self.pid == 0:
            code = 70
            try:
                faulthandler.disable()
                os.close(read)
                os.dup2(write, 1)
                os.dup2(stderr.fileno(), 2)
                os.close(write)
                sys.stdout, sys.stderr = _writer(1), _writer(2)
                if cwd is not None:
                    os.chdir(cwd)
                if prepare is not None:
                    prepare(arguments[3:])
                code = worker.main(arguments[3:])
            except BaseException:
                code = 1
                traceback.print_exc()
            finally:
                sys.stderr.flush()
                os._exit(code)
        os.close(write)
        self.stdout = os.fdopen(read)

    def poll(self) -> Optional[int]:
        """The exit code, as subprocess has it; None while it runs."""
        return self._reap(os.WNOHANG)

    def wait(self) -> int:
        """The exit code at its end."""
        code = self._reap(0)
        assert code is not None
        return code

    def send_signal(self, number: int) -> None:
        """Send a signal while it runs."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """SIGKILL."""
        self.send_signal(signal.SIGKILL)

    def _reap(self, options: int) -> Optional[int]:
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, options)
            if pid:
                self.returncode = -os.WTERMSIG(status) if os.WIFSIGNALED(status) \
                    else os.WEXITSTATUS(status)
                self.stdout.close()
        return self.returncode
