"""A disk that becomes full, for a process and its children."""
from __future__ import annotations

import ctypes
import os
import resource
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Optional

from killing import Command, run

DISK_BYTES = 4 << 20
FILE_BYTES = 4096          # enough for the lines of a log
CLONE_NEWNS, CLONE_NEWUSER = 0x20000, 0x10000000
MS_REC, MS_PRIVATE = 0x4000, 0x40000


def mount(folder: Path, size_bytes: int) -> None:
    """Mount a file system in memory on an empty folder, in a mount namespace of this process's own.

    Raises OSError where that is not allowed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    uid, gid = os.getuid(), os.getgid()
    if uid == 0:
        _call("unshare", CLONE_NEWNS)
    else:
        _call("unshare", CLONE_NEWNS | CLONE_NEWUSER)
        for name, text in (("setgroups", "deny"), ("uid_map", f"0 {uid} 1"),
                           ("gid_map", f"0 {gid} 1")):
            Path(f"/proc/self/{name}").write_text(text)
    _call("mount", b"none", b"/", None, MS_REC | MS_PRIVATE, None)
    _call("mount", b"none", os.fsencode(folder), b"tmpfs", 0, b"size=%d" % size_bytes)


def _call(name: str, *arguments: Optional[object]) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, name)(*arguments):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def _can_mount(folder: Path) -> bool:
    return Command(lambda: mount(folder, 1 << 20)).end()[0] == 0


class Disk:
    """A disk that becomes full.

    Either a small one, mounted for `run`, or, as that may be forbidden, any: then what fills it up
    fails to write more than FILE_BYTES to any file.
    """

    def __init__(self, folder: Path, small: bool, size_bytes: int = DISK_BYTES) -> None:
        self.folder, self._size_bytes = folder, size_bytes
        self._mounted = small and _can_mount(folder)

    def run(self, action: Callable[[], Any]) -> None:
        """Run an action in a process that has the disk."""
        def on_disk() -> None:
            if self._mounted:
                mount(self.folder, self._size_bytes)
            action()
        run(on_disk)

    def fill(self) -> None:
        """Leave no room for this process."""
        if not self._mounted:
            return resource.setrlimit(resource.RLIMIT_FSIZE, (FILE_BYTES, FILE_BYTES))
        with self._ballast.open("wb", buffering=0) as ballast, suppress(OSError):
            while True:
                ballast.write(bytes(4096))

    def free(self) -> None:
        """Make room again."""
        if self._mounted:
            self._ballast.unlink()

    @property
    def _ballast(self) -> Path:
        return self.folder / "ballast"
