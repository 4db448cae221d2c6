"""Classes of pixels at exact distances, and which of them are kept."""
from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from data_prep.cimt import pixels, reader

UNUSED, BACKGROUND = pixels.UNUSED, pixels.BACKGROUND


def column(upper: float, lower: float, top: int = 0, rows: int = 40) -> list[int]:
    return pixels.labels(np.array([[upper], [lower]]), top, rows)[:, 0].tolist()


def test_a_column_by_hand() -> None:
    found = column(10, 24)
    assert found == [
        *[0] * 6, *[-1] * 2,            # rows 0-5 are 5 or more above, 6 and 7 are between
        *[1] * 5, *[-1] * 2,            # rows 8-12; 13 and 14
        *[0] * 5, *[-1] * 2,            # rows 15-19 lie between the lines, 5 or more from both
        *[2] * 5, *[-1] * 2, *[0] * 11]     # rows 22-26; from row 29 on


def test_rows_count_from_the_frame() -> None:
    assert column(110, 124, top=100) == column(10, 24)


def test_between_rows_the_nearest_one_counts() -> None:
    assert [row for row, label in enumerate(column(10.49, 30)) if label == 1] == [8, 9, 10, 11, 12]
    assert [row for row, label in enumerate(column(10.5, 30)) if label == 1] == [9, 10, 11, 12, 13]
    # The distance of the background is that of the line itself.
    assert [column(10.4, 30)[row] for row in (5, 6, 15, 16)] == [0, -1, -1, 0]


def test_a_thin_wall_has_no_background_and_shares_no_pixel() -> None:
    found = column(10, 13)          # rows 8-12 and 11-15
    assert found[6:18] == [-1, -1, 1, 1, 1, 1, 2, 2, 2, 2, -1, -1]
    assert column(10, 14)[10:15] == [1, 1, -1, 2, 2]        # row 12 is as near to both
    assert column(10, 14.2)[10:15] == [1, 1, 1, 2, 2]


@given(upper=st.floats(8, 20), thickness=st.floats(1, 20))
def test_rules(upper: float, thickness: float) -> None:
    lower = upper + thickness
    found = np.array(column(upper, lower, rows=60))
    rows = np.arange(60)
    distance = np.abs(rows - np.array([[upper], [lower]]))
    for label in (1, 2):
        mine, other = distance[label - 1], distance[2 - label]
        assert (mine[found == label] <= 2.5).all()
        assert (mine[found == label] < other[found == label]).all()
        assert (found[(mine <= 2) & (mine < other)] == label).all()
    assert (distance.min(0)[found == BACKGROUND] >= 5).all()
    assert (found[distance.min(0) >= 5] == BACKGROUND).all()
    assert len(set(np.diff(np.flatnonzero(found == 1)))) == 1       # in one piece


def opened(columns: int = 30) -> tuple[reader.Region, reader.Annotated]:
    path = Path("x")
    region = reader.Region("a/01", "s0", "", path, path)
    lines = np.array([np.full(columns, 20.0), np.full(columns, 28.0)])
    return region, reader.Annotated(np.zeros((60, 80), np.uint8), (12, 5, columns, 40), lines, 100)


def test_every_prefix_is_balanced_and_the_order_mixed() -> None:
    region, annotated = opened()
    rows = pixels.candidates(region, annotated, 300)
    assert len(rows) == len({row.candidate for row in rows}) == 300
    for end in (3, 30, 151, 300):
        assert max(Counter(row.label for row in rows[:end]).values()) <= -(-end // 3)
    assert len({row.x for row in rows[:90]}) > 15
    assert pixels.candidates(region, annotated, 90) == rows[:90]
    assert rows == pixels.candidates(region, annotated, 300)


def test_columns_of_a_row() -> None:
    region, annotated = opened()
    for row in pixels.candidates(region, annotated, 100):
        x, y, w, h = annotated.roi
        assert x <= row.x < x + w and y <= row.y < y + h
        assert row.candidate == f"a/01:x{row.x}y{row.y}"
        distances = {"a/01:lumen_intima": abs(row.y - 20), "a/01:media_adventitia": abs(row.y - 28)}
        assert row.lesion == ("" if row.label == 0 else list(distances)[row.label - 1])
        assert distances[row.lesion] <= 2 if row.label else min(distances.values()) >= 5


def test_a_class_that_runs_out() -> None:
    region, annotated = opened(columns=8)
    found = Counter(row.label for row in pixels.candidates(region, annotated, 10_000))
    # Rows 5-15 above and 33-44 below: 23 of background, 5 and 5 on the lines.
    assert found == {0: 8 * 23, 1: 8 * 5, 2: 8 * 5}


def test_the_papers_number_of_patches() -> None:
    """144 regions of 92 columns give 66,240 pixels of each interface; 200,000 / 3 is 66,667."""
    found = pixels.labels(np.array([np.full(92, 20.3), np.full(92, 29.6)]), 0, 60)
    assert [144 * int((found == label).sum()) for label in (1, 2)] == [66_240, 66_240]
