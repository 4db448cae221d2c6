"""The contact sheet: a row per kind, a column per severity."""
from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from click.testing import CliRunner

from data_prep.frames import picture
from data_prep.frames.effects import KINDS


def test_a_sheet_of_real_frames(tmp_path: Path) -> None:
    image = np.random.default_rng(0).integers(40, 200, (230, 240, 3)).astype(np.uint8)
    assert cv2.imwrite(str(tmp_path / "a.png"), image)
    run = CliRunner().invoke(picture.main, [str(tmp_path / "out.png"), "--frame",
                                            str(tmp_path / "a.png")])
    assert run.exit_code == 0, run.output
    rows, columns = cv2.imread(str(tmp_path / "out.png")).shape[:2]
    assert columns == len(picture.SEVERITIES) * (picture.CELL_PX + 4)
    assert rows == len(KINDS) * (picture.CELL_PX * 3 // 4 + picture.TITLE_PX + 2)


def test_a_frame_that_is_missing(tmp_path: Path) -> None:
    run = CliRunner().invoke(picture.main, [str(tmp_path / "out.png"), "--frame", "none.png"])
    assert run.exit_code == 2
    assert run.output.startswith("picture: none.png: cannot be read")
    assert not (tmp_path / "out.png").exists()
