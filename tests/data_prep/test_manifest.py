"""The rules that the tables of all tasks share."""
from __future__ import annotations

from pathlib import Path

import pytest

from data_prep.manifest import Member, check_groups, no_repeats, origin_of, read_columns
from data_prep.own.reader import read_images
from layerwise.contracts import read_cases
from layerwise.errors import InputError

TABLE = Path("t.csv")


def members(*pairs: tuple[str, str]) -> list[Member]:
    return [Member(f"n{number}", *pair) for number, pair in enumerate(pairs)]


@pytest.mark.parametrize("pairs", [[("a", ""), ("b", ""), ("a", "")],
                                   [("a", "train"), ("b", "test"), ("a", "train")]])
def test_groups_and_splits_that_are_whole(pairs: list[tuple[str, str]]) -> None:
    assert check_groups(TABLE, members(*pairs)) is None  # type: ignore[func-returns-value]


@pytest.mark.parametrize("pairs, message", [
    ([("a", ""), ("", "")], r"^t\.csv: n1 has no group"),
    ([("a", ""), ("a", "")], r"^t\.csv: only one group \(a\)"),
    ([], r"^t\.csv: only one group \(\)"),
    ([("a", "train"), ("b", "test"), ("a", "test")], r"^t\.csv: group a is on two sides"),
    ([("a", "train"), ("b", "train")], r"^t\.csv: column split must hold both .*found 'train'$"),
    ([("a", "train"), ("b", "")], r"found '', 'train'$"),
    ([("a", "train"), ("b", "test"), ("c", "val")], r"found 'test', 'train', 'val'$")])
def test_groups_and_splits_that_are_not(pairs: list[tuple[str, str]], message: str) -> None:
    with pytest.raises(InputError, match=message):
        check_groups(TABLE, members(*pairs))


def test_repeats() -> None:
    no_repeats(TABLE, "case", [])
    no_repeats(TABLE, "case", ["a", "b"])
    with pytest.raises(InputError, match=r"^t\.csv: duplicate case b$"):
        no_repeats(TABLE, "case", ["a", "b", "b"])


def test_optional_columns(tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    table.write_text("split,case\ntrain,1\n")
    assert read_columns(table, ["case"], ["split", "age"]) == [{"split": "train", "case": "1"}]
    with pytest.raises(InputError, match="missing column group"):
        read_columns(table, ["case", "group"], ["split"])
    with pytest.raises(InputError, match="unknown column split"):
        read_columns(table, ["case"])
    table.write_text("split;case\ntrain;1\n")
    with pytest.raises(InputError, match="missing column case; expected case, found split;case "
                                         r"\(separated by ; or tabs\? use commas\)$"):
        read_columns(table, ["case"])


def test_lines_are_counted_as_an_editor_does(tmp_path: Path) -> None:
    """Blank lines are skipped, and a quoted field may hold a line break; both are lines."""
    (tmp_path / "t.csv").write_text('case,group\n\na,1\n"b\nc",1\n\nd,2\n\n')
    rows = read_columns(tmp_path / "t.csv", ["case", "group"])
    assert [(row["case"], row.number) for row in rows] == [("a", 3), ("b\nc", 5), ("d", 7)]
    (tmp_path / "labels.csv").write_text("case,group,split,lesions\n\na,1,test,0\n\nb,1,test,x\n")
    with pytest.raises(InputError, match=r"labels\.csv, line 5: lesions is 'x'"):
        read_cases(tmp_path / "labels.csv")
    (tmp_path / "manifest.csv").write_text("path,label,group\n\nz.png,n,1\n")
    with pytest.raises(InputError, match=r"manifest\.csv, line 3: image 'z\.png' is missing"):
        read_images(tmp_path / "manifest.csv")


def test_origin(tmp_path: Path) -> None:
    assert origin_of(tmp_path) is None
    (tmp_path / "origin.json").write_text('{"stand_in": "a phantom"}')
    assert origin_of(tmp_path) == "a phantom"


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"stand_in": 1}', '{"stand_in": " "}',
                                  '{"stand_in": "x", "y": 1}', '{"stand_in": null}'])
def test_a_bad_origin(tmp_path: Path, text: str) -> None:
    (tmp_path / "origin.json").write_text(text)
    with pytest.raises(InputError, match=r"origin\.json: "):
        origin_of(tmp_path)
