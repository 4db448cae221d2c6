"""An ordered map over worker processes with a progress bar."""
from __future__ import annotations

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
from typing import TypeVar

import cv2
from tqdm import tqdm

from layerwise.errors import LayerwiseError

Item = TypeVar("Item")
Result = TypeVar("Result")
AHEAD_PER_JOB = 2  # batches in flight; bounds the memory that finished results take


def _start_worker(parent: int) -> None:
    # Ctrl-C is for the parent, which stops the workers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_outlive_no_parent, args=(parent,), daemon=True).start()


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


def ordered_map(function: Callable[[Sequence[Item]], list[Result]], items: Sequence[Item],
                jobs: int, batch: int, title: str, unit: str) -> Generator[Result, None, None]:
    """Results of `function` on batches of `items`, flattened, in the order of the items.

    `function` gets a list of items and returns as many results. With one job everything happens
    in this process. A worker that dies is a LayerwiseError, one that raises raises here.
    """
    batches = [items[start:start + batch] for start in range(0, len(items), batch)]
    with tqdm(total=len(items), desc=title, unit=f" {unit}") as bar, _single_threaded_opencv():
        if jobs == 1:
            for part in batches:
                results = function(part)
                bar.update(len(part))
                yield from results
            return
        executor = ProcessPoolExecutor(jobs, multiprocessing.get_context("fork"),
                                       _start_worker, (os.getpid(),))
        try:
            running: deque[Future[list[Result]]] = deque()
            waiting = iter(batches)
            for part in waiting:
                running.append(executor.submit(function, part))
                if len(running) >= jobs * AHEAD_PER_JOB:
                    break
            while running:
                results = running.popleft().result()
                following = next(waiting, None)
                if following is not None:
                    running.append(executor.submit(function, following))
                bar.update(len(results))
                yield from results
        except BrokenProcessPool:
            raise LayerwiseError(f"{title}: a worker process died, most likely out of memory; "
                                 "try again with fewer jobs") from None
        finally:
            executor.shutdown(wait=True, cancel_futures=True)
