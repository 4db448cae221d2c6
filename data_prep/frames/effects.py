"""What spoils the view of a colonoscope, each with a severity from 0 (nothing) to 1 (no view).

An effect takes linear light, float32 (h, w, 3) BGR where 1 is about display white, bool (h, w)
which pixels lie in the endoscope's field, a severity and a generator, and returns light. The
light goes on beyond the field (see `degrade.extended`), so that nothing dark is smeared in. The
generator is drawn from alike at every severity: a severity more is the same accident, worse.
Lengths are in pixels of a frame 384 wide and grow with the frame.
"""
from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import cv2
import numpy as np

from data_prep.frames.matter import bubble_film, coverage, noise, stool_surface

WIDTH = 384
LUMINANCE = np.array([0.07, 0.72, 0.21], np.float32)   # of linear blue, green, red
Effect = Callable[[np.ndarray, np.ndarray, float, np.random.Generator], np.ndarray]

PAN_PX = 60.0            # way of the image during the exposure; a quarter of it at severity 0.5
ROLL_DEGREES = 30.0      # likewise
ZOOM = 0.25
DISC_RADIUS_PX = 18.0    # of the circle of confusion; likewise
RIPPLE_PX = 11.0
DARKEST = 0.003          # median luminance of the field at severity 1
BURNT_OUT = 0.7          # share of the field that is beyond white at severity 1


def _unit(light: np.ndarray) -> float:
    return light.shape[1] / WIDTH


def _swept(light: np.ndarray, at: Callable[[float], np.ndarray], way_px: float) -> np.ndarray:
    """Mean of the image along a motion; `at` gives its (2, 3) warp at time -1/2 to 1/2."""
    steps = int(np.clip(1.2 * way_px, 2, 48))
    total = np.zeros_like(light)
    for time in (np.arange(steps) + 0.5) / steps - 0.5:
        total += cv2.warpAffine(light, at(float(time)), light.shape[1::-1], flags=cv2.INTER_LINEAR,
                                borderMode=cv2.BORDER_REPLICATE)
    return total / np.float32(steps)


def pan(light: np.ndarray, field: np.ndarray, severity: float, rng: np.random.Generator
        ) -> np.ndarray:
    """Fast motion across the view, on a slightly bent way."""
    heading, bow = rng.uniform(0, 2 * np.pi), rng.normal(0, 0.25)
    way = PAN_PX * _unit(light) * severity ** 2
    along = way * np.array([np.cos(heading), np.sin(heading)])
    across = bow * way * np.array([-np.sin(heading), np.cos(heading)])

    def at(time: float) -> np.ndarray:
        shift = time * along + (4 * time * time - 1) * across
        return np.array([[1, 0, shift[0]], [0, 1, shift[1]]])

    return _swept(light, at, way)


def roll(light: np.ndarray, field: np.ndarray, severity: float, rng: np.random.Generator
         ) -> np.ndarray:
    """Fast turn of the shaft, with some advance or withdrawal."""
    height, width = field.shape
    centre = (width * rng.uniform(0.35, 0.65), height * rng.uniform(0.35, 0.65))
    turn = ROLL_DEGREES * severity ** 2 * rng.choice([-1.0, 1.0])
    zoom = ZOOM * severity ** 2 * rng.uniform(-1, 1)

    def at(time: float) -> np.ndarray:
        return np.asarray(cv2.getRotationMatrix2D(centre, time * turn, 1 + time * zoom))

    return _swept(light, at, (np.radians(abs(turn)) + abs(zoom)) * width / 2)


def _out_of_focus(light: np.ndarray, radius_px: float) -> np.ndarray:
    """Every point spread over a disc."""
    if radius_px < 0.3:
        return light
    half = int(np.ceil(radius_px)) + 1
    fine = 4
    ys, xs = (np.mgrid[:(2 * half + 1) * fine, :(2 * half + 1) * fine] + 0.5) / fine - half - 0.5
    inside = (np.hypot(xs, ys) <= radius_px + 0.25).astype(np.float32)
    disc = cv2.resize(inside, (2 * half + 1, 2 * half + 1), interpolation=cv2.INTER_AREA)
    return cv2.filter2D(light, -1, disc / disc.sum(), borderType=cv2.BORDER_REPLICATE)


def defocus(light: np.ndarray, field: np.ndarray, severity: float, rng: np.random.Generator
            ) -> np.ndarray:
    """Too near, too far, or a smeared lens."""
    return _out_of_focus(light, DISC_RADIUS_PX * _unit(light) * severity ** 2)


