"""Descriptors of oriented patches against hand-computed cosines."""
from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_prep.polyp import descriptors as d


def _parts(values: np.ndarray) -> np.ndarray:
    return values.reshape(len(values), d.ROWS, d.COLUMNS, d.COEFFICIENTS, d.CHANNELS)


def test_a_step_by_hand() -> None:
    """A step of height 1 in the middle of a sub-patch: the DCT-II of 0, 0, 0, 0, 1, 1, 1, 1."""
    cut = np.zeros((1, 32, 32, 2), np.float32)
    cut[:, :, 16:] = 1
    found = _parts(d.describe(cut))
    by_hand = [sum(0.5 * np.cos(np.pi * k * (2 * x + 1) / 16) for x in range(4, 8))
               for k in (1, 2, 3)]
    middle = found[0, 0, 3, :, 0]
    np.testing.assert_allclose(middle / middle[0], np.array(by_hand) / by_hand[0], atol=1e-5)
    assert middle[0] < 0
    assert np.abs(found[0, :, :2]).max() < 1e-6   # sub-patches that the step does not touch
    assert np.abs(found[0, :, 5:]).max() < 1e-6
    np.testing.assert_allclose(found, np.broadcast_to(found[:, :1], found.shape), atol=1e-6)


def test_what_varies_along_the_edge_only_averages_out() -> None:
    cut = np.zeros((1, 32, 32, 2), np.float32)
    cut[:, ::2] = 5
    np.testing.assert_allclose(d.describe(cut), 0, atol=1e-3)


@given(st.integers(0, 2 ** 31), st.floats(0.1, 20), st.floats(-100, 100))
def test_brightness_and_contrast_change_nothing(seed: int, gain: float, offset: float) -> None:
    cut = np.random.default_rng(seed).normal(0, 10, (2, 32, 32, 2)).astype(np.float32)
    one = d.describe(cut)
    np.testing.assert_allclose(d.describe(gain * cut + np.float32(offset)), one, atol=1e-3)
    np.testing.assert_allclose(np.square(_parts(one)).sum((1, 2, 3)), 1, atol=1e-4)


@given(st.integers(0, 2 ** 31))
def test_the_mirror_of_a_patch(seed: int) -> None:
    cut = np.random.default_rng(seed).normal(0, 10, (2, 32, 32, 2)).astype(np.float32)
    np.testing.assert_allclose(d.mirrored(d.describe(cut)), d.describe(cut[:, :, ::-1]),
                               atol=1e-5)


def test_mirroring_twice_changes_nothing() -> None:
    values = np.random.default_rng(1).normal(size=(3, d.FEATURES)).astype(np.float32)
    np.testing.assert_array_equal(d.mirrored(d.mirrored(values)), values)


@pytest.mark.parametrize("angle", [0.0, 30.0, 90.0, 200.0])
def test_a_patch_lies_along_the_normal(angle: float) -> None:
    """On a ramp along the normal every row of the patch is the same ramp."""
    normal = np.array([[np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))]], np.float32)
    y, x = np.mgrid[:200, :220].astype(np.float32)
    ramp = x * normal[0, 0] + y * normal[0, 1]
    at = np.array([[110, 100]], np.float32)
    cut = d.patches(np.stack([ramp, 2 * ramp], 2), at, normal)
    expected = float(at[0] @ normal[0]) + 3 * (np.arange(32) - 15.5)
    np.testing.assert_allclose(cut[0, ..., 0], np.broadcast_to(expected, (32, 32)), atol=0.1)
    np.testing.assert_allclose(cut[0, ..., 1], 2 * cut[0, ..., 0], atol=0.01)


def test_channels_are_lightness_and_redness() -> None:
    image = np.array([[[255, 255, 255], [0, 0, 255], [0, 255, 0]]], np.uint8)
    found = d.channels(image)[0]
    assert found[0] == pytest.approx([100, 0], abs=0.1)
    assert found[1, 1] > 50 > 0 > found[2, 1]
