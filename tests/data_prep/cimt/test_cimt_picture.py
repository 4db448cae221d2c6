"""The picture of regions and patches."""
from __future__ import annotations

from pathlib import Path

import cv2
from carotids import write_carotids
from click.testing import CliRunner

from data_prep.cimt import picture


def test_a_picture_of_a_users_folder(tmp_path: Path) -> None:
    folder = write_carotids(tmp_path / "carotids", groups=4, regions=1)
    run = CliRunner().invoke(picture.main, [str(tmp_path / "out.png"), "--images", str(folder),
                                            "--regions", "4"])
    assert run.exit_code == 0, run.output
    height, width = cv2.imread(str(tmp_path / "out.png")).shape[:2]
    assert width == 3 * (picture.PANEL_PX[0] + 2 * picture.GAP_PX)
    frames = 2 * (picture.PANEL_PX[1] + picture.TITLE_PX + picture.GAP_PX)
    size = width // picture.PATCHES - 2 * picture.GAP_PX
    assert height == frames + 3 * (size + picture.TITLE_PX + picture.GAP_PX)


def test_a_folder_that_is_missing(tmp_path: Path) -> None:
    run = CliRunner().invoke(picture.main, [str(tmp_path / "out.png"), "--images",
                                            str(tmp_path / "none")])
    assert run.exit_code == 2
    assert not (tmp_path / "out.png").exists()
