"""All runs of a sweep, side by side."""
from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass

from layerwise import alexnet, machine
from layerwise.child import Children, Interrupted
from layerwise.depths import depth_named
from layerwise.errors import LayerwiseError
from layerwise.frozen import tail_of
from layerwise.launch import OnEvent, evaluate_run
from layerwise.plan import Setting
from layerwise.runs import Run


@dataclass(frozen=True)
class Outcome:
    """How one run of a sweep ended; `error` is empty when it is trained and scored."""

    run: Run
    error: str


def jobs_that_fit(threads: int, batch_size: int) -> int:
    """How many trainings side by side the cores and the memory available now allow, at least 1.

    A training holds each parameter four times (weights, gradient, momentum, and the message while
    a snapshot is written) and about 12 MB of activations per image of the mini-batch.
    """
    needed = 4 * 4 * alexnet.parameters(classes=2) + 12_000_000 * batch_size
    return max(1, min(machine.cores() // threads, machine.memory_bytes()[0] // needed))


def sweep(setting: Setting, runs: Sequence[Run], jobs: int, children: Children,
          on_event: OnEvent) -> list[Outcome]:
    """Train and score all runs, `jobs` at a time; a failed one does not stop the others.

    Deep runs go first: they take longest.

    Raises Interrupted once all children have stopped, when asked to stop.
    """
    order = sorted(runs, key=lambda run: len(depth_named(run.init).frozen))
    outcomes: dict[int, str] = {}
    with ThreadPoolExecutor(max_workers=jobs) as pool:
        pending = {pool.submit(evaluate_run, setting, run, tail_of(setting, run), children,
                               on_event): position for position, run in enumerate(order)}
        for future in as_completed(pending):
            try:
                future.result()
                outcomes[pending[future]] = ""
            except Interrupted:
                children.stop()
            except (LayerwiseError, OSError) as error:
                outcomes[pending[future]] = str(error)
    if children.stopping:
        raise Interrupted("stopped on request; the same command resumes it")
    return [Outcome(run, outcomes[position]) for position, run in enumerate(order)]