def contact(light: np.ndarray, field: np.ndarray, severity: float, rng: np.random.Generator
            ) -> np.ndarray:
    """The tip against the wall, from one side on ("red-out").

    What touches is far inside the near limit of focus and lit through: red, with the lamp's glow
    and shadows of what lies in it. The rest of the view suffers with it.
    """
    unit = _unit(light)
    height, width = field.shape
    heading, lamp, depth = rng.uniform(0, 2 * np.pi), rng.uniform(0.3, 0.7, 2), rng.uniform(0.3, 1)
    ys, xs = np.mgrid[:height, :width].astype(np.float32)
    along = ((xs / width - 0.5) * np.cos(heading) + (ys / height - 0.5) * np.sin(heading))
    nearness = along + 0.04 * noise(rng, field.shape, 150 * unit)
    share = coverage(nearness, field, min(1.15 * severity, 1.15), 0.3)[..., None]
    mucosa = light[field].mean(0)
    red = mucosa * np.array([0.55, 0.6, 1.0], np.float32)
    red *= np.float32(rng.uniform(0.4, 0.75)) / red[2]
    close_up = cv2.getRotationMatrix2D((width * lamp[0], height * lamp[1]), 40, 3.0)
    no_glints = np.minimum(light, 1.5 * mucosa)
    shadows = cv2.warpAffine(no_glints, close_up, (width, height), borderMode=cv2.BORDER_REFLECT)
    shadows = cv2.GaussianBlur(shadows, (0, 0), 7 * unit) @ LUMINANCE
    shadows = (shadows / shadows[field].mean() + 0.05) ** np.float32(0.5)
    blood = 1 - np.float32(0.09 * depth) * np.maximum(
        noise(rng, field.shape, 75 * unit) + 0.4 * noise(rng, field.shape, 24 * unit), -0.8)
    away = (xs / width - lamp[0]) ** 2 + (ys / height - lamp[1]) ** 2
    glow = np.exp(-away / (2 * rng.uniform(0.2, 0.4) ** 2))[..., None]
    pale = np.array([0.75, 0.8, 1.0], np.float32) * np.float32(rng.uniform(0.2, 1.1))
    wall = red * (shadows * blood)[..., None] * (0.45 + 0.7 * glow) + pale * 0.45 * glow ** 3
    wall[..., :2] *= (blood ** 2)[..., None]
    rest = _out_of_focus(light, 7 * unit * severity ** 2)
    return np.asarray(rest + share * (wall - rest))


def water(light: np.ndarray, field: np.ndarray, severity: float, rng: np.random.Generator
          ) -> np.ndarray:
    """The lens under turbid water: the view bends, blurs and fades."""
    unit = _unit(light)
    height, width = field.shape
    size = RIPPLE_PX * unit * severity ** 1.5
    ys, xs = np.mgrid[:height, :width].astype(np.float32)
    shift = [sum(weight * noise(rng, field.shape, cell * unit)
                 for weight, cell in ((0.8, 60), (0.35, 22))) for _ in range(2)]
    bent = cv2.remap(light, xs + np.float32(size) * shift[0], ys + np.float32(size) * shift[1],
                     cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    bent = _out_of_focus(bent, 7 * unit * severity ** 2)
    cloud = np.array([rng.uniform(0.35, 0.6), 0.85, rng.uniform(0.9, 1.05)], np.float32)
    glow = cv2.GaussianBlur(light @ LUMINANCE, (0, 0), 45 * unit)[..., None]
    thick = 1 + 0.35 * noise(rng, field.shape, 80 * unit)[..., None]
    share = np.clip(0.8 * severity * thick, 0, 0.93)
    return np.asarray(bent + share * (cloud * (0.5 * glow + 0.08) * 1.5 - bent))


def bubbles(light: np.ndarray, field: np.ndarray, severity: float, rng: np.random.Generator
            ) -> np.ndarray:
    """Foam on the lens side: bubbles with rims and a mirrored lamp in each."""
    return bubble_film(light, field, severity, _unit(light), rng)


def stool(light: np.ndarray, field: np.ndarray, severity: float, rng: np.random.Generator
          ) -> np.ndarray:
    """Stool over the mucosa, with stained liquid around it."""
    return stool_surface(light, field, severity, _unit(light), rng)


def overexposure(light: np.ndarray, field: np.ndarray, severity: float, rng: np.random.Generator
                 ) -> np.ndarray:
    """The automatic exposure too late: burnt out, with a veil of stray light."""
    white = rng.uniform(1.5, 2.5)
    dark_end = max(float(np.quantile((light @ LUMINANCE)[field], 1 - BURNT_OUT)), 0.03)
    bright = light * np.float32(max(white / dark_end, 2.0) ** severity)
    stray = cv2.GaussianBlur(np.minimum(bright, 4), (0, 0), 30 * _unit(light))
    return np.asarray(bright + np.float32(0.12 * severity) * stray)


def underexposure(light: np.ndarray, field: np.ndarray, severity: float, rng: np.random.Generator
                  ) -> np.ndarray:
    """The lamp covered or its light lost in the lumen."""
    strength = rng.uniform(0.7, 1.4)
    median = max(float(np.median((light @ LUMINANCE)[field])), 0.01)
    return light * np.float32(min(DARKEST * strength / median, 0.7) ** severity)


@dataclass(frozen=True)
class Kind:
    """A way to spoil a frame, and its share of all frames."""

    effect: Effect
    share: float
    noise: float = 0.0      # how much more noise at severity 1: the gain of a dark frame is raised


KINDS: Mapping[str, Kind] = {
    "motion": Kind(pan, 0.20),
    "rotation": Kind(roll, 0.10),
    "defocus": Kind(defocus, 0.14),
    "contact": Kind(contact, 0.20),
    "water": Kind(water, 0.08),
    "bubbles": Kind(bubbles, 0.08),
    "stool": Kind(stool, 0.08),
    "overexposure": Kind(overexposure, 0.06),
    "underexposure": Kind(underexposure, 0.06, noise=1.5),
}
"""After the paper: mostly "the rapid motion of the scope or ... wall contact" (Fig. 5)."""
