"""Files are whole and on the disk, or not there."""
from __future__ import annotations

import os
from pathlib import Path

import pytest

from layerwise.contracts import atomic_text, write_bytes


def _text(path: Path) -> None:
    with atomic_text(path) as handle:
        handle.write("whole")


@pytest.mark.parametrize("write", [_text, lambda path: write_bytes(path, b"whole")])
def test_a_file_is_on_the_disk_before_its_name_and_then_its_name(tmp_path, monkeypatch, write):
    path, seen = tmp_path / "sub" / "a.txt", []
    real = os.fsync

    def fsync(handle):
        place = Path(os.readlink(f"/proc/self/fd/{handle}"))
        seen.append((place.read_text() if place.is_file() else place.name, path.exists()))
        real(handle)
    monkeypatch.setattr(os, "fsync", fsync)
    write(path)
    assert seen == [("whole", False), ("sub", True)]
    assert [each.name for each in path.parent.iterdir()] == ["a.txt"]
