"""Training of one network, inside the child process that owns Caffe.

The solver is stepped from here. Before every iteration but the first Caffe's random generator is
reseeded from the run's seed and the iteration, and the Data layer's place follows from the
iteration too. So what a solver state lacks is a function of the iteration: a run that was killed or
stopped resumes and ends bit-identical to one that was not (CPU, one thread).
"""
from __future__ import annotations

import csv
import math
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from layerwise import features, snapshot
from layerwise.contracts import LOG_COLUMNS, Record, atomic_text, read_table
from layerwise.device import use_device
from layerwise.errors import LayerwiseError
from layerwise.prepared import check_data
from layerwise.runs import (
    BEST,
    LOG,
    RESULT,
    STATE,
    TAIL_BEST,
    TAIL_DEPLOY,
    Run,
    Tail,
    clear_leftovers,
    read_json,
    read_tail,
    write_json,
)
from layerwise.score import auc, predict
from layerwise.solver import learning_rate, step_size
from layerwise.tasks import task_named
from layerwise.trainer import Trainer

SATURATED_LOSS = 87.0      # Caffe's loss cannot exceed -ln(FLT_MIN) = 87.3: the net has diverged
Event = Callable[[dict[str, Any]], None]


class Diverged(LayerwiseError):
    """The loss became NaN, infinite or saturated."""


@dataclass
class Progress:
    """What the state file holds beside Caffe's own two files."""

    iteration: int = 0
    best_auc: float = -math.inf
    best_iteration: int = 0
    stale: int = 0                 # validations since the best
    seconds: float = 0.0
    saved: int = 0                 # iteration of the state on disk


class Log:
    """log.csv: one line per iteration; validation_auc only where it was measured."""

    def __init__(self, path: Path, keep_until: int) -> None:
        """Open for appending, dropping lines past `keep_until` (an interrupted run's tail)."""
        lines = []
        if path.exists():
            lines = [line for line in _whole_lines(path) if int(line["iteration"]) <= keep_until]
        with atomic_text(path) as handle:
            writer = csv.DictWriter(handle, LOG_COLUMNS, lineterminator="\n")
            writer.writeheader()
            writer.writerows(lines)
        self._handle = path.open("a", newline="", encoding="utf-8")
        self._writer = csv.writer(self._handle, lineterminator="\n")

    def add(self, iteration: int, epoch: float, lr: float, loss: float | None,
            validation_auc: float | None, seconds: float) -> None:
        """Append one line."""
        self._writer.writerow([
            iteration, f"{epoch:.4f}", f"{lr:.9g}", "" if loss is None else f"{loss:.9g}",
            "" if validation_auc is None else f"{validation_auc:.9g}", f"{seconds:.3f}"])
        self._handle.flush()

    def sync(self) -> None:
        """Have all lines on the disk before a state vouches for them."""
        os.fsync(self._handle.fileno())

    def close(self) -> None:
        """Close the file."""
        self._handle.close()


def _whole_lines(path: Path) -> list[Record]:
    """Lines of a log; a last line cut short by a kill is dropped."""
    text = path.read_text(encoding="utf-8")
    if text and not text.endswith("\n"):
        with atomic_text(path) as handle:
            handle.write(text[:text.rfind("\n") + 1])
    return read_table(path, LOG_COLUMNS)[1]


class Stopped(Exception):
    """Asked to stop while waiting for another command."""


class StopRequest:
    """SIGINT or SIGTERM: finish the iteration, then stop."""

    def __init__(self) -> None:
        self.received = False
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._receive)

    def _receive(self, *_: Any) -> None:
        self.received = True

    def raise_if_received(self) -> None:
        """Raise Stopped."""
        if self.received:
            raise Stopped


