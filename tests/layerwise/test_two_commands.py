"""Two commands on the same folders, commands without a parent, and data prepared anew."""
from __future__ import annotations

import fcntl
import json
import shutil
import threading
import time
from pathlib import Path

import pytest
from killing import Command, at_event, forked_workers
from training import TAIL, WHOLE, content, nothing, setting, train_at

from layerwise import child, locks
from layerwise.child import Children, Interrupted
from layerwise.errors import InputError
from layerwise.launch import evaluate_run
from layerwise.runs import CONFIG, locked

IN_USE = "another process is working here; wait for it, or choose another --runs folder"


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def stop_at_log(gate: Path):
    """Workers that stop when they have made their log, until a file `gate` exists."""
    def wait() -> None:
        gate.with_suffix(".reached").touch()
        wait_for(gate)
    return forked_workers(lambda arguments: at_event(1, wait, ("os.rename",), "/log.csv"))


@pytest.fixture()
def busy(narrow, tmp_path, monkeypatch):
    """A command in the middle of training WHOLE in `tmp_path`; goes on when `gate` exists."""
    monkeypatch.setattr(child, "subprocess", stop_at_log(tmp_path / "gate"))
    command = Command(lambda: narrow.evaluate(WHOLE, tmp_path))
    wait_for(tmp_path / "gate.reached")
    monkeypatch.setattr(child, "subprocess", forked_workers())
    return command


def test_a_second_command_is_refused_and_does_no_harm(narrow, references, busy, tmp_path):
    folder = narrow.folder(WHOLE, tmp_path)
    (folder / ".log.csv.partial-1-1").touch()
    with pytest.raises(InputError) as caught:
        narrow.evaluate(WHOLE, tmp_path)
    assert str(caught.value) == f"{folder}: {IN_USE}"
    assert (folder / ".log.csv.partial-1-1").exists()       # the first may need it
    narrow.evaluate(TAIL, tmp_path)
    (tmp_path / "gate").touch()
    assert busy.end() == (0, "")
    assert content(folder) == content(references[WHOLE])


def test_a_worker_dies_with_its_parent_and_frees_the_folder(narrow, references, busy, tmp_path):
    busy.kill_head()
    busy.outlive(limit_s=30)               # it would wait for 60 s
    assert content(narrow.evaluate(WHOLE, tmp_path)) == content(references[WHOLE])


def test_a_worker_started_anew_dies_with_its_parent(narrow, references, tmp_path, monkeypatch):
    """As users have it: another Python, in a session of its own."""
    import subprocess

    monkeypatch.setattr(child, "subprocess", subprocess)
    command = Command(lambda: narrow.evaluate(WHOLE, tmp_path))
    folder = narrow.folder(WHOLE, tmp_path)
    wait_for(folder / "log.csv")
    command.kill_head()
    deadline = time.monotonic() + 60
    while True:
        try:
            with locked(folder):
                break
        except InputError:
            assert time.monotonic() < deadline
            time.sleep(0.01)
    assert not (folder / "result.json").exists()
    monkeypatch.setattr(child, "subprocess", forked_workers())
    assert content(narrow.evaluate(WHOLE, tmp_path)) == content(references[WHOLE])


