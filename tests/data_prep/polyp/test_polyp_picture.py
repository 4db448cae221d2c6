"""The picture of all stages, in a single command."""
from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from data_prep.polyp import band, boundary_forests, picture, shape
from data_prep.polyp.phantom import PhantomSettings

QUICK = shape.ShapeSettings(forests=boundary_forests.ForestSettings(per_kind=100, trees=3,
                                                                    pair_trees=3),
                            synthetic=band.SyntheticSettings(shapes=20))


def test_a_sheet_of_the_stages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picture, "PHANTOM", PhantomSettings(3, 2, polyp_video_fraction=1.0))
    learn = shape.learn
    monkeypatch.setattr(shape, "learn", lambda frames, seed: learn(frames, seed, QUICK))
    frame = np.full((288, 384, 3), (70, 100, 150), np.uint8)
    cv2.circle(frame, (190, 140), 40, (90, 130, 205), -1, cv2.LINE_AA)
    cv2.imwrite(str(tmp_path / "frame.png"), frame)
    out = tmp_path / "out.png"
    run = CliRunner().invoke(picture.main, [str(tmp_path / "frame.png"), str(out)])
    assert run.exit_code == 0, run.output
    found = cv2.imread(str(out))
    cell = (288 + picture.TITLE_PX + 2, 384 + 4)
    assert found.shape[0] % cell[0] == 0 and found.shape[1] % cell[1] == 0
    edges = found[picture.TITLE_PX:cell[0] - 2, 2:386]
    assert (edges == 255).all(2).sum() > 20


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    run = CliRunner().invoke(picture.main, [str(tmp_path / "none.png"), str(tmp_path / "out.png")])
    assert run.exit_code != 0 and "none.png" in run.output
    assert not (tmp_path / "out.png").exists()
