"""What submitit runs on a node: a command, which may be stopped, saved and queued again.

Of layerwise this imports nothing, because it runs in the launcher's Python, where no Caffe is.
"""
from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Sequence
from typing import Any

POLL_S = 0.5
SAVE_S = 75.0          # submitit has the job told 90 s before its time is up
EARLY_S = 240.0        # the same with what Slurm (a minute) and a slow start may add


class Job:
    """Runs `command` to its end. What came of it, the command says in a file of its own.

    Its last argument is how often the job has used up its time before.
    """

    def __init__(self, command: Sequence[str], limit_s: float, timeouts: int = 0) -> None:
        self.command, self.limit_s, self.timeouts = list(command), limit_s, timeouts

    def __call__(self) -> int:
        """The command's exit code."""
        self._started = time.monotonic()
        # Popen.wait() would hold a lock that the signal's handler below needs.
        self._child = subprocess.Popen([*self.command, str(self.timeouts)], preexec_fn=_be_deaf)
        while self._child.poll() is None:
            time.sleep(POLL_S)
        return self._child.returncode

    def checkpoint(self) -> Any:
        """Called by submitit when the time is up or the job is preempted: the same job, again."""
        from submitit.helpers import DelayedSubmission

        timed_out = time.monotonic() - self._started > self.limit_s - EARLY_S
        self._child.terminate()        # it finishes its iteration and saves
        end = time.monotonic() + SAVE_S
        while time.monotonic() < end and _is_running(self._child.pid):
            time.sleep(POLL_S)
        return DelayedSubmission(Job(self.command, self.limit_s, self.timeouts + timed_out))

    def __getstate__(self) -> dict[str, Any]:
        return {"command": self.command, "limit_s": self.limit_s, "timeouts": self.timeouts}


def _be_deaf() -> None:
    """Ignore submitit's signal: Slurm sends it to every process of a job, which it would end."""
    signal.signal(signal.SIGUSR2, signal.SIG_IGN)


def _is_running(pid: int) -> bool:
    """Whether a child still runs; leaves it to be waited for."""
    try:
        return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None
    except ChildProcessError:          # it has been
        return False
