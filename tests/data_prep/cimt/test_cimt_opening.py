"""A user's single frame: its grey values and the size of its pixels."""
from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from carotids import ROI, frame
from test_cimt_dicom import scale, write_dicom

from data_prep.cimt.opening import open_frame
from layerwise.errors import InputError


@pytest.fixture()
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "wall.png"
    assert cv2.imwrite(str(path), frame(1))
    return path


@pytest.fixture()
def dicom(tmp_path: Path) -> Path:
    path = tmp_path / "wall.dcm"
    write_dicom(path, frame(1), scale())
    return path


def test_a_picture_has_the_size_the_user_says(picture: Path) -> None:
    image, pixel_um = open_frame(picture, ROI, 62.5)
    assert np.array_equal(image, frame(1)) and pixel_um == 62.5


def test_a_dicom_file_says_its_own(dicom: Path) -> None:
    for given in (None, 93.0):
        image, pixel_um = open_frame(dicom, ROI, given)
        assert np.array_equal(image, frame(1)) and pixel_um == pytest.approx(93.0)


@pytest.mark.parametrize("roi, pixel_um, message", [
    (ROI, None, "give --pixel-size"),
    (ROI, 2.0, "in micrometres, 5 to 1000"),
    ((0, 0, 5, 5), 60.0, "ROI of 5x5 pixels"),
    ((100, 0, 92, 60), 60.0, "reaches outside the frame"),
])
def test_a_picture_is_refused(picture: Path, roi: Any, pixel_um: Any, message: str) -> None:
    with pytest.raises(InputError, match=f"wall.png: .*{message}"):
        open_frame(picture, roi, pixel_um)


def test_a_size_that_contradicts_the_file_is_refused(dicom: Path) -> None:
    with pytest.raises(InputError, match="pixels of 93 micrometres, but 50 by --pixel-size"):
        open_frame(dicom, ROI, 50.0)


def test_pixels_that_are_not_square_are_refused(tmp_path: Path) -> None:
    write_dicom(tmp_path / "wall.dcm", frame(1), scale(delta=(0.0093, 0.0103)))
    with pytest.raises(InputError, match="pixels of 93x103 micrometres"):
        open_frame(tmp_path / "wall.dcm", ROI, None)


def test_a_file_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nothing.png"):
        open_frame(tmp_path / "nothing.png", ROI, 60.0)