def train(folder: Path, run: Run, source: Path | None, event: Event) -> str:
    """Train the run in `folder`, whose solver.prototxt and deploy.prototxt are written.

    Args:
        source: caffemodel to start from; None from scratch.
        event: receives {"iteration", "loss"} and {"iteration", "auc"} as they happen.

    Returns:
        Why it ended: `iterations`, `patience` or `interrupted`.

    Raises:
        Diverged: with advice; log.csv keeps the bad loss.
        InputError: the data were prepared anew meanwhile; the disk is full.
    """
    import caffe

    stop = StopRequest()
    use_device(run.gpu)
    tail = read_tail(folder)
    resumed = (folder / STATE).exists()
    trainer = Trainer(folder, source, tail is not None, resumed)
    progress = _restore(folder, run, trainer) if resumed else Progress()
    judge = trainer.judge(folder / (TAIL_DEPLOY if tail else "deploy.prototxt"))
    validation = Path(run.data) / f"validation-{run.fraction}" / "lmdb"
    rule = task_named(run.task).ranking
    step = step_size(run.train_images, run.batch_size)
    log = Log(folder / LOG, keep_until=progress.iteration or -1)
    started = time.monotonic() - progress.seconds

    def measure() -> float:
        if tail:
            labels, probabilities = features.predict(judge, tail.validation, tail.blob)
        else:
            labels, probabilities = predict(judge, validation, run.mean_bgr)
        check_data(run, stop.raise_if_received)
        told_apart = np.isfinite(probabilities).all() and np.ptp(probabilities, axis=0).any()
        return auc(labels, probabilities, rule) if told_apart else math.nan

    def record(loss: float | None, score: float | None) -> None:
        progress.seconds = time.monotonic() - started
        log.add(progress.iteration, progress.iteration / step,
                learning_rate(max(progress.iteration - 1, 0), step), loss, score, progress.seconds)
        event({"iteration": progress.iteration, "loss": loss, "auc": score})

    try:
        if progress.iteration == 0:
            record(None, measure())
        while progress.iteration < run.iterations:
            if run.patience and progress.stale >= run.patience:
                return _finish(folder, run, source, tail, progress, "patience")
            if stop.received:
                if progress.iteration > progress.saved:
                    _save(folder, trainer.solver, progress, log)
                return "interrupted"
            if progress.iteration:
                caffe.set_random_seed(_seed_at(run.seed, progress.iteration))
            loss = trainer.step()
            progress.iteration += 1
            due = (progress.iteration % run.evaluate_every == 0
                   or progress.iteration == run.iterations)
            score = measure() if due else None
            record(loss, score)
            if not loss < SATURATED_LOSS or (score is not None and math.isnan(score)):
                raise Diverged(
                    f"{folder}: diverged at iteration {progress.iteration} (loss {loss:g}). "
                    "Check the scale of the source weights and the mean, or lower the rates")
            if score is None:
                continue
            better = score > progress.best_auc
            if better:
                progress.best_auc, progress.best_iteration = score, progress.iteration
            progress.stale = 0 if better else progress.stale + 1
            _save(folder, trainer.solver, progress, log)
        return _finish(folder, run, source, tail, progress, "iterations")
    except Stopped:                # goes on from the last state saved
        return "interrupted"
    finally:
        log.close()


def _seed_at(seed: int, iteration: int) -> int:
    """A seed for Caffe (32 bits, not 0) that differs between neighbouring runs and iterations."""
    return (seed * 2_654_435_761 + iteration * 40_503 + 1) % (2 ** 31 - 1) + 1


def _save(folder: Path, solver: Any, progress: Progress, log: Log) -> None:
    """A snapshot, then the state file that makes it count, then the snapshot before it goes."""
    model = snapshot.take(folder, solver, progress.iteration)
    log.sync()
    progress.saved = progress.iteration
    write_json(folder / STATE, vars(progress))
    _keep_best(folder, model, progress)
    snapshot.remove(folder, but=progress.iteration)


def _keep_best(folder: Path, model: Path, progress: Progress) -> None:
    """The best weights follow from the state: a kill between the two is made good by resuming."""
    if progress.best_iteration == progress.iteration:
        snapshot.keep(model, folder / (TAIL_BEST if read_tail(folder) else BEST))


def _restore(folder: Path, run: Run, trainer: Trainer) -> Progress:
    """Load the saved state and move the Data layer's cursor to where it was."""
    progress = Progress(**read_json(folder / STATE))
    state = snapshot.state_file(folder, progress.iteration)
    if not state.exists():
        raise LayerwiseError(f"{state}: missing though {STATE} names it; delete the run folder")
    trainer.solver.restore(str(state))
    _keep_best(folder, state.with_suffix(".caffemodel"), progress)
    period = run.train_images // math.gcd(run.train_images, run.batch_size)
    for _ in range(progress.iteration % period):
        trainer.skip_batch()
    return progress


def _finish(folder: Path, run: Run, source: Path | None, tail: Tail | None, progress: Progress,
            reason: str) -> str:
    """Write result.json, which marks the run as trained and makes its state a leftover."""
    import caffe

    if tail:
        net = caffe.Net(str(folder / "deploy.prototxt"), caffe.TEST, weights=str(source))
        net.copy_from(str(folder / TAIL_BEST))
        snapshot.save_net(net, folder / BEST)
    write_json(folder / RESULT, {
        "ended_by": reason, "iterations": progress.iteration, "best_auc": progress.best_auc,
        "best_iteration": progress.best_iteration, "seconds": round(progress.seconds, 3),
        "validation_set": f"validation-{run.fraction}", "stored_prefix": tail and tail.blob,
        "caffe": caffe.__version__})
    clear_leftovers(folder)
    return reason
