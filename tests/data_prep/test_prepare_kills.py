"""The preparation after SIGKILL at any instant: the same command ends to the same bytes."""
from __future__ import annotations

import hashlib
import os
import signal
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest
from disks import Disk
from killing import Command, at_event, kill_at_instants, run

from data_prep import lmdb_store, patches, seal
from data_prep.polyp import prepare
from data_prep.request import Request
from layerwise.errors import InputError
from layerwise.locks import LOCK

Make = Callable[..., Request]
LATER = ("inputs.json",)        # holds times of change


def hashes(dataset: Path) -> dict[str, str]:
    """Of all that counts; what a killed command left would be among it."""
    return {path.relative_to(dataset).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in dataset.rglob("*") if path.is_file() and path.name not in LATER}


def look(wanted: dict[str, str], dataset: Path) -> None:
    """What is there after a kill and is sealed is what it should be."""
    found = hashes(dataset) if dataset.is_dir() else {}
    for folder in {path.parent for path in dataset.glob("[!.]*/seal.json")}:
        assert seal.intact_seal(folder)
        if (folder / "lmdb").exists():
            lmdb_store.check_set(folder)
        assert {name: found[name] for name in found if name.startswith(f"{folder.name}/")} == \
            {name: wanted[name] for name in wanted if name.startswith(f"{folder.name}/")}
    if "source.json" in found:
        assert {name: found[name] for name in wanted} == wanted


def test_killed_at_random_instants(colon: Path, request_for: Make, tmp_path: Path) -> None:
    """Two workers; all are killed at once, as when the power fails."""
    def action(data: Path) -> None:
        prepare.prepare(request_for(colon, data=data, jobs=2, fractions=(1.0,)))
    length = run(partial(action, tmp_path / "measured"))
    wanted = hashes(tmp_path / "measured" / "polyp" / "colon-mini")
    assert "validation-100/lmdb/data.mdb" in wanted
    folders = kill_at_instants(action, tmp_path, length, 10, 3,
                               lambda data: look(wanted, data / "polyp" / "colon-mini"))
    assert [hashes(data / "polyp" / "colon-mini") == wanted for data in folders] == [True] * 10


def test_workers_die_with_their_parent(colon: Path, request_for: Make, tmp_path: Path,
                                       monkeypatch: pytest.MonkeyPatch) -> None:
    extract = patches.extract

    def slow(*arguments: object) -> np.ndarray:
        (tmp_path / "cutting").touch()
        time.sleep(0.05)
        return extract(*arguments)  # type: ignore[arg-type]
    request = request_for(colon, jobs=2, fractions=(1.0,))
    with monkeypatch.context() as patch:
        patch.setattr(patches, "extract", slow)
        command = Command(lambda: prepare.prepare(request))
        while not (tmp_path / "cutting").exists():
            time.sleep(0.01)
    command.kill_head()
    command.outlive(limit_s=60)
    dataset = prepare.prepare(request)
    assert {path.name for path in dataset.glob(".*")} == {LOCK}
    other = prepare.prepare(request_for(colon, data=tmp_path / "other", fractions=(1.0,)))
    assert hashes(dataset) == hashes(other)


@pytest.mark.parametrize("part", range(6))
def test_killed_while_a_data_set_is_made_anew(colon: Path, request_for: Make, tmp_path: Path,
                                              part: int) -> None:
    """An image has changed, so the old sets are removed, and new ones written in their place."""
    request = request_for(colon, fractions=(1.0,))
    prepare.prepare(request)
    image = cv2.imread(str(colon / "frames" / "000.png"))
    assert cv2.imwrite(str(colon / "frames" / "000.png"), 255 - image)
    wanted = hashes(prepare.prepare(request_for(colon, data=tmp_path / "new", fractions=(1.0,))))
    number = 1 + int(np.random.default_rng(part).integers(part * 12, (part + 1) * 12))

    def action() -> None:
        at_event(number, lambda: os.killpg(0, signal.SIGKILL))
        prepare.prepare(request)
    command = Command(action)
    assert command.end() == (-signal.SIGKILL, "")
    dataset = prepare.prepare(request)
    assert hashes(dataset) == wanted
    assert {path.name for path in dataset.glob(".*")} == {LOCK}


@pytest.mark.parametrize("kind", ["file limit", "small disk"])
def test_a_disk_that_fills_up_while_patches_are_written(
        colon: Path, request_for: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
        kind: str) -> None:
    disk = Disk(tmp_path / "disk", kind == "small disk", size_bytes=32 << 20)
    wanted = hashes(prepare.prepare(request_for(colon, data=tmp_path / "wanted",
                                                fractions=(1.0,))))
    request = request_for(colon, data=disk.folder, fractions=(1.0,))
    extract, calls = patches.extract, iter(range(10 ** 6))

    def fill_at(*arguments: object) -> np.ndarray:
        if next(calls) == 100:         # the test set is finished, the first training set is not
            disk.fill()
        return extract(*arguments)  # type: ignore[arg-type]

    def first() -> None:
        monkeypatch.setattr(patches, "extract", fill_at)
        with pytest.raises(InputError) as caught:
            prepare.prepare(request)
        assert "free some space or choose another data folder" in str(caught.value)
        assert "\n" not in str(caught.value)
        dataset = disk.folder / "polyp" / "colon-mini"
        assert {path.name for path in dataset.iterdir()} == {
            LOCK, "cases.csv", "candidates.csv", "detections", "inputs.json",
            "models", "test"}
        look(wanted, dataset)
        disk.free()
        monkeypatch.setattr(patches, "extract", extract)
        if kind == "small disk":
            assert hashes(prepare.prepare(request)) == wanted
    disk.run(first)
    if kind == "file limit":           # which holds for the process that has it
        assert hashes(prepare.prepare(request)) == wanted
