"""The figure of candidates in standard planes and along their vessels."""
from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from cylinders import ball, paint, tube, unit

from data_prep.pe import picture
from data_prep.pe.alignment import vessel_frame


def test_a_row_per_candidate_and_the_same_bytes_again(tmp_path: Path) -> None:
    scene = paint([tube(unit((1, 1, 0.5)), 3.0)], ball(1.5), (1.0, 0.8, 0.8))
    voxels = np.argwhere(scene.clot)
    frame = vessel_frame(scene.volume, scene.vessels, voxels, voxels[0])
    one = picture.draw(scene.volume, {"a": frame}, tmp_path / "one", "stand-in")
    two = picture.draw(scene.volume, {"a": frame, "b": frame}, tmp_path / "two")
    assert [path.name for path in one] == ["one.pdf", "one.png"]
    small, large = (cv2.imread(str(paths[1])) for paths in (one, two))
    assert small.shape[1] == large.shape[1]
    assert 100 < large.shape[0] - small.shape[0] < 300  # one row of nine cells
    before = [path.read_bytes() for path in one]
    picture.draw(scene.volume, {"a": frame}, tmp_path / "one", "stand-in")
    assert [path.read_bytes() for path in one] == before


def test_nothing_to_draw_is_refused(tmp_path: Path) -> None:
    scene = paint([tube(unit((1, 0, 0)), 3.0)], ball(1.5), (2.0, 2.0, 2.0))
    with pytest.raises(ValueError, match="no candidates"):
        picture.draw(scene.volume, {}, tmp_path / "none")
