"""The band around a maximum of votes, on shapes drawn by hand."""
from __future__ import annotations

import numpy as np
import pytest

from data_prep.polyp import band
from data_prep.polyp.band import RADII, RAYS, Regression
from data_prep.polyp.voting import DEFAULTS, Voters, vote_map


@pytest.fixture(scope="module")
def regression() -> Regression:
    return band.learn(1, DEFAULTS, band.SyntheticSettings(shapes=60))


def cone(height: int, width: int, x: float, y: float, reach: float) -> np.ndarray:
    rows, columns = np.mgrid[:height, :width] * 4 + 1.5
    return np.maximum(1 - np.hypot(columns - x, rows - y) / reach, 0).astype(np.float32)


def voters_at(degrees: np.ndarray, radius: float, confidence: float = 1.0) -> Voters:
    turn = np.deg2rad(degrees)
    unit = np.stack([np.cos(turn), np.sin(turn)], 1).astype(np.float32)
    return Voters((100 + radius * unit).astype(np.float32), -unit,
                  np.full(len(degrees), confidence, np.float32))


def test_isocontours_of_a_cone() -> None:
    """A cone that ends at 80 px falls to level c at 80 (1 - c)."""
    found = band.isocontours(cone(72, 96, 181.5, 141.5, 80), np.array([[181.5, 141.5]]), 4)
    assert found.shape == (1, RAYS, len(band.LEVELS))
    for column, level in enumerate(band.LEVELS):
        np.testing.assert_allclose(found[0, :, column], 80 * (1 - level), atol=3.5)


def test_an_isocontour_that_is_not_there_is_far_away() -> None:
    found = band.isocontours(np.ones((72, 96), np.float32), np.array([[190.0, 140.0]]), 4)
    assert found[0, 180, 0] == RADII[-1]


@pytest.mark.parametrize("radius", [15, 30, 60])
def test_the_outline_of_a_ring(regression: Regression, radius: float) -> None:
    assert regression.spread < 0.3
    ring = voters_at(np.arange(0, 360, 7.5), radius)
    centre = np.array([[100.0, 100.0]])
    ring = Voters(ring.at + 50, ring.inward, ring.confidence)
    found = band.outlines(vote_map(ring, (288, 384), DEFAULTS), centre + 50, 4, regression)
    assert np.median(found) == pytest.approx(radius, rel=0.35)


def test_support_by_hand() -> None:
    centre, outline = np.array([[100.0, 100.0]]), np.full((1, RAYS), 50, np.float32)
    voters = voters_at(np.array([0.0, 90.0]), 50, 0.7)
    found = band.support(voters, centre, outline, 0.2, 4.0)
    # 4 px at 50 px are 4.6 degrees, so 5 to each side.
    assert np.flatnonzero(found[0]).tolist() == [*range(6), *range(85, 96), *range(355, 360)]
    assert found.max() == pytest.approx(0.7)
    both = band.shared(found)
    assert np.count_nonzero(both) == 2 * np.count_nonzero(found)
    assert both[0, 180] == pytest.approx(0.7)


def test_voters_outside_of_the_band_or_turned_away_do_not_count() -> None:
    centre, outline = np.array([[100.0, 100.0]]), np.full((1, RAYS), 50, np.float32)
    for radius in (39.0, 61.0):
        assert not band.support(voters_at(np.array([30.0]), radius), centre, outline, 0.2,
                                4.0).any()
    inside = voters_at(np.array([30.0]), 55)
    assert band.support(inside, centre, outline, 0.2, 4.0).any()
    away = Voters(inside.at, -inside.inward, inside.confidence)
    assert not band.support(away, centre, outline, 0.2, 4.0).any()


def test_the_most_confident_voter_counts() -> None:
    centre, outline = np.array([[100.0, 100.0]]), np.full((1, RAYS), 50, np.float32)
    both = voters_at(np.array([10.0, 12.0]), 50)
    for confidence in ((0.3, 0.9), (0.9, 0.3)):
        voters = Voters(both.at, both.inward, np.array(confidence, np.float32))
        found = band.support(voters, centre, outline, 0.2, 4.0)
        assert found[0, 11] == pytest.approx(0.9)


def test_boxes_hold_the_outline() -> None:
    outline = np.full((1, RAYS), 10, np.float32)
    outline[0, 0] = 30
    x, y, w, h = band.boxes(np.array([[50.0, 60.0]]), outline)[0]
    assert (x, y, w, h) == pytest.approx((40, 50, 40, 20), abs=1e-4)


def test_the_same_seed_gives_the_same_regression() -> None:
    few = band.SyntheticSettings(shapes=8)
    assert band.learn(5, DEFAULTS, few) == band.learn(5, DEFAULTS, few)
    assert band.learn(5, DEFAULTS, few) != band.learn(6, DEFAULTS, few)
