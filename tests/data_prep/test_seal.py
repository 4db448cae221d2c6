"""Folders that are complete or absent."""
from __future__ import annotations

import contextlib
import errno
import multiprocessing
import shutil
import time
from pathlib import Path
from typing import Any

import pytest

from data_prep import seal
from layerwise.errors import InputError
from layerwise.locks import LOCK


def build(folder: Path, made_from: Any, text: str) -> None:
    with seal.sealed(folder, made_from) as draft:
        (draft.path / "sub").mkdir()
        (draft.path / "sub" / "a.txt").write_text(text)
        draft.facts["letters"] = len(text)


def test_a_sealed_folder_knows_its_origin(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    build(folder, {"seed": 1, "scales": (1.0, 1.5)}, "abc")
    assert (folder / "sub" / "a.txt").read_text() == "abc"
    assert seal.is_sealed(folder, {"scales": (1.0, 1.5), "seed": 1})
    assert not seal.is_sealed(folder, {"seed": 2, "scales": (1.0, 1.5)})
    assert seal.intact_seal(folder)["facts"] == {"letters": 3}
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_other_settings_replace_it(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    build(folder, {"seed": 1}, "abc")
    build(folder, {"seed": 2}, "defg")
    assert seal.is_sealed(folder, {"seed": 2})
    assert (folder / "sub" / "a.txt").read_text() == "defg"
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt()])
def test_a_failure_leaves_what_was_there(tmp_path: Path, error: BaseException) -> None:
    folder = tmp_path / "set"
    build(folder, {"seed": 1}, "abc")
    with pytest.raises(type(error)), seal.sealed(folder, {"seed": 2}) as draft:
        (draft.path / "half").write_text("x")
        raise error
    assert seal.is_sealed(folder, {"seed": 1})
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


@pytest.mark.parametrize("harm", ["shorten", "remove", "garble", "unseal"])
def test_a_damaged_folder_is_not_sealed(tmp_path: Path, harm: str) -> None:
    folder = tmp_path / "set"
    build(folder, {}, "abc")
    if harm == "shorten":
        (folder / "sub" / "a.txt").write_text("ab")
    elif harm == "remove":
        (folder / "sub" / "a.txt").unlink()
    elif harm == "garble":
        (folder / "seal.json").write_text('{"made_from": {}')
    else:
        (folder / "seal.json").unlink()
    assert not seal.is_sealed(folder, {})


def test_a_folder_of_the_user_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "mine.txt").write_text("mine")
    with pytest.raises(InputError, match="set: in the way"):
        build(tmp_path / "set", {}, "abc")
    assert (tmp_path / "set" / "mine.txt").read_text() == "mine"


def test_locking_clears_leftovers_and_removes_an_unused_folder(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    left = folder / ".set.partial-123"
    left.mkdir(parents=True)
    (left / "a").write_text("half")
    (folder / ".cases.csv.partial-123").write_text("half")
    with pytest.raises(ValueError, match="no"), seal.locked(folder):
        assert [path.name for path in folder.iterdir()] == [LOCK]
        raise ValueError("no")
    assert not folder.exists()


def hold(folder: Path, held: Any) -> None:
    with seal.locked(folder):
        held.set()
        time.sleep(0.3)
        (folder / "first.txt").write_text("done")


def test_a_second_process_waits(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    context = multiprocessing.get_context("fork")
    held = context.Event()
    process = context.Process(target=hold, args=(tmp_path / "data", held))
    process.start()
    assert held.wait(20)
    with seal.locked(tmp_path / "data"):
        assert (tmp_path / "data" / "first.txt").read_text() == "done"
    process.join()
    assert capsys.readouterr().err == \
        f"{tmp_path / 'data'}: waiting for another process that is using it\n"


def enter(folder: Path, entered: Any, leave: Any) -> None:
    with seal.locked(folder):
        entered.set()
        assert leave.wait(20)


def fail(folder: Path, entered: Any, leave: Any) -> None:
    with contextlib.suppress(ValueError), seal.locked(folder):
        entered.set()
        assert leave.wait(20)
        raise ValueError("no")


def test_who_waited_for_a_folder_that_was_removed_holds_the_one_made_anew(tmp_path: Path) -> None:
    """The first fails and takes the unused folder away; the lock that the second waited for too."""
    context, folder = multiprocessing.get_context("fork"), tmp_path / "data"
    entered, leave = ([context.Event() for _ in range(3)] for _ in range(2))
    each = [context.Process(target=target, args=(folder, entered[number], leave[number]),
                            daemon=True)
            for number, target in enumerate((fail, enter, enter))]
    each[0].start()
    assert entered[0].wait(20)
    each[1].start()
    assert not entered[1].wait(0.5)          # it has opened the lock, and waits
    leave[0].set()
    assert entered[1].wait(20)
    each[2].start()
    assert not entered[2].wait(0.5)
    leave[1].set()
    assert entered[2].wait(20)
    leave[2].set()
    for process in each:
        process.join()
    assert [process.exitcode for process in each] == [0, 0, 0]


def test_a_removal_that_is_killed_leaves_nothing_in_the_way(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "data" / "set"
    build(folder, {}, "abc")
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", lambda path: (path / seal.SEAL).unlink())
        seal.remove(folder)
    assert not folder.exists()
    with seal.locked(tmp_path / "data"):
        assert [path.name for path in (tmp_path / "data").iterdir()] == [LOCK]
        build(folder, {}, "defg")


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.ENOTDIR, errno.EROFS, errno.EACCES])
def test_refusals_of_the_system_become_one_line(number: int) -> None:
    with pytest.raises(InputError, match=r"^data: [^\n]*choose another data folder$"), \
            seal.file_errors(Path("data")):
        raise OSError(number, "no")


def test_other_errors_stay_what_they_are() -> None:
    with pytest.raises(OSError, match="odd"), seal.file_errors(Path("data")):
        raise OSError(errno.EBADF, "odd")


def test_a_digest_does_not_depend_on_the_order_of_keys() -> None:
    assert seal.digest({"a": 1, "b": 2}) == seal.digest({"b": 2, "a": 1}) != seal.digest({})
