"""The geometric detector on drawings whose answer is known."""
from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_prep.polyp.detector import (
    Candidate,
    DetectorSettings,
    _best_path,
    detect,
    edge_map,
    visible_field,
)


def _plain(height: int = 288, width: int = 384) -> np.ndarray:
    return np.full((height, width, 3), (70, 100, 150), np.uint8)


def _disc(x: float, y: float, radius: float, colour: tuple[int, int, int] = (90, 130, 200)
          ) -> np.ndarray:
    image = _plain()
    cv2.circle(image, (round(x * 16), round(y * 16)), round(radius * 16), colour, -1, cv2.LINE_AA,
               4)
    return image


@pytest.mark.parametrize("colour", [(90, 130, 200), (40, 60, 90)], ids=["bright", "dark"])
@pytest.mark.parametrize("radius", [12, 25, 50, 80])
def test_a_disc_is_found(radius: int, colour: tuple[int, int, int]) -> None:
    first = detect(_disc(170, 150, radius, colour))[0]
    assert first.centre == pytest.approx((170, 150), abs=2)
    assert (first.w, first.h) == pytest.approx((2 * radius, 2 * radius), rel=0.1, abs=3)
    assert first.score > 0.7


@settings(max_examples=15, deadline=None)
@given(st.floats(90, 290), st.floats(80, 210), st.floats(12, 60))
def test_a_disc_is_found_anywhere(x: float, y: float, radius: float) -> None:
    assert detect(_disc(x, y, radius))[0].centre == pytest.approx((x, y), abs=3)


def test_an_ellipse_gives_its_box() -> None:
    image = _plain()
    cv2.ellipse(image, (200, 140), (60, 35), 0, 0, 360, (90, 130, 200), -1, cv2.LINE_AA)
    first = detect(image)[0]
    assert (first.x, first.y, first.w, first.h) == pytest.approx((140, 105, 120, 70), abs=6)


@pytest.mark.parametrize("tilt", [0, 30, 90])
def test_parallel_lines_collect_nothing_of_note(tilt: int) -> None:
    image = _plain()
    along = np.deg2rad(tilt)
    for offset in range(-400, 401, 45):
        middle = np.array([192, 144]) + offset * np.array([-np.sin(along), np.cos(along)])
        ends = [middle + sign * 600 * np.array([np.cos(along), np.sin(along)]) for sign in (-1, 1)]
        cv2.line(image, *(tuple(int(v) for v in end) for end in ends), (90, 130, 200), 8,
                 cv2.LINE_AA)
    disc = detect(_disc(170, 150, 30))[0].score
    assert all(candidate.score < 0.75 * disc for candidate in detect(image))


def test_noise_gives_low_scores() -> None:
    noise = np.random.default_rng(2).normal(0, 8, (288, 384, 3))
    found = detect(np.clip(_plain() + noise, 0, 255).astype(np.uint8))
    assert len(found) <= DetectorSettings().max_candidates
    assert all(candidate.score < 0.6 for candidate in found)


def test_a_disc_beats_noise() -> None:
    noise = np.random.default_rng(3).normal(0, 8, (288, 384, 3))
    first = detect(np.clip(_disc(220, 120, 35) + noise, 0, 255).astype(np.uint8))[0]
    assert first.centre == pytest.approx((220, 120), abs=3)


def test_plain_frames_give_nothing() -> None:
    assert detect(_plain()) == []
    assert detect(np.zeros((288, 384, 3), np.uint8)) == []


def _rotated(candidate: Candidate, size: int) -> tuple[float, float]:
    """Where the centre goes when the square frame is turned by 90 degrees to the left."""
    x, y = candidate.centre
    return y, size - 1 - x


def test_turning_the_frame_turns_the_candidates() -> None:
    image = _plain(384, 384)
    for x, y, radius in ((110, 130, 30), (260, 250, 50), (270, 90, 22)):
        cv2.circle(image, (x, y), radius, (90, 130, 200), -1, cv2.LINE_AA)
    upright = detect(image)[:3]
    turned = detect(np.ascontiguousarray(np.rot90(image)))[:3]
    expected = sorted(_rotated(candidate, 384) for candidate in upright)
    found = sorted(candidate.centre for candidate in turned)
    np.testing.assert_allclose(found, expected, atol=3)


def test_a_larger_frame_gives_the_same_boxes_larger() -> None:
    image = _disc(170, 150, 40)
    double = cv2.resize(image, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)
    one, two = detect(image)[0], detect(double)[0]
    assert (two.x, two.y, two.w, two.h) == pytest.approx(
        (2 * one.x, 2 * one.y, 2 * one.w, 2 * one.h), abs=4)


def test_candidates_come_best_first_and_apart() -> None:
    limits = DetectorSettings(max_candidates=4)
    image = _disc(100, 150, 30)
    for x in (200, 300):
        cv2.circle(image, (x, 150), 30, (90, 130, 200), -1, cv2.LINE_AA)
    found = detect(image, limits)
    assert len(found) <= 4
    assert [c.score for c in found] == sorted((c.score for c in found), reverse=True)
    assert sorted(round(c.centre[0] / 100) for c in found[:3]) == [1, 2, 3]


def test_border_and_glints_are_no_edges() -> None:
    image = _plain()
    image[:, :50] = 8
    image[100:108, 200:208] = 250
    field = visible_field(image, DetectorSettings())
    assert not field[:, :54].any() and field[50:90, 60:190].all()
    assert not field[98:110, 198:210].any()
    assert not edge_map(image, DetectorSettings())[0].any()


def test_the_path_bends_where_it_pays() -> None:
    """A detour to an edge is taken where it pays for its four steps of bending, and not else."""
    gain = np.zeros((1, 8, 10))
    gain[0, :, 4] = 1.0
    gain[0, 3, 4], gain[0, 3, 6] = 0.0, 1.0  # a notch the path may follow or bridge
    path, support = _best_path(gain, bend_cost=0.1)
    assert path[0].tolist() == [4, 4, 4, 6, 4, 4, 4, 4]
    assert support.sum() == pytest.approx(8)
    assert _best_path(gain, bend_cost=0.6)[0][0].tolist() == [4] * 8


@pytest.mark.parametrize("wrong", [np.zeros((10, 10), np.uint8), np.zeros((9, 9, 3), float)])
def test_other_arrays_are_refused(wrong: np.ndarray) -> None:
    with pytest.raises(ValueError, match="uint8"):
        detect(wrong)
