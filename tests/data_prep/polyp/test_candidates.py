"""Lesions of a mask, labels of boxes, recall."""
from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from data_prep.polyp import candidates as proposals
from data_prep.polyp import reader
from layerwise.contracts import Candidate, Case
from layerwise.errors import InputError


def two_lesions() -> np.ndarray:
    """A 10x6 rectangle, an L joined only at a corner, and a speck of 24 pixels."""
    mask = np.zeros((60, 80), bool)
    mask[5:11, 10:20] = True
    mask[30:36, 40:46] = True
    mask[36:42, 46:52] = True
    mask[50:54, 60:66] = True
    return mask


def test_lesions_are_8_connected_and_specks_are_dropped() -> None:
    lesions, count = proposals.lesion_map(two_lesions())
    assert count == 2
    assert lesions[7, 12] == 1
    assert lesions[31, 41] == lesions[40, 50] == 2
    assert lesions[51, 61] == 0
    assert (lesions > 0).sum() == 60 + 72
    assert proposals.lesion_map(np.zeros((5, 5), bool))[1] == 0


def test_a_component_of_the_smallest_size_counts() -> None:
    mask = np.zeros((20, 20), bool)
    mask[3:8, 3:8] = True
    assert proposals.MIN_LESION_PX == 25
    assert proposals.lesion_map(mask)[1] == 1


@pytest.mark.parametrize("box, lesion", [
    ((0, 0, 40, 16), 0), ((0, 0, 39.9, 16), 1),     # centre at x = 20 is just outside
    ((10, 5, 0.5, 0.5), 1), ((9.5, 5, 0.9, 0.5), 0),
    ((36, 28, 20, 10), 0), ((33, 22, 20, 20), 2),
    ((-40, -40, 10, 10), 0), ((75, 55, 100, 100), 0),
])
def test_the_centre_decides(box: tuple[float, float, float, float], lesion: int) -> None:
    lesions, _ = proposals.lesion_map(two_lesions())
    assert proposals.lesion_at_centre(lesions, box) == lesion


def candidate(case: str, rank: int, lesion: str) -> Candidate:
    return Candidate(case, "g", f"{case}:c{rank}", lesion, int(bool(lesion)), 0, 0, 1, 1, 0.5)


def test_recall_by_hand() -> None:
    cases = [Case("a", "g", "train", 2), Case("b", "g", "train", 1), Case("c", "h", "test", 0),
             Case("d", "h", "test", 1)]
    found = [candidate("a", 1, "a:1"), candidate("a", 2, "a:1"), candidate("a", 3, "a:2"),
             candidate("b", 1, ""), candidate("b", 2, "b:1"), candidate("c", 1, ""),
             candidate("d", 1, "")]
    table = proposals.recall(cases, found)
    assert table["train"] == {"1": pytest.approx(1 / 3), "2": pytest.approx(2 / 3), "3": 1, "5": 1,
                              "10": 1}
    assert set(table["test"].values()) == {0.0}
    assert proposals.recall(cases[2:3], found) == {}
    assert [row.candidate for row in proposals.best(found, 1)] == ["a:c1", "b:c1", "c:c1", "d:c1"]


@pytest.mark.parametrize("jobs", [1, 2])
def test_detected_and_labelled(colon: Path, jobs: int) -> None:
    frames = reader.read_frames(colon)[:3]
    rows = proposals.detect_all(frames, 2, jobs)
    assert [(row.candidate, row.lesion, row.label) for row in rows] == [
        ("000:c01", "000:1", 1), ("000:c02", "", 0), ("001:c01", "001:1", 1),
        ("001:c02", "", 0), ("002:c01", "", 0), ("002:c02", "", 0)]
    assert (rows[0].x, rows[0].y, rows[0].score, rows[0].group) == (30.0, 16.0, 0.75, "g0")


def test_inspection_is_remembered_until_a_file_changes(
        colon: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frames, cache = reader.read_frames(colon), tmp_path / "inputs.json"
    read: list[str] = []
    inspect: Callable[..., list[proposals.Inspection]] = proposals._inspect

    def counted(part: list[reader.Frame]) -> list[proposals.Inspection]:
        read.extend(frame.case for frame in part)
        return inspect(part)
    monkeypatch.setattr(proposals, "_inspect", counted)
    first = proposals.inspect_frames(frames, cache, 1)
    assert len(read) == len(frames)
    assert [first[frame.case].lesions for frame in frames[:3]] == [1, 1, 0]
    assert proposals.inspect_frames(frames, cache, 1) == first
    assert len(read) == len(frames)
    frames[4].image_path.write_bytes(frames[5].image_path.read_bytes())
    second = proposals.inspect_frames(frames, cache, 1)
    assert read[len(frames):] == [frames[4].case]
    assert proposals.inputs_digest(frames, first) != proposals.inputs_digest(frames, second)


def test_the_same_image_in_two_groups_is_refused(colon: Path, tmp_path: Path) -> None:
    frames = reader.read_frames(colon)
    frames[4].image_path.write_bytes(frames[3].image_path.read_bytes())
    same_group = proposals.inspect_frames(frames, tmp_path / "a.json", 1)
    proposals.refuse_shared_images(frames, same_group)
    frames[4].image_path.write_bytes(frames[0].image_path.read_bytes())
    with pytest.raises(InputError, match=r"004\.png: duplicate image, .* 000\.png of group g0"):
        proposals.refuse_shared_images(frames, proposals.inspect_frames(frames, tmp_path / "b", 1))
