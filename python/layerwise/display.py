"""One progress display for a whole sweep: work done, and the time left by the cost model.

Frozen layers, training, validation and scoring count by what they cost, so a sweep that begins with
its long runs does not look finished early, nor one that begins with fc8 nearly so.
"""
from __future__ import annotations

import csv
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tqdm import tqdm

from layerwise.cost import Cost, makespan
from layerwise.plan import Key, key_of, title_of
from layerwise.runs import LOG, Run, is_scored, is_trained

PLAIN_EVERY_S = 60.0      # between the lines that say how far it is, where there is no terminal
TOLD_FROM = 0.02          # of all work: before, Caffe's start weighs more than the work does
BAR = "{desc} {percentage:3.0f}%|{bar}| {elapsed}{postfix}"


def work_done(folder: Path, cost: Cost) -> float:
    """Work that a run's folder shows as done; of one that is being scored only the training."""
    if is_scored(folder):
        return cost.total
    if is_trained(folder):
        return cost.training
    try:
        with (folder / LOG).open(newline="", encoding="utf-8") as handle:
            lines = [row["iteration"] for row in csv.DictReader(handle)]
    except (OSError, KeyError):
        return 0.0
    return cost.trained(int(lines[-1])) if lines and (lines[-1] or "").isdigit() else 0.0


class TimeLeft:
    """Work left of some jobs on equal workers, and how long it will take at the speed seen so far.

    Not safe for threads.
    """

    def __init__(self, left: Mapping[Any, float], shared: float, workers: int,
                 clock: Callable[[], float] = time.monotonic) -> None:
        """`shared` is work that all jobs wait for and all workers do together."""
        self.left, self.shared, self.workers = dict(left), shared, workers
        self.total = shared + sum(left.values())
        self._spent, self._busy_seconds = 0.0, 0.0
        self._clock, self._last = clock, clock()

    def set(self, job: Any, left: float) -> None:
        """Work was done on a job, or turned out to be more than was thought."""
        self._pass_time()
        self._spent += max(0.0, self.left[job] - left)
        self.left[job] = left

    def set_shared(self, left: float) -> None:
        """Shared work was done."""
        self._pass_time()
        self._spent += max(0.0, self.shared - left)
        self.shared = left

    def drop(self, job: Any, left: float = 0.0) -> None:
        """Some of a job's work will not be done: it failed, or ended early."""
        self._pass_time()
        self.left[job] = min(left, self.left[job])

    @property
    def fraction(self) -> float:
        """Work that is done or dropped, 0..1."""
        return 1 - (self.shared + sum(self.left.values())) / self.total if self.total else 1.0

    def seconds(self) -> float | None:
        """Time left; None before enough work was seen."""
        if self._spent <= TOLD_FROM * self.total or not self._busy_seconds:
            return None
        jobs = sorted(self.left.values(), reverse=True)
        work = self.shared / self.workers + (makespan(jobs, self.workers) if jobs else 0.0)
        return work * self._busy_seconds / self._spent

    def _pass_time(self) -> None:
        now = self._clock()
        unfinished = sum(left > 0 for left in self.left.values())
        self._busy_seconds += (now - self._last) * (
            self.workers if self.shared else min(self.workers, max(1, unfinished)))
        self._last = now


class Display:
    """A bar on a terminal, else a line for each validation and each minute. Safe for threads."""

    def __init__(self, title: str, runs: Mapping[Key, tuple[Cost, float]], shared: float,
                 workers: int) -> None:
        """
        Args:
            runs: cost of each unfinished run, and the work on it that is done already.
            shared: work on the frozen layers.
            workers: runs side by side.
        """
        self._costs = {key: cost for key, (cost, _) in runs.items()}
        self._time = TimeLeft({key: cost.total - done for key, (cost, done) in runs.items()},
                              shared, workers)
        self._shared_total = shared
        self._lock = threading.Lock()
        self._title, self._stage = title, ""
        self._bar = tqdm(total=1.0, desc=title, bar_format=BAR, dynamic_ncols=True) \
            if sys.stderr.isatty() else None
        self._last_line = time.monotonic()

    def stored(self, done: int, total: int) -> None:
        """`done` more of `total` patches have gone through the frozen layers."""
        with self._lock:
            self._stage = "frozen layers, "
            self._time.set_shared(max(0.0, self._time.shared - self._shared_total * done / total))
            self._show()

    def stored_all(self) -> None:
        """Nothing is left to store; what was stored before counts as neither done nor left."""
        with self._lock:
            self._time.total -= self._time.shared
            self._time.shared, self._stage = 0.0, ""
            self._show()

    def on_event(self, run: Run, event: Mapping[str, Any]) -> None:
        """Take in what a run's child reports, and print each validation."""
        key = key_of(run)
        if key not in self._costs:
            return
        cost, scoring = self._costs[key], self._costs[key].total - self._costs[key].training
        with self._lock:
            if "iteration" in event:
                self._time.set(key, cost.total - cost.trained(event["iteration"]))
            elif "patches" in event:
                self._time.set(key, max(0.0, self._time.left[key] - cost.patch * event["patches"]))
            elif event.get("ended") in ("iterations", "patience"):
                self._time.drop(key, scoring)
            elif event.get("ended") in ("scored", "failed"):
                self._time.drop(key)
            if event.get("auc") is not None:
                self._write(f"{title_of(run):32s} iteration {event['iteration']:5d}  "
                            f"validation AUC {event['auc']:.4f}")
            else:
                self._show()

    def at(self, key: Key, done: float) -> None:
        """The work done on a run, as its folder shows it."""
        with self._lock:
            self._time.set(key, self._costs[key].total - done)

    def show(self, stage: str, workers: int) -> None:
        """Say what is going on, and how many runs are side by side."""
        with self._lock:
            self._stage = f"{stage}, " if stage else ""
            self._time.workers = max(1, workers)
            self._show()

    def say(self, line: str) -> None:
        """Print a line."""
        with self._lock:
            self._write(line)

    def close(self) -> None:
        """End the display."""
        if self._bar is not None:
            self._bar.close()

    def _state(self) -> str:
        seconds = self._time.seconds()
        left = "unknown" if seconds is None else tqdm.format_interval(seconds)
        return f"{self._stage}time left {left}"

    def _write(self, line: str) -> None:
        if self._bar is None:
            print(f"{line}  ({100 * self._time.fraction:.0f}%, {self._state()})", flush=True)
            self._last_line = time.monotonic()
        else:
            self._bar.write(line)
            self._show()

    def _show(self) -> None:
        if self._bar is not None:
            self._bar.set_postfix_str(self._state(), refresh=False)
            self._bar.update(max(0.0, self._time.fraction - self._bar.n))
        elif time.monotonic() - self._last_line >= PLAIN_EVERY_S:
            self._last_line = time.monotonic()
            print(f"{self._title}: {100 * self._time.fraction:.0f}%, {self._state()}", flush=True)
