"""An ordered map over worker processes with a progress bar."""
from __future__ import annotations

import contextlib
import ctypes
import itertools
import mmap
import multiprocessing
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import cv2
from tqdm import tqdm

from layerwise.errors import LayerwiseError

Item = TypeVar("Item")
Result = TypeVar("Result")
# Batches in flight, which bounds the memory that finished results take: enough that the workers
# have something to do while the consumer writes a window of patches.
AHEAD_PER_JOB, AHEAD = 2, 16
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3   # malloc.h
SLOT_BYTES = 8 << 20   # shared memory of a batch in flight; taken from the system only when used

# In a worker only, and set once as it starts: the memory that it shares with its parent.
_shared: mmap.mmap


@dataclass(frozen=True)
class _InSlot:
    """Results of a batch, all of them bytes, that lie in its slot: the length of each."""

    lengths: tuple[int, ...]


def _start_worker(parent: int, shared: mmap.mmap) -> None:
    global _shared
    _shared = shared
    # Ctrl-C is for the parent, which stops the workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_outlive_no_parent, args=(parent,), daemon=True).start()
    _keep_freed_memory()


def _keep_freed_memory() -> None:
    # glibc gives the memory of every batch back to the system, which maps and clears it anew for
    # the next one: a fifth of the time of cutting a patch. Other C libraries do as they do.
    with contextlib.suppress(AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(M_MMAP_THRESHOLD, 32 << 20)   # the largest that it takes
        mallopt(M_TRIM_THRESHOLD, 128 << 20)


def _outlive_no_parent(parent: int) -> None:
    # A worker waiting for work does not notice on its own that its parent was killed.
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


@contextmanager
def _single_threaded_opencv() -> Iterator[None]:
    """One thread, as there are as many processes as wanted.

    To be set before the workers are forked: OpenCV's threads do not survive in a child, where even
    the call that stops them would wait for ever.
    """
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(threads)


def _work(function: Callable[[Sequence[Item]], list[Result]], part: Sequence[Item], begin: int
          ) -> list[Result] | _InSlot:
    """In a worker: the results of a batch, in its slot if they are bytes and fit."""
    results = function(part)
    parts = [result for result in results if isinstance(result, bytes)]
    lengths = tuple(map(len, parts))
    if not results or len(parts) < len(results) or sum(lengths) > SLOT_BYTES:
        return results
    for one, length in zip(parts, lengths):
        _shared[begin:begin + length] = one
        begin += length
    return _InSlot(lengths)


def _taken(shared: mmap.mmap, returned: Any, begin: int) -> Any:
    """The results of a batch, copied out of its slot if they lie there."""
    if not isinstance(returned, _InSlot):
        return returned
    ends = list(itertools.accumulate((begin, *returned.lengths)))
    return [shared[start:end] for start, end in zip(ends, ends[1:])]


def one_by_one(function: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    """Makes a function of one item one of a batch, as `ordered_map` wants it."""
    return [function(item) for item in items]


def ordered_map(function: Callable[[Sequence[Item]], list[Result]], items: Sequence[Item],
                jobs: int, batch: int, title: str, unit: str) -> Generator[Result, None, None]:
    """Results of `function` on batches of `items`, flattened, in the order of the items.

    `function` gets a list of items and returns as many results. With one job everything happens
    in this process. Results that are bytes, up to SLOT_BYTES a batch, come through shared memory,
    which costs a fraction of pickling them through a pipe. A worker that dies is a
    LayerwiseError, one that raises raises here.
    """
    batches = [items[start:start + batch] for start in range(0, len(items), batch)]
    with tqdm(total=len(items), desc=title, unit=f" {unit}") as bar, _single_threaded_opencv():
        if jobs == 1 or not batches:
            for part in batches:
                results = function(part)
                bar.update(len(part))
                yield from results
            return
        ahead = min(len(batches), max(AHEAD, jobs * AHEAD_PER_JOB))
        # Anonymous, because /dev/shm may be small (64 MB in a Docker container).
        with mmap.mmap(-1, ahead * SLOT_BYTES) as shared:
            executor = ProcessPoolExecutor(jobs, multiprocessing.get_context("fork"),
                                           _start_worker, (os.getpid(), shared))

            def submit(number: int) -> Future[Any]:
                return executor.submit(_work, function, batches[number],
                                       number % ahead * SLOT_BYTES)

            try:
                running = deque(submit(number) for number in range(ahead))
                for number in range(len(batches)):
                    returned = running.popleft().result()
                    results = _taken(shared, returned, number % ahead * SLOT_BYTES)
                    if number + ahead < len(batches):     # into the slot that is free now
                        running.append(submit(number + ahead))
                    bar.update(len(results))
                    yield from results
            except BrokenProcessPool:
                raise LayerwiseError(f"{title}: a worker process died, most likely out of memory; "
                                     "try again with fewer jobs") from None
            finally:
                executor.shutdown(wait=True, cancel_futures=True)
