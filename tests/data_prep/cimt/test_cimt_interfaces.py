"""Traced lines in all their forms, interpolated by hand, and one line for every bad one."""
from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_prep.cimt import interfaces
from layerwise.errors import InputError

FRAME = (30, 20)    # rows, columns
HEADER = "interface,x,y\n"
UPPER, LOWER = "lumen_intima,2,10\nlumen_intima,6,12\n", "media_adventitia,2,15\n" \
    "media_adventitia,6,19\n"


def test_a_table_by_hand(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(HEADER + UPPER + LOWER + "lumen_intima,10,8\n")
    rows = interfaces.at_columns(interfaces.read_traces(path, FRAME), np.arange(1, 9))
    np.testing.assert_allclose(rows[0], [np.nan, 10, 10.5, 11, 11.5, 12, 11, 10])
    np.testing.assert_allclose(rows[1], [np.nan, 15, 16, 17, 18, 19, np.nan, np.nan])


def test_json_and_table_say_the_same(tmp_path: Path) -> None:
    table, other = tmp_path / "a.csv", tmp_path / "a.json"
    table.write_text(HEADER + UPPER + LOWER)
    other.write_text(json.dumps({"lumen_intima": [[2, 10], [6, 12]],
                                 "media_adventitia": [[2, 15], [6, 19]]}))
    for one, two in zip(interfaces.read_traces(table, FRAME),
                        interfaces.read_traces(other, FRAME)):
        np.testing.assert_array_equal(one, two)


def test_drawn_from_right_to_left_with_steps(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"lumen_intima": [[6, 12], [4, 10], [4, 8], [2, 8]],
                                "media_adventitia": [[2, 15], [6, 19]]}))
    upper, _ = interfaces.read_traces(path, FRAME)
    assert upper.tolist() == [[2, 8], [4, 9], [6, 12]]


def test_a_mask_runs_along_the_edges_of_its_pixels(tmp_path: Path) -> None:
    mask = np.zeros(FRAME, np.uint8)
    mask[10:14, 3] = mask[11:14, 4] = mask[11:16, 5] = 1
    assert cv2.imwrite(str(tmp_path / "m.png"), mask)
    rows = interfaces.at_columns(interfaces.read_traces(tmp_path / "m.png", FRAME),
                                 np.arange(2, 7))
    np.testing.assert_array_equal(rows, [[np.nan, 9.5, 10.5, 10.5, np.nan],
                                         [np.nan, 13.5, 13.5, 15.5, np.nan]])


@given(rows=st.lists(st.tuples(st.integers(0, 14), st.integers(1, 15)), min_size=2, max_size=20))
def test_any_mask_comes_back(rows: list[tuple[int, int]],
                             tmp_path_factory: pytest.TempPathFactory) -> None:
    mask = np.zeros((30, 20), np.uint8)
    for column, (top, thick) in enumerate(rows):
        mask[top:top + thick, column] = 255
    path = tmp_path_factory.mktemp("m") / "m.png"
    assert cv2.imwrite(str(path), mask)
    upper, lower = interfaces.at_columns(interfaces.read_traces(path, FRAME),
                                         np.arange(len(rows)))
    np.testing.assert_array_equal(upper + 0.5, [top for top, _ in rows])
    np.testing.assert_array_equal(lower - upper, [thick for _, thick in rows])


@pytest.mark.parametrize("name, text, message", [
    ("a.txt", "", r"a\.txt: lines of another kind, expected \.csv, \.json"),
    ("a.csv", "interface,x\n", r"a\.csv: missing column y"),
    ("a.csv", HEADER + UPPER, r"a\.csv: media_adventitia has 0 points; a line needs two"),
    ("a.csv", HEADER + UPPER + "adventitia,2,3\n", r"line 4: interface 'adventitia', expected"),
    ("a.csv", HEADER + UPPER + LOWER + "lumen_intima,nine,3\n", r"line 6: x and y are 'nine'"),
    ("a.csv", HEADER + UPPER + LOWER + "lumen_intima,9,nan\n", "lumen_intima holds a number that"),
    ("a.csv", HEADER + UPPER + LOWER + "lumen_intima,4,11\n", "lumen_intima turns back at x = 6"),
    ("a.json", "{", r"a\.json: not a JSON file"),
    ("a.json", "[]", r"a\.json: expected \{'lumen_intima': \[\[x, y\], \.\.\.\]"),
    ("a.json", '{"lumen_intima": [[1, 2], [3]], "media_adventitia": [[1, 2]]}',
     "lumen_intima is no list of points"),
    ("a.json", '{"lumen_intima": [[1, 2]], "media_adventitia": [[1, 2]]}', "has 1 points"),
])
def test_bad_text(tmp_path: Path, name: str, text: str, message: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=message) as caught:
        interfaces.read_traces(tmp_path / name, FRAME)
    assert "\n" not in str(caught.value)


def painted(*spots: tuple[slice, slice, int]) -> np.ndarray:
    mask = np.zeros(FRAME, np.uint8)
    for rows, columns, value in spots:
        mask[rows, columns] = value
    return mask


WALL = (slice(10, 14), slice(2, 9), 1)


@pytest.mark.parametrize("mask, message", [
    (painted(WALL)[1:], "mask of 20x29 pixels, the frame has 20x30"),
    (painted(), "empty mask"),
    (painted(WALL, (slice(0, 2), slice(0, 2), 2)), "mask of more than two values"),
    (painted(WALL, (slice(0, 30), slice(5, 6), 0)), "no wall at column 5, but on both sides"),
    (painted(WALL, (slice(12, 13), slice(5, 6), 0)), "wall interrupted in column 5"),
])
def test_bad_masks(tmp_path: Path, mask: np.ndarray, message: str) -> None:
    assert cv2.imwrite(str(tmp_path / "m.png"), mask)
    with pytest.raises(InputError, match=message):
        interfaces.read_traces(tmp_path / "m.png", FRAME)
