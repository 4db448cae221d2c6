"""The handcrafted system's scores are the detector's."""
from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from data_prep.polyp import handcrafted
from layerwise.contracts import BoxCandidate, Case, write_rows
from layerwise.errors import InputError

ROWS = [BoxCandidate("a", "v1", "a:c01", "a:1", 1, 0.0, 0.0, 9.0, 9.0, 0.75),
        BoxCandidate("b", "v2", "b:c01", "b:1", 1, 0.0, 0.0, 9.0, 9.0, 0.5),
        BoxCandidate("b", "v2", "b:c02", "", 0, 5.0, 0.0, 9.0, 9.0, 0.125)]


def write(folder: Path, rows: list[BoxCandidate]) -> Path:
    write_rows(folder / "cases.csv", [Case("a", "v1", "train", 1), Case("b", "v2", "test", 1),
                                      Case("c", "v2", "test", 0)], Case)
    write_rows(folder / "candidates.csv", rows, BoxCandidate)
    return folder


def test_test_candidates_keep_their_scores(tmp_path: Path) -> None:
    found = handcrafted.scores(write(tmp_path, ROWS), 100, 1)
    assert [(row.candidate, row.lesion, row.label) for row in found] == \
        [("b:c01", "b:1", 1), ("b:c02", "", 0)]
    assert [row.probabilities for row in found] == [(0.5, 0.5), (0.875, 0.125)]


def test_without_test_candidates_or_with_other_scores(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no candidates in the test cases"):
        handcrafted.scores(write(tmp_path / "few", ROWS[:1]), 100, 1)
    with pytest.raises(InputError, match="b:c01 has no score from 0 to 1"):
        handcrafted.scores(write(tmp_path / "large", [replace(ROWS[1], score=1.5)]), 100, 1)
