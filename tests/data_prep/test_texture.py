"""Textures against counts made by hand."""
from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_prep.texture import HARALICK, haralick, levels, wavelet_rms


def test_levels_have_equal_widths_and_clip() -> None:
    values = np.array([-500, -200, -101, -100, 199, 200, 900], np.int16)
    assert levels(values, -200, 200, 4).tolist() == [0, 0, 0, 1, 3, 3, 3]


def test_a_constant_patch() -> None:
    found = haralick(np.full((6, 6), 3, np.uint8), None, 1, 8)
    np.testing.assert_allclose(found, [0, 1, 0, 1, 1], atol=1e-12)


def test_two_columns_by_hand() -> None:
    """Columns 0 and 2, 3 rows: along the columns only equal pairs, the other ways only unequal."""
    image = np.array([[0, 2]] * 3, np.uint8)
    # Vertical: half the pairs (0,0), half (2,2): 1 bit, contrast 0, homogeneity 1, correlation 1.
    # The other three: half (0,2), half (2,0): 1 bit, contrast 4, homogeneity 1/5, correlation -1.
    expected = {"entropy": 1.0, "energy": np.sqrt(0.5), "contrast": 3.0, "homogeneity": 0.4,
                "correlation": -0.5}
    np.testing.assert_allclose(haralick(image, None, 1, 4), [expected[n] for n in HARALICK],
                               atol=1e-12)


def test_only_pairs_inside_the_region_count() -> None:
    image = np.array([[0, 1, 7, 7], [1, 0, 7, 0]], np.uint8)
    region = np.array([[1, 1, 0, 0], [1, 1, 0, 0]], bool)
    alone = haralick(image[:, :2], None, 1, 8)
    np.testing.assert_allclose(haralick(image, region, 1, 8), alone, atol=1e-12)


@pytest.mark.parametrize("pixels", [0, 1])
def test_a_region_without_pairs_is_of_one_level(pixels: int) -> None:
    region = np.zeros((5, 5), bool)
    region.ravel()[:pixels] = True
    image = np.arange(25, dtype=np.uint8).reshape(5, 5) % 8
    assert haralick(image, region, 1, 8).tolist() == [0, 1, 0, 1, 1]


@given(st.integers(0, 99), st.integers(1, 3))
def test_mirrors_and_quarter_turns_change_nothing(seed: int, distance: int) -> None:
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 6, (9, 9)).astype(np.uint8)
    region = rng.random((9, 9)) < 0.7
    first = haralick(image, region, distance, 6)
    assert np.isfinite(first).all()
    for turned in (np.flipud, np.fliplr, np.rot90):
        np.testing.assert_allclose(haralick(turned(image), turned(region), distance, 6), first)


def test_a_step_shows_in_its_own_direction_and_depth() -> None:
    image = np.zeros((8, 8))
    image[4:] = 100.0  # only the coarsest blocks are split by it
    found = wavelet_rms(image, 3)
    np.testing.assert_allclose(found, [[0, 0, 0], [0, 0, 0], [50, 0, 0]], atol=1e-9)
    np.testing.assert_allclose(wavelet_rms(image.T, 3)[2], [0, 50, 0], atol=1e-9)
    checks = np.indices((8, 8)).sum(axis=0) % 2 * 100.0
    np.testing.assert_allclose(wavelet_rms(checks, 3)[0], [0, 0, 50], atol=1e-9)


@given(st.integers(0, 99))
def test_details_and_mean_keep_the_energy(seed: int) -> None:
    """Parseval: the mean square is that of the details, each level weighted by its share."""
    image = np.random.default_rng(seed).normal(0, 30, (16, 16))
    found = wavelet_rms(image, 4)
    assert np.square(found).sum() == pytest.approx(image.var())
    for turned in (np.flipud, np.fliplr):
        np.testing.assert_allclose(wavelet_rms(turned(image), 4), found)
    np.testing.assert_allclose(wavelet_rms(image.T, 4), found[:, [1, 0, 2]])
