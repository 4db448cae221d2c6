"""Vote maps of voters placed by hand."""
from __future__ import annotations

import numpy as np
import pytest

from data_prep.polyp.voting import Voters, VoteSettings, places, vote_map

SHAPE = (288, 384)


def voters_of(at: np.ndarray, turn: np.ndarray, confidence: float = 1.0) -> Voters:
    return Voters(at.astype(np.float32),
                  np.stack([np.cos(turn), np.sin(turn)], 1).astype(np.float32),
                  np.full(len(at), confidence, np.float32))


def ring(x: float, y: float, radius: float, count: int = 48) -> Voters:
    turn = 2 * np.pi * np.arange(count) / count
    return voters_of(np.stack([x + radius * np.cos(turn), y + radius * np.sin(turn)], 1),
                     turn + np.pi)


def lines(tilt_degrees: float) -> Voters:
    """Two parallel lines that look at each other, their voters a little astray."""
    rng = np.random.default_rng(1)
    along = np.deg2rad(tilt_degrees)
    place = np.linspace(-100, 100, 51)[:, None] * [np.cos(along), np.sin(along)]
    across = 30 * np.array([-np.sin(along), np.cos(along)])
    at = np.concatenate([place - across, place + across]) + [192, 144]
    turn = np.repeat([along + np.pi / 2, along - np.pi / 2], 51)
    return voters_of(at, turn + rng.normal(0, 0.03, len(turn)))


def peak(votes: np.ndarray) -> tuple[float, float]:
    row, column = np.unravel_index(int(votes.argmax()), votes.shape)
    return 1.5 + 4 * float(column), 1.5 + 4 * float(row)


@pytest.mark.parametrize("radius", [15, 30, 60])
def test_a_ring_votes_for_its_middle(radius: float) -> None:
    votes = vote_map(ring(180, 140, radius), SHAPE)
    assert votes.shape == places(SHAPE, 4) == (72, 96)
    assert peak(votes) == pytest.approx((180, 140), abs=4)


def test_a_single_pair_by_hand() -> None:
    """Two voters at right angles, both 20 pixels from the place: exp(-20/48) each, their product's
    root."""
    at = np.array([[81.5, 101.5], [101.5, 81.5]])
    votes = vote_map(voters_of(at, np.array([0.0, np.pi / 2]), 0.5), SHAPE)
    assert votes[25, 25] == pytest.approx(0.5 * np.exp(-20 / 48), rel=1e-4)
    assert votes[20, 20] < 1e-6  # behind or beside both


def test_turned_outwards_a_ring_has_no_middle() -> None:
    inwards = ring(180, 140, 30)
    outwards = Voters(inwards.at, -inwards.inward, inwards.confidence)
    assert vote_map(outwards, SHAPE)[34, 44] < 0.01 * vote_map(inwards, SHAPE)[34, 44]


@pytest.mark.parametrize("tilt", [0, 11.25, 22.5, 30, 45, 67.5, 90, 100])
def test_parallel_lines_collect_no_vote(tilt: float) -> None:
    assert vote_map(lines(tilt), SHAPE).max() < 0.02 * vote_map(ring(180, 140, 30), SHAPE).max()


def test_turning_the_voters_turns_the_map() -> None:
    rng = np.random.default_rng(3)
    at, turn = rng.uniform(20, 260, (80, 2)), rng.uniform(0, 2 * np.pi, 80)
    turn = np.round(turn * 16 / np.pi) * np.pi / 16 + 0.01  # not on the border of two directions
    upright = vote_map(voters_of(at, turn), (288, 288))
    turned = vote_map(voters_of(np.stack([at[:, 1], 287 - at[:, 0]], 1), turn - np.pi / 2),
                      (288, 288))
    np.testing.assert_allclose(turned, np.rot90(upright), atol=1e-3 * upright.max())


def test_confidence_scales_the_votes() -> None:
    full = ring(180, 140, 30)
    half = Voters(full.at, full.inward, full.confidence / 2)
    np.testing.assert_allclose(vote_map(half, SHAPE), vote_map(full, SHAPE) / 2, atol=1e-5)


def test_nobody_votes() -> None:
    assert not vote_map(voters_of(np.zeros((0, 2)), np.zeros(0)), SHAPE, VoteSettings()).any()
