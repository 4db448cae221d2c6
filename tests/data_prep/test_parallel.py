"""The ordered map over processes."""
from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence

import cv2
import numpy as np
import pytest

from data_prep import parallel
from data_prep.parallel import ordered_map
from layerwise.errors import InputError, LayerwiseError

ORPHANS = """
import time
from data_prep.parallel import ordered_map

def work(items):
    import os
    print(os.getpid(), flush=True)
    time.sleep(60 if 0 in items else 0)
    return items

list(ordered_map(work, list(range(4)), 2, 1, "work", "items"))
"""


def slow_first(items: Sequence[int]) -> list[tuple[int, int]]:
    time.sleep(0.05 if 0 in items else 0)
    return [(item * item, os.getpid()) for item in items]


def die(items: Sequence[int]) -> list[int]:
    if 5 in items:
        os.kill(os.getpid(), signal.SIGKILL)
    return list(items)


def refuse(items: Sequence[int]) -> list[int]:
    if 5 in items:
        raise InputError("item 5: no")
    return list(items)


@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize("batch", [1, 3, 50])
def test_results_come_in_order(jobs: int, batch: int) -> None:
    results = list(ordered_map(slow_first, list(range(20)), jobs, batch, "squares", "numbers"))
    assert [value for value, _ in results] == [i * i for i in range(20)]
    assert (os.getpid() in {pid for _, pid in results}) == (jobs == 1)


def letters(items: Sequence[int]) -> list[bytes]:
    return [bytes([65 + item % 26]) * (1 + item % 7) for item in items]


def mixed(items: Sequence[int]) -> list[object]:
    return [b"bytes" if item % 3 else item for item in items]


@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize("batch", [1, 3, 50])
def test_bytes_come_in_order_however_often_a_slot_is_used(jobs: int, batch: int) -> None:
    items = list(range(3 * parallel.AHEAD * batch + 1))
    results = list(ordered_map(letters, items, jobs, batch, "letters", "words"))
    assert results == letters(items)


def test_bytes_too_long_for_a_slot_and_other_results_come_all_the_same(
        monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel, "SLOT_BYTES", 16)
    items = list(range(100))       # batches of 5 words have 10 to 25 bytes
    assert list(ordered_map(letters, items, 2, 5, "letters", "words")) == letters(items)
    assert list(ordered_map(mixed, items, 2, 5, "mixed", "things")) == mixed(items)


def test_a_result_stays_what_it_was_when_its_slot_is_used_again() -> None:
    items = list(range(4 * parallel.AHEAD))
    stream = ordered_map(letters, items, 2, 1, "letters", "words")
    first = next(stream)
    assert [first, *stream] == letters(items) and isinstance(first, bytes)


def blur(items: Sequence[int]) -> list[float]:
    image = np.ones((600, 600), np.float32)
    return [float(cv2.GaussianBlur(image, (0, 0), 5).mean()) for _ in items]


def test_opencv_works_in_workers_after_it_used_threads_here() -> None:
    before = cv2.getNumThreads()
    here = blur([0, 1])
    assert list(ordered_map(blur, [0, 1, 2], 2, 1, "blur", "images")) == [*here, here[0]]
    assert cv2.getNumThreads() == before


def test_no_items() -> None:
    assert list(ordered_map(slow_first, [], 2, 4, "nothing", "numbers")) == []


def test_a_worker_that_dies_is_reported() -> None:
    with pytest.raises(LayerwiseError, match="numbers: a worker process died"):
        list(ordered_map(die, list(range(20)), 2, 1, "numbers", "numbers"))


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_worker_that_raises_raises_here(jobs: int) -> None:
    with pytest.raises(InputError, match="item 5: no"):
        list(ordered_map(refuse, list(range(20)), jobs, 1, "numbers", "numbers"))


def test_workers_do_not_outlive_a_killed_parent() -> None:
    with subprocess.Popen([sys.executable, "-c", ORPHANS], stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, text=True) as parent:
        assert parent.stdout is not None
        workers = {int(parent.stdout.readline()) for _ in range(2)}
        parent.kill()
        parent.wait()
        deadline = time.monotonic() + 30
        while any(map(is_running, workers)) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert not any(map(is_running, workers))


def is_running(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as handle:
            return handle.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False
