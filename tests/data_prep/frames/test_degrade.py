"""Faults: nothing at severity 0, worse with severity, and nothing but the fault."""
from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_prep.frames import effects
from data_prep.frames.degrade import (
    THRESHOLD,
    UNTOUCHED,
    Fault,
    degrade,
    draw_faults,
    extended,
    field_of,
    noise_level,
    to_display,
    to_light,
)
from data_prep.frames.matter import coverage, noise

SIZE = (120, 160)
BORDER = 12


def octagon() -> np.ndarray:
    mask = np.zeros(SIZE, np.uint8)
    cv2.fillConvexPoly(mask, np.array([(40, 8), (120, 8), (148, 36), (148, 84), (120, 112),
                                       (40, 112), (12, 84), (12, 36)]), 1)
    return mask > 0


@pytest.fixture(scope="module")
def frame() -> np.ndarray:
    """Reddish texture with glints and a dark lumen in a black border, and the noise of a sensor."""
    rng = np.random.default_rng(5)
    texture = 1 + 0.15 * noise(rng, SIZE, 12) + 0.12 * noise(rng, SIZE, 4)
    image = texture[..., None] * np.array([70.0, 100.0, 170.0])
    ys, xs = np.mgrid[:SIZE[0], :SIZE[1]]
    image *= 1 - 0.85 * np.exp(-((xs - 70) ** 2 + (ys - 60) ** 2) / 500)[..., None]
    for x, y in ((100, 50), (40, 80), (110, 90)):
        cv2.circle(image, (x, y), 2, (255, 255, 255), -1)
    image[~octagon()] = BORDER
    return np.clip(image + rng.normal(0, 2, image.shape), 0, 255).astype(np.uint8)


def spoilt(frame: np.ndarray, kind: str, severity: float, seed: int = 1) -> np.ndarray:
    return degrade(frame, octagon(), Fault(kind, severity), np.random.default_rng(seed))


@pytest.mark.parametrize("kind", effects.KINDS)
def test_no_severity_no_change(frame: np.ndarray, kind: str) -> None:
    assert (spoilt(frame, kind, 0.0) == frame).all()
    slight = np.abs(spoilt(frame, kind, 0.01).astype(int) - frame)[octagon()]
    assert np.median(slight) <= 2      # the border of the two is no step


@pytest.mark.parametrize("kind", effects.KINDS)
def test_more_is_worse(frame: np.ndarray, kind: str) -> None:
    field = octagon()
    away = [np.abs(cv2.GaussianBlur(spoilt(frame, kind, severity), (0, 0), 1).astype(float)
                   - cv2.GaussianBlur(frame, (0, 0), 1))[field].mean()
            for severity in (0.25, 0.5, 0.75, 1.0)]
    assert away == sorted(away)
    assert away[-1] > 6


