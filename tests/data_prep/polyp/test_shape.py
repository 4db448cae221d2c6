"""The whole detector on drawings whose answer is known, learnt from other drawings."""
from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from data_prep.polyp import band, boundary_forests, shape
from layerwise.errors import InputError

GROUND = (70, 100, 150)
QUICK = shape.ShapeSettings(
    forests=boundary_forests.ForestSettings(per_kind=600, trees=12, pair_trees=12),
    synthetic=band.SyntheticSettings(shapes=60))


def drawing(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A frame with one bright or dark ellipse, vessels and a fold, and the ellipse's mask."""
    rng = np.random.default_rng(seed)
    image, mask = np.full((288, 384, 3), GROUND, np.uint8), np.zeros((288, 384), np.uint8)
    fold = int(rng.integers(30, 350))
    image[:, fold:] = (78, 112, 168)
    for _ in range(4):
        ends = rng.integers(0, [384, 288], (2, 2)).tolist()
        cv2.line(image, tuple(ends[0]), tuple(ends[1]), (50, 75, 130), 4, cv2.LINE_AA)
    radii = (int(rng.integers(14, 70)), int(rng.integers(14, 70)))
    middle = (int(rng.integers(90, 290)), int(rng.integers(80, 210)))
    colour = (90, 130, 205) if seed % 2 else (45, 65, 115)
    for drawn, value in ((image, colour), (mask, 255)):
        cv2.ellipse(drawn, middle, radii, float(rng.uniform(0, 180)), 0, 360, value, -1,
                    cv2.LINE_AA)
    noisy = image + rng.normal(0, 2, image.shape)
    return np.clip(noisy, 0, 255).astype(np.uint8), mask > 0


@pytest.fixture(scope="module")
def model() -> shape.Model:
    return shape.learn((shape.Example(f"v{seed // 6}", *drawing(seed)) for seed in range(36)), 1,
                       QUICK)


def disc(x: float, y: float, radius: float, colour: tuple[int, int, int] = (90, 130, 205)
         ) -> np.ndarray:
    image = np.full((288, 384, 3), GROUND, np.uint8)
    cv2.circle(image, (round(x * 16), round(y * 16)), round(radius * 16), colour, -1, cv2.LINE_AA,
               4)
    return image


@pytest.mark.parametrize("colour", [(90, 130, 205), (45, 65, 115)], ids=["bright", "dark"])
@pytest.mark.parametrize("radius", [16, 30, 50])
def test_a_disc_on_plain_ground_is_found(model: shape.Model, radius: int,
                                         colour: tuple[int, int, int]) -> None:
    first = shape.detect(disc(190, 145, radius, colour), model)[0]
    assert first.centre == pytest.approx((190, 145), abs=2)
    assert (first.w + first.h) / 4 == pytest.approx(radius, rel=0.2)
    assert first.score > 0.4


def test_turning_the_frame_turns_the_candidates(model: shape.Model) -> None:
    image = np.full((384, 384, 3), GROUND, np.uint8)
    for x, y, radius in ((110, 130, 30), (260, 250, 45), (270, 90, 20)):
        cv2.circle(image, (x, y), radius, (90, 130, 205), -1, cv2.LINE_AA)
    upright = shape.detect(image, model)[:3]
    turned = shape.detect(np.ascontiguousarray(np.rot90(image)), model)[:3]
    expected = sorted((y, 383 - x) for x, y in (each.centre for each in upright))
    assert len(expected) == 3
    np.testing.assert_allclose(sorted(each.centre for each in turned), expected, atol=3)


@pytest.mark.parametrize("tilt", [0, 30, 90])
def test_parallel_lines_collect_nothing_of_note(model: shape.Model, tilt: int) -> None:
    image = np.full((288, 384, 3), GROUND, np.uint8)
    along = np.deg2rad(tilt)
    for offset in range(-400, 401, 45):
        middle = np.array([192, 144]) + offset * np.array([-np.sin(along), np.cos(along)])
        ends = [middle + sign * 600 * np.array([np.cos(along), np.sin(along)]) for sign in (-1, 1)]
        cv2.line(image, *(tuple(int(v) for v in end) for end in ends), (90, 130, 205), 8,
                 cv2.LINE_AA)
    best = shape.detect(disc(190, 145, 30), model)[0].score
    assert all(each.score < 0.3 * best for each in shape.detect(image, model))


def test_noise_gives_few_and_low_scores(model: shape.Model) -> None:
    noise = np.random.default_rng(2).normal(0, 8, (288, 384, 3))
    noisy = np.clip(np.full((288, 384, 3), GROUND) + noise, 0, 255).astype(np.uint8)
    best = shape.detect(disc(190, 145, 30), model)[0].score
    found = shape.detect(noisy, model)
    assert len(found) <= shape.DEFAULTS.max_candidates
    assert all(each.score < 0.5 * best for each in found)


@pytest.mark.parametrize("frame", [np.full((288, 384, 3), GROUND, np.uint8),
                                   np.zeros((288, 384, 3), np.uint8)])
def test_plain_frames_give_nothing(model: shape.Model, frame: np.ndarray) -> None:
    assert shape.detect(frame, model) == []


def test_a_larger_frame_gives_the_same_boxes_larger(model: shape.Model) -> None:
    image = disc(170, 150, 40)
    double = cv2.resize(image, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)
    one, two = (shape.detect(each, model)[0] for each in (image, double))
    assert (two.x, two.y, two.w, two.h) == pytest.approx(
        (2 * one.x, 2 * one.y, 2 * one.w, 2 * one.h), abs=8)


def test_candidates_come_best_first(model: shape.Model) -> None:
    found = shape.detect(drawing(101)[0], model)
    scores = [each.score for each in found]
    assert scores == sorted(scores, reverse=True) and all(0 <= score <= 1 for score in scores)


def test_most_ellipses_of_new_drawings_come_first(model: shape.Model) -> None:
    hits = 0
    for seed in range(200, 212):
        image, mask = drawing(seed)
        x, y = shape.detect(image, model)[0].centre
        hits += bool(mask[int(np.clip(y, 0, 287)), int(np.clip(x, 0, 383))])
    assert hits >= 9


def test_a_stored_model_is_the_same(model: shape.Model, tmp_path: Path) -> None:
    shape.write_model(tmp_path / "model", model)
    image = drawing(102)[0]
    again = shape.read_model(tmp_path / "model")
    assert shape.detect(image, again) == shape.detect(image, model)
    assert shape.read_model(tmp_path / "model") is again


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        shape.write_model(tmp_path / name, shape.learn(
            (shape.Example(f"v{seed}", *drawing(seed)) for seed in range(4)), 7, QUICK))
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_what_is_no_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no model")
    for name in ("text", "nothing"):
        with pytest.raises(InputError, match=name):
            shape.read_model(tmp_path / name)


def test_without_frames_or_polyps_nothing_can_be_learnt() -> None:
    with pytest.raises(ValueError, match="no frames"):
        shape.learn(iter(()), 1, QUICK)
    image, mask = drawing(1)
    with pytest.raises(ValueError, match="boundary of a polyp"):
        shape.learn([shape.Example("v", image, np.zeros_like(mask))], 1, QUICK)
