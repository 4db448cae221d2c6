"""Candidates of a data set: order, features, recall."""
from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from data_prep import proposals
from data_prep.polyp import reader
from data_prep.polyp.prepare import RECIPE
from data_prep.recipe import Detection
from layerwise.contracts import BoxCandidate, Case, read_candidates, read_table


def candidate(case: str, rank: int, lesion: str) -> BoxCandidate:
    return BoxCandidate(case, "g", f"{case}:c{rank}", lesion, int(bool(lesion)), 0, 0, 1, 1, 0.5)


def test_recall_by_hand() -> None:
    cases = [Case("a", "g", "train", 2), Case("b", "g", "train", 1), Case("c", "h", "test", 0),
             Case("d", "h", "test", 1)]
    found = [candidate("a", 1, "a:1"), candidate("a", 2, "a:1"), candidate("a", 3, "a:2"),
             candidate("b", 1, ""), candidate("b", 2, "b:1"), candidate("c", 1, ""),
             candidate("d", 1, "")]
    table = proposals.recall(cases, found, (1, 2, 3, 5, 10))
    hits = {keep: row["recall"] for keep, row in table["train"].items()}
    assert hits == {"1": pytest.approx(1 / 3), "2": pytest.approx(2 / 3), "3": 1, "5": 1,
                    "10": 1}
    assert {row["recall"] for row in table["test"].values()} == {0.0}
    assert [row["false_positives"] for row in table["train"].values()] == [0.5] * 5
    assert table["test"]["1"]["false_positives"] == 1
    assert proposals.recall(cases[2:3], found, (1,)) == {}
    assert [row.candidate for row in proposals.best(found, 1)] == ["a:c1", "b:c1", "c:c1", "d:c1"]


@pytest.mark.parametrize("jobs", [1, 2])
def test_detected_and_labelled(colon: Path, jobs: int) -> None:
    frames = reader.read_frames(colon)[:3]
    (colon / "model").write_text("g1")
    models = {frame.group: colon / "model" for frame in frames}
    rows = [row for found in proposals.detect_all(RECIPE, frames, 2, jobs, models)
            for row in found.candidates]
    assert [(row.candidate, row.lesion, row.label) for row in rows] == [
        ("000:c01", "000:1", 1), ("000:c02", "", 0), ("001:c01", "001:1", 1),
        ("001:c02", "", 0), ("002:c01", "", 0), ("002:c02", "", 0)]
    assert rows[0] == BoxCandidate("000", "g0", "000:c01", "000:1", 1, 30.0, 16.0,
                                   15.0, 13.0, 0.75)


def test_features_are_written_beside_the_candidates(tmp_path: Path) -> None:
    rows = (candidate("a", 1, "a:1"), candidate("a", 2, ""))
    recipe = replace(RECIPE, features=("area_mm2", "contrast"))
    proposals.write_detections(tmp_path, recipe, [
        Detection(rows, np.array([[1.5, 1 / 3], [2.0, 0.25]])), Detection((), np.zeros((0, 2)))])
    assert read_candidates(tmp_path / "candidates.csv") == list(rows)
    assert read_table(tmp_path / "features.csv") == (
        ["candidate", "area_mm2", "contrast"],
        [{"candidate": "a:c1", "area_mm2": "1.5", "contrast": "0.333333333"},
         {"candidate": "a:c2", "area_mm2": "2", "contrast": "0.25"}])