def test_a_second_command_waits_for_activations_and_can_be_stopped(
        narrow, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(locks, "WAIT_S", 0.01)
    place, children = narrow.without_activations(tmp_path), Children()
    holding = locks.hold(place.data / "features", lambda: None)
    holding.__enter__()
    timer = threading.Timer(0.1, children.stop)
    timer.start()
    with pytest.raises(Interrupted):
        place.store(children=children)
    timer.join()
    assert capsys.readouterr().err.count("waiting for another command") == 1
    timer = threading.Timer(0.1, holding.__exit__, (None, None, None))
    timer.start()
    place.store()
    timer.join()
    assert place.activations() == narrow.activations()


def prepare_anew(data: Path, name: str, value: str) -> None:
    """As another seed or other images would: what source.json says of a set changes."""
    facts = json.loads((data / "source.json").read_text())
    facts["sets"][name]["content_sha256"] = value
    (data / "source.json").write_text(json.dumps(facts))


@pytest.fixture()
def copied(narrow, tmp_path):
    """A data set of this test's own."""
    return narrow.__class__(shutil.copytree(narrow.data, tmp_path / "polyp" / "tiny"),
                            narrow.weights)


@pytest.mark.parametrize("verb, name", [("train", "validation-100"), ("evaluate", "test")])
def test_data_prepared_anew_under_a_run_are_not_mixed_in(copied, tmp_path, monkeypatch, verb, name):
    """The run has begun, or is trained, when another command replaces the sets."""
    def prepare(arguments: list[str]) -> None:
        if arguments[0] == verb:
            prepare_anew(copied.data, name, "other")
    monkeypatch.setattr(child, "subprocess", forked_workers(prepare))
    with pytest.raises(InputError, match="tiny: prepared anew, with other data than the run"):
        copied.evaluate(WHOLE, tmp_path / "runs")
    folder = tmp_path / "runs" / "polyp" / "tiny" / WHOLE / "100" / "7"
    assert not (folder / "scores.csv").exists()
    assert (folder / "result.json").exists() == (verb == "evaluate")
    monkeypatch.setattr(child, "subprocess", forked_workers())
    with pytest.raises(InputError, match="holds a run on other data than .* holds now"):
        copied.evaluate(WHOLE, tmp_path / "runs")


def test_a_run_waits_while_its_data_folder_is_being_prepared(copied, tmp_path, monkeypatch):
    """Another command replaces the sets by the same ones; source.json is gone meanwhile."""
    facts = (copied.data / "source.json").read_text()
    holding = locks.hold(copied.data, lambda: None)
    handle = holding.__enter__()

    def unlink(arguments: list[str]) -> None:
        (copied.data / "source.json").unlink()

    def release() -> None:
        (copied.data / "source.json").write_text(facts)
        fcntl.flock(handle, fcntl.LOCK_UN)        # closing is not enough: the worker was forked
    monkeypatch.setattr(child, "subprocess", forked_workers(unlink))
    timer = threading.Timer(1.0, release)
    timer.start()
    folder = train_at(WHOLE, setting(copied.data, tmp_path / "runs", iterations=1))
    timer.join()
    holding.__exit__(None, None, None)
    assert (folder / "result.json").exists()


def test_a_run_that_waits_for_its_data_can_be_stopped(copied, tmp_path):
    """It ends as interrupted, and the same command goes on when the folder is free."""
    children = Children()
    with locks.hold(copied.data, lambda: None):
        timer = threading.Timer(2.0, children.stop)
        timer.start()
        with pytest.raises(Interrupted):
            train_at(WHOLE, setting(copied.data, tmp_path / "runs", iterations=1),
                     children=children)
        timer.join()
    folder = train_at(WHOLE, setting(copied.data, tmp_path / "runs", iterations=1))
    assert (folder / "result.json").exists()


def test_runs_on_other_data_are_not_put_beside_others(copied, tmp_path):
    runs = tmp_path / "runs"
    folder = copied.evaluate(WHOLE, runs)
    prepare_anew(copied.data, "train-100", "other")
    with pytest.raises(InputError) as caught:
        copied.evaluate("scratch-msra", runs)
    assert str(caught.value) == (
        f"{folder} holds a run on other data than {copied.data} holds now: prepare them as "
        "before, choose another --runs folder, or delete it")
    assert not (runs / "polyp" / "tiny" / "scratch-msra" / "100" / "7" / CONFIG).exists()
    prepare_anew(copied.data, "train-100", "train-100")
    with (copied.data / "cases.csv").open("a") as handle:
        handle.write("more,g-more,train,0\n")
    with pytest.raises(InputError, match="cases.csv: the runs beside it are on another split"):
        copied.evaluate("scratch-msra", runs)


def test_the_same_data_elsewhere_are_the_same(narrow, copied, tmp_path):
    settings = setting(narrow.data, tmp_path / "runs", iterations=1)
    train_at(WHOLE, settings, verb=evaluate_run)
    settings = setting(copied.data, tmp_path / "runs", iterations=1)
    assert (train_at("scratch-msra", settings, nothing) / "result.json").exists()
