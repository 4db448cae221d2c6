"""Cores, memory and disk that this process may use."""
from __future__ import annotations

import os
import shutil
from pathlib import Path

from layerwise.errors import InputError

GIB = 1 << 30
GROUP = Path("/sys/fs/cgroup")


def cores() -> int:
    """Processor cores this process may use: its affinity, as batch systems set it, or fewer where
    a container has a quota."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") \
        else os.cpu_count() or 1
    try:
        quota, period = (GROUP / "cpu.max").read_text(encoding="utf-8").split()
        return max(1, min(count, int(quota) // int(period)))
    except (OSError, ValueError):      # no control group, or "max"
        return count


def memory_bytes() -> tuple[int, int]:
    """Memory available without swapping, and memory in all; within a container, its limit."""
    fields = dict.fromkeys(("MemAvailable", "MemTotal"), 0)
    try:
        for line in Path("/proc/meminfo").read_text(encoding="utf-8").splitlines():
            name, _, value = line.partition(":")
            if name in fields:
                fields[name] = int(value.split()[0]) * 1024
    except OSError:
        fields["MemTotal"] = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        fields["MemAvailable"] = fields["MemTotal"]
    limit, used = _container()
    return (min(fields["MemAvailable"], max(0, limit - used)), min(fields["MemTotal"], limit))


def _container() -> tuple[int, int]:
    """Memory limit and use of the control group (version 2); no limit is a very large one.

    Files in the page cache that nobody has read lately are given back on demand: they do not count.
    """
    try:
        limit, used = (int((GROUP / name).read_text(encoding="utf-8"))
                       for name in ("memory.max", "memory.current"))
        for line in (GROUP / "memory.stat").read_text(encoding="utf-8").splitlines():
            name, _, value = line.partition(" ")
            if name == "inactive_file":
                used -= int(value)
        return limit, used
    except (OSError, ValueError):
        return (1 << 62, 0)


def check_free(folder: Path, needed_bytes: float) -> None:
    """InputError when the disk of `folder` (existing) has less than `needed_bytes` left."""
    free = shutil.disk_usage(folder).free
    if free < needed_bytes:
        raise InputError(f"{folder}: disk full, {needed_bytes / 1e9:.2f} GB needed but "
                         f"{free / 1e9:.2f} GB free; free some space or choose another folder")
