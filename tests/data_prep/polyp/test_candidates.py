"""Lesions of a mask and labels of boxes."""
from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from data_prep.polyp import candidates as proposals
from data_prep.polyp import reader, shape
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


def test_detected_and_labelled(colon: Path) -> None:
    frame = reader.read_frames(colon)[0]
    proposals.learn([frame], colon / "model", 1)
    found = proposals.detect(frame, 2, colon / "model")
    assert [(row.candidate, row.lesion, row.label) for row in found.candidates] == \
        [("000:c01", "000:1", 1), ("000:c02", "", 0)]
    assert found.features.shape == (2, 0)


def test_so_many_frames_are_learnt_from(colon: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proposals, "LEARNT_FRAMES", 8)
    frames, learnt = reader.read_frames(colon), []
    monkeypatch.setattr(shape, "learn", lambda rows, seed: learnt.extend(
        row.group for row in rows) or [])
    proposals.learn(frames, colon / "model", 1)
    assert learnt == [f"g{i}" for i in range(8)]


def test_frames_without_polyps_are_refused(colon: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def learn(rows: object, seed: int) -> None:
        raise ValueError("no edge of these frames is the boundary of a polyp")
    monkeypatch.setattr(shape, "learn", learn)
    with pytest.raises(InputError, match="frames: no edge of these frames"):
        proposals.learn(reader.read_frames(colon), colon / "model", 1)
