"""Crops: the paper's size, at places that are random, stable and all alike in probability."""
from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_prep.frames import crops
from layerwise.contracts import Candidate
from layerwise.errors import InputError

FRAME = Candidate("v1_f2", "v1", "v1_f2", "v1_f2", 1)
PATH = Path("a/frame.png")


@given(width=st.integers(227, 2200), height=st.integers(227, 1400))
def test_sizes(width: int, height: int) -> None:
    rows, columns = crops.fitted(PATH, np.zeros((height, width, 1), np.uint8)).shape[:2]
    assert rows <= height and columns <= width
    assert min(rows, columns) >= 227
    assert (columns <= 500 and rows <= 350) or min(rows, columns) == 227
    if width <= 500 and height <= 350:
        assert (rows, columns) == (height, width)
    else:
        assert abs(columns / width - rows / height) <= 0.51 / min(width, height)


@pytest.mark.parametrize("given_size, size", [
    ((384, 288), (384, 288)), ((500, 350), (500, 350)), ((1000, 700), (500, 350)),
    ((720, 480), (500, 333)), ((1920, 1080), (500, 281)), ((1920, 800), (545, 227)),
    ((227, 227), (227, 227))])
def test_sizes_by_hand(given_size: tuple[int, int], size: tuple[int, int]) -> None:
    image = np.zeros((given_size[1], given_size[0], 3), np.uint8)
    assert crops.fitted(PATH, image).shape == (size[1], size[0], 3)


def test_halving_averages_areas() -> None:
    image = np.random.default_rng(0).integers(0, 255, (700, 1000, 3)).astype(np.uint8)
    means = image.astype(float).reshape(350, 2, 500, 2, 3).mean((1, 3))
    assert np.abs(crops.fitted(PATH, image) - means).max() <= 0.51


@pytest.mark.parametrize("size", [(226, 400), (384, 200), (10, 10)])
def test_too_small(tmp_path: Path, size: tuple[int, int]) -> None:
    path = tmp_path / "small.png"
    assert cv2.imwrite(str(path), np.zeros((size[1], size[0], 3), np.uint8))
    with pytest.raises(InputError, match=rf"small\.png: {size[0]}x{size[1]} pixels") as error:
        crops.load(path)
    assert "\n" not in str(error.value)


def test_a_crop_is_a_part_of_the_frame() -> None:
    ys, xs = np.mgrid[:288, :384]
    image = np.stack([ys % 256, xs % 256, ys // 256 + 2 * (xs // 256)], -1).astype(np.uint8)
    for view in crops.VIEWS[:20]:
        x, y = crops.place(FRAME.case, view, 384, 288)
        crop = crops.cut(image, FRAME, view)
        assert crop.shape == (227, 227, 3)
        assert (crop == image[y:y + 227, x:x + 227]).all()


def test_places_are_stable() -> None:
    """Places computed once by hand: the same on any machine and in any process."""
    assert [crops.place("v1_f2", view, 384, 288) for view in ("c000", "c001", "c199")] == \
        [(57, 34), (112, 22), (29, 41)]
    assert crops.place("v1_f2", "c000", 227, 227) == (0, 0)


def test_places_are_spread_evenly() -> None:
    places = np.array([crops.place(f"f{case}", view, 384, 288)
                       for case in range(30) for view in crops.VIEWS])
    assert places.min() == 0 and places.max(0).tolist() == [157, 61]
    for values, count in zip(places.T, (158, 62)):
        observed = np.bincount(values, minlength=count)
        expected = len(values) / count
        deviation = ((observed - expected) ** 2 / expected).sum()
        assert abs(deviation - (count - 1)) < 4 * (2 * (count - 1)) ** 0.5
    assert abs(np.corrcoef(places.T)[0, 1]) < 0.05


def test_views() -> None:
    assert (crops.VIEWS[0], crops.VIEWS[-1], len(set(crops.VIEWS))) == ("c000", "c199", 200)
    assert crops.VIEWS[:20] == crops.TRAINING_VIEWS
    assert len({crops.place("a", view, 500, 350) for view in crops.VIEWS}) > 195
