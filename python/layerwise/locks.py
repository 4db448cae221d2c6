"""One lock for folders that several commands may work in.

The lock is on a file in the folder, `.lock`, and stays there: a folder itself cannot be locked
across NFS, where a lock needs a file opened for writing. A child process that inherits the
descriptor holds the lock until it ends, even when its parent is killed (on a local disk; NFS locks
belong to the process).
"""
from __future__ import annotations

import errno
import fcntl
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

LOCK = ".lock"
WAIT_S = 0.2


@contextmanager
def hold(folder: Path, busy: Callable[[], None], shared: bool = False) -> Iterator[int]:
    """Hold a folder, made if missing; yields the descriptor of its lock.

    Args:
        busy: called every 0.2 s while another process holds the folder; may raise, to give up.
        shared: with others that hold it shared. A folder that may only be read is then held by
            nobody: who cannot write there is not in the way of those who can. Yields -1.
    """
    handle = _acquire(folder, busy, shared)
    try:
        yield handle
    finally:
        if handle >= 0:
            os.close(handle)


def wait_for(folder: Path, what: str = "another process that is using it") -> Callable[[], None]:
    """A `busy` that says once what is being waited for."""
    told: list[bool] = []

    def busy() -> None:
        if not told:
            print(f"{folder}: waiting for {what}", file=sys.stderr)
            told.append(True)
    return busy


def _acquire(folder: Path, busy: Callable[[], None], shared: bool) -> int:
    while True:
        if not shared:
            folder.mkdir(parents=True, exist_ok=True)
        try:
            handle = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o666)
        except FileNotFoundError:
            if shared or folder.exists():
                raise
            continue              # who held it has removed the folder meanwhile
        except OSError as error:
            if shared and error.errno in (errno.EACCES, errno.EROFS, errno.EPERM):
                return -1
            raise
        if _take(handle, busy, shared) and _is_there(folder, handle):
            return handle
        os.close(handle)


def _take(handle: int, busy: Callable[[], None], shared: bool) -> bool:
    """By asking again and again, because waiting for a lock cannot be stopped by a signal."""
    try:
        while True:
            try:
                fcntl.flock(handle, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
                return True
            except BlockingIOError:
                busy()
                time.sleep(WAIT_S)
    except BaseException:
        os.close(handle)
        raise


def _is_there(folder: Path, handle: int) -> bool:
    """Whether the file locked is still the folder's: it may have been removed and made anew."""
    try:
        return os.path.samestat(os.fstat(handle), (folder / LOCK).stat())
    except FileNotFoundError:
        return False