@pytest.mark.parametrize("kind", effects.KINDS)
def test_the_border_stays(frame: np.ndarray, kind: str) -> None:
    outside = cv2.erode((~octagon()).astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
    assert outside.sum() > 500
    assert (spoilt(frame, kind, 0.9)[outside] == frame[outside]).all()


@pytest.mark.parametrize("kind", ["motion", "rotation", "defocus", "contact", "water"])
def test_blurring_leaves_the_noise(frame: np.ndarray, kind: str) -> None:
    """Within a third: a clean frame would be known by its cleanness."""
    core = cv2.erode(octagon().astype(np.uint8), np.ones((7, 7), np.uint8)) > 0
    before, after = (noise_level(image, core) for image in (frame, spoilt(frame, kind, 0.8)))
    assert before > 0.5
    assert after == pytest.approx(before, rel=0.34)


def test_the_same_seed_gives_the_same_pixels(frame: np.ndarray) -> None:
    for kind in effects.KINDS:
        one, two, other = (spoilt(frame, kind, 0.7, seed) for seed in (3, 3, 4))
        assert (one == two).all()
        assert (one != other).any()


def test_noise_level_of_known_noise() -> None:
    rng = np.random.default_rng(0)
    for sigma in (1.0, 4.0):
        grey = 100 + rng.normal(0, sigma, (160, 160))[..., None] * np.ones(3)
        assert noise_level(grey, np.ones((160, 160), bool)) == pytest.approx(sigma, rel=0.12)
        ramp = grey + np.arange(160)[None, :, None]
        assert noise_level(ramp, np.ones((160, 160), bool)) == pytest.approx(sigma, rel=0.12)
    assert noise_level(np.zeros((160, 160, 3)), np.zeros((160, 160), bool)) == 0


def test_light_and_back() -> None:
    values = np.arange(256, dtype=np.uint8).reshape(16, 16)[..., None].repeat(3, 2)
    assert np.abs(to_display(to_light(values)) - values)[values < 255].max() < 1e-2
    assert to_light(values)[0, 128 % 16, 0] == pytest.approx((0 / 255) ** 2.2, abs=1e-3)
    assert to_light(np.full((1, 1, 3), 128, np.uint8))[0, 0, 0] == pytest.approx(
        (128 / 255) ** 2.2, rel=1e-5)
    assert 3 < to_light(values)[-1, -1, 0] < 5


def test_a_disc_keeps_the_light_and_has_its_radius() -> None:
    light = np.zeros((101, effects.WIDTH, 3), np.float32)
    light[50, 200] = 1
    out = effects.defocus(light, np.ones((101, effects.WIDTH), bool), 1.0,
                          np.random.default_rng(0))[..., 0]
    assert out.sum() == pytest.approx(1, rel=1e-4)
    lit = out > out.max() / 2
    assert lit.sum() == pytest.approx(np.pi * effects.DISC_RADIUS_PX ** 2, rel=0.06)


def test_a_pan_leaves_a_streak_of_its_length() -> None:
    light = np.zeros((151, effects.WIDTH, 3), np.float32)
    light[75, 190] = 1
    out = effects.pan(light, np.ones((151, effects.WIDTH), bool), 1.0,
                      np.random.default_rng(2))[..., 0]
    assert out.sum() == pytest.approx(1, rel=1e-4)
    lit = np.argwhere(out > 1e-3)
    longest = np.hypot(*(lit.max(0) - lit.min(0)))
    assert longest == pytest.approx(effects.PAN_PX, rel=0.2)


def test_exposures_reach_their_aim(frame: np.ndarray) -> None:
    field = octagon()
    bright, dark = (spoilt(frame, kind, 1.0)[field] for kind in ("overexposure", "underexposure"))
    assert (bright.min(1) > 200).mean() > 0.5
    assert np.median(dark) < 30


@given(share=st.floats(0.1, 0.9), seed=st.integers(0, 20))
def test_coverage(share: float, seed: int) -> None:
    field = octagon()
    height = noise(np.random.default_rng(seed), SIZE, 20)
    assert (coverage(height, field, share, 1e-3) > 0.5)[field].mean() == pytest.approx(share,
                                                                                      abs=0.03)


def test_the_field_of_a_frame(frame: np.ndarray) -> None:
    found, real = field_of(frame), octagon()
    assert (found & ~real).mean() < 0.06       # some pixels of soft edge
    assert (real & ~found).mean() < 0.01
    assert found[50:70, 60:80].all()           # the dark lumen is inside
    assert field_of(np.zeros((40, 50, 3), np.uint8)).all()


def test_extension_takes_the_nearest() -> None:
    values = np.zeros((5, 9, 2), np.float32)
    known = np.zeros((5, 9), bool)
    values[2, 1], values[2, 7] = (1, 2), (3, 4)
    known[2, 1] = known[2, 7] = True
    out = extended(values, known)
    assert out[0, 0].tolist() == [1, 2] and out[4, 8].tolist() == [3, 4]
    assert out[2, 3].tolist() == [1, 2] and out[2, 6].tolist() == [3, 4]
    assert (extended(values, ~np.zeros((5, 9), bool)) == values).all()


def test_drawn_faults() -> None:
    faults = draw_faults(4000, 2000, np.random.default_rng(1))
    informative = np.array([fault.informative for fault in faults])
    severity = np.array([fault.severity for fault in faults])
    assert informative.sum() == 2000
    assert ((severity < THRESHOLD) == informative).all()
    assert (severity[informative] == 0).mean() == pytest.approx(UNTOUCHED, abs=0.04)
    # Near the threshold there is as much on one side as on the other.
    near = np.abs(severity - THRESHOLD) < 0.1
    assert informative[near].mean() == pytest.approx(0.4, abs=0.06)
    for name, kind in effects.KINDS.items():
        mine = np.array([fault.kind == name for fault in faults])
        assert mine.mean() == pytest.approx(kind.share, abs=0.03)
        assert informative[mine].mean() == pytest.approx(0.5, abs=0.1)
    assert sum(kind.share for kind in effects.KINDS.values()) == pytest.approx(1)


@pytest.mark.parametrize("count, informative", [(10, 5), (7, 4), (7, 3), (2, 0), (1, 1)])
def test_exactly_so_many_are_informative(count: int, informative: int) -> None:
    for seed in range(5):
        faults = draw_faults(count, informative, np.random.default_rng(seed))
        assert sum(fault.informative for fault in faults) == informative
        assert len(faults) == count
