"""All runs of a sweep on this machine, side by side."""
from __future__ import annotations

import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from layerwise import alexnet, machine
from layerwise.child import Children, Interrupted
from layerwise.contracts import write_bytes
from layerwise.errors import LayerwiseError
from layerwise.frozen import tail_of
from layerwise.handcrafted import HANDCRAFTED, evaluate_handcrafted
from layerwise.launch import OnEvent, evaluate_run
from layerwise.plan import Setting
from layerwise.runs import Run, locked


@dataclass(frozen=True)
class Outcome:
    """How one run of a sweep ended; `error` is empty when it is trained and scored."""

    run: Run
    error: str


def score_run(setting: Setting, run: Run, children: Children, on_event: OnEvent) -> Path:
    """Make the scores of one run, of whatever kind, training it first if need be; its folder.

    All ways of running a run meet here: the sweep on this machine, `evaluate`, and a job on Slurm.
    Raises Interrupted when asked to stop before it begins.
    """
    if children.stopping:
        raise Interrupted("stopped before it began")
    if run.init == HANDCRAFTED:
        return evaluate_handcrafted(setting, run)
    return evaluate_run(setting, run, tail_of(setting, run), children, on_event)


Work = Callable[[Setting, Run, Children, OnEvent], Path]


def told(error: Exception, log: Path) -> str:
    """Why a run failed, in one line; of what nobody foresaw the traceback is kept in `log`."""
    if isinstance(error, (LayerwiseError, OSError)):
        return str(error)
    lines = traceback.format_exception(type(error), error, error.__traceback__)
    write_bytes(log, "".join(lines).encode())
    return f"{type(error).__name__}: {error} (see {log})"


def memory_needed_bytes(batch_size: int) -> int:
    """Memory of one training.

    Each parameter is held four times (weights, gradient, momentum, and the message while a snapshot
    is written), and an image of the mini-batch has about 12 MB of activations.
    """
    return 4 * 4 * alexnet.parameters(classes=2) + 12_000_000 * batch_size


def jobs_that_fit(threads: int, batch_size: int) -> int:
    """How many trainings side by side the cores and the memory now available allow, at least 1."""
    return max(1, min(machine.cores() // threads,
                      machine.memory_bytes()[0] // memory_needed_bytes(batch_size)))


def sweep(setting: Setting, runs: Sequence[Run], jobs: int, children: Children,
          on_event: OnEvent, work: Work = score_run) -> list[Outcome]:
    """Train and score all runs in order, `jobs` at a time; a failed one does not stop the others.

    Args:
        work: what is done with each, its scores where nothing else is said.

    Raises Interrupted once all children have stopped, when asked to stop, and InputError when
    another sweep is at work on the same data set.
    """
    errors: dict[int, str] = {}
    with locked(setting.folder), ThreadPoolExecutor(max_workers=jobs) as pool:
        pending = {pool.submit(work, setting, run, children, on_event): place
                   for place, run in enumerate(runs)}
        for future in as_completed(pending):
            place = pending[future]
            try:
                future.result()
                errors[place] = ""
            except Interrupted:
                children.stop()
            except Exception as error:
                errors[place] = told(error, runs[place].folder(setting.runs) / "error.log")
                on_event(runs[place], {"ended": "failed"})
    if children.stopping:
        raise Interrupted("stopped on request; the same command resumes it")
    return [Outcome(run, errors[place]) for place, run in enumerate(runs)]
