"""Runs and stored activations after SIGKILL at any instant: repeated, they end to the same bits."""
from __future__ import annotations

import resource
import signal
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from killing import at_event, die, kill_at_instants, run
from training import TAIL, WHOLE, Place, content, names

from layerwise import snapshot
from layerwise.errors import LayerwiseError
from layerwise.runs import read_json

KILLED = "was killed, most likely out of memory"


def look(place: Place, depth: str, reference: Path, runs: Path) -> None:
    """What is there after a kill and says that it is finished, is."""
    folder = place.folder(depth, runs)
    if (folder / "scores.csv").exists():
        assert content(folder) == content(reference)
    elif (folder / "result.json").exists():
        assert (folder / "best.caffemodel").read_bytes() == \
            (reference / "best.caffemodel").read_bytes()
    elif (folder / "state.json").exists():
        stem = snapshot.stem(folder, read_json(folder / "state.json")["iteration"])
        for suffix in (".caffemodel", ".solverstate"):
            assert list(snapshot._fields(stem.with_suffix(suffix)))


def same(folder: Path, reference: Path) -> bool:
    """Whether a run ended to the same bits and left the same files."""
    return content(folder) == content(reference) and names(folder) == names(reference)


@pytest.mark.parametrize("depth, count", [(WHOLE, 10), (TAIL, 5)])
def test_runs_killed_at_random_instants(narrow, references, tmp_path, depth, count):
    action, reference = partial(narrow.evaluate, depth), references[depth]
    length = run(partial(action, tmp_path / "measured"))
    folders = kill_at_instants(action, tmp_path, length, count, 1,
                               partial(look, narrow, depth, reference))
    assert [same(narrow.folder(depth, runs), reference) for runs in folders] == [True] * count


@pytest.fixture(scope="module")
def moves(narrow, tmp_path_factory) -> int:
    """How many files the training of TAIL moves, links and removes."""
    from killing import forked_workers

    from layerwise import child

    folder = tmp_path_factory.mktemp("moves")
    told = folder / "moves"

    def count(arguments: list[str]) -> None:
        handle = told.open("a", buffering=1)
        at_event(0, lambda: handle.write(f"{arguments[0]}\n"))
    real, child.subprocess = child.subprocess, forked_workers(count)
    narrow.evaluate(TAIL, folder)
    child.subprocess = real
    return told.read_text().split().count("train")


@pytest.mark.parametrize("part", range(6))
def test_killed_between_two_file_operations(narrow, references, moves, tmp_path, in_workers, part):
    number = 1 + int(np.random.default_rng(part).integers(part * moves // 6,
                                                          (part + 1) * moves // 6))
    in_workers(lambda arguments: at_event(number, die))
    with pytest.raises(LayerwiseError, match=KILLED):
        narrow.evaluate(TAIL, tmp_path)
    look(narrow, TAIL, references[TAIL], tmp_path)
    in_workers(None)
    assert same(narrow.evaluate(TAIL, tmp_path), references[TAIL])


@pytest.mark.parametrize("depth, name, number", [
    (TAIL, "state.json", 1), (TAIL, "tail_best.caffemodel", 1), (TAIL, "best.caffemodel", 1),
    (TAIL, "result.json", 1), (TAIL, "patches.h5", 1), (TAIL, "scores.csv", 1),
    (WHOLE, "best.caffemodel", 1), (WHOLE, "best.caffemodel", 2)])
def test_killed_when_all_but_the_name_is_written(narrow, references, tmp_path, in_workers, depth,
                                                 name, number):
    in_workers(lambda arguments: at_event(number, die, ("os.rename",), f"/{name}"))
    with pytest.raises(LayerwiseError, match=KILLED):
        narrow.evaluate(depth, tmp_path)
    left = names(narrow.folder(depth, tmp_path))
    assert (name in left) == (number > 1)
    assert not any(path.startswith(".") for path in left)
    in_workers(None)
    assert same(narrow.evaluate(depth, tmp_path), references[depth])


def test_killed_when_trained_but_not_tidied_up(narrow, references, tmp_path, in_workers):
    in_workers(lambda arguments: at_event(1, die, ("os.remove",), "/state.json"))
    with pytest.raises(LayerwiseError, match=KILLED):
        narrow.evaluate(TAIL, tmp_path)
    assert (narrow.folder(TAIL, tmp_path) / "result.json").exists()
    in_workers(None)
    assert same(narrow.evaluate(TAIL, tmp_path), references[TAIL])


def die_beyond(size: int) -> None:
    """Have the system kill this process in the middle of a write, at so many bytes of a file."""
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


@pytest.mark.parametrize("states, size", [(0, 31_000), (1, 12_000), (1, 62_000), (2, 45_000)])
def test_killed_while_a_snapshot_is_written(narrow, references, tmp_path, in_workers, states, size):
    """In the first, second or third snapshot of 63 KB of weights and as much of momentum."""
    def limit(arguments: list[str]) -> None:
        if states:
            at_event(states, partial(die_beyond, size), ("os.rename",), "/state.json")
        else:
            die_beyond(size)
    in_workers(limit)
    with pytest.raises(LayerwiseError, match="SIGXFSZ"):
        narrow.evaluate(WHOLE, tmp_path)
    look(narrow, WHOLE, references[WHOLE], tmp_path)
    # What was cut short is gone at once: on a full disk others need the room.
    kept = {f"state_iter_{2 * states}.caffemodel", f"state_iter_{2 * states}.solverstate"}
    assert {name for name in names(narrow.folder(WHOLE, tmp_path)) if "state_iter" in name} == (
        kept if states else set())
    in_workers(None)
    assert same(narrow.evaluate(WHOLE, tmp_path), references[WHOLE])


def test_activations_killed_at_random_instants(narrow, tmp_path):
    wanted = narrow.activations()

    def action(folder: Path) -> None:
        narrow.without_activations(folder).store()

    def look(folder: Path) -> None:
        """A place that counts as stored is."""
        found = narrow.without_activations(folder).activations()
        for listing in (name for name in found if name.endswith("/files.txt") and "/." not in name):
            place = listing[:-len("files.txt")]
            assert {name: found[name] for name in found if name.startswith(place)} == \
                {name: wanted[name] for name in wanted if name.startswith(place)}
    length = run(partial(action, tmp_path / "measured"))
    folders = kill_at_instants(action, tmp_path, length, 10, 2, look)
    assert [narrow.without_activations(folder).activations() == wanted
            for folder in folders] == [True] * 10
