"""What a container leaves of the machine."""
from __future__ import annotations

from pathlib import Path

import pytest

from layerwise import machine


@pytest.fixture()
def group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(machine, "GROUP", tmp_path)
    monkeypatch.setattr(machine.os, "sched_getaffinity", lambda _: set(range(8)))
    return tmp_path


@pytest.mark.parametrize("quota, expected", [
    ("max 100000", 8), ("250000 100000", 2), ("50000 100000", 1), ("9900000 100000", 8)])
def test_a_quota_limits_the_cores(group: Path, quota: str, expected: int) -> None:
    (group / "cpu.max").write_text(quota + "\n")
    assert machine.cores() == expected


def test_without_a_quota_the_affinity_counts(group: Path) -> None:
    assert machine.cores() == 8


def test_the_page_cache_is_not_in_use(group: Path) -> None:
    (group / "memory.max").write_text("1000000\n")
    (group / "memory.current").write_text("900000\n")
    (group / "memory.stat").write_text("anon 300000\ninactive_file 500000\nactive_file 100000\n")
    assert machine.memory_bytes() == (600_000, 1_000_000)


def test_a_group_without_a_limit(group: Path) -> None:
    (group / "memory.max").write_text("max\n")
    available, total = machine.memory_bytes()
    assert 0 < available <= total < 1 << 50
