"""From an informative frame to a spoilt one, on the way that light takes.

A frame is turned back into linear light, the light is spoilt (`effects`), displayed again, and
given back the noise that blurring took. What lies outside the endoscope's field stays as it is. So
neither the black border nor the level of noise tells a spoilt frame from another.
"""
from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from data_prep.frames.effects import KINDS, LUMINANCE

THRESHOLD = 0.5
"""A frame is informative while its severity is less than this."""
UNTOUCHED = 1 / 3
"""Share of the informative frames that have severity 0 and every pixel as it was."""
GAMMA, KNEE, SHOULDER = 2.2, 235.0, 0.8
"""The display curve: a power, and from KNEE (of 255) on a shoulder. Glints are taken for up to
four times as bright as white, so that they leave streaks and discs."""
DARK = 28
"""Pixels with no channel above this (of 255) may belong to the black border."""


@dataclass(frozen=True)
class Fault:
    """What is wrong with a frame, and how much (0..1)."""

    kind: str
    severity: float

    @property
    def informative(self) -> bool:
        return self.severity < THRESHOLD


def draw_faults(count: int, informative: int, rng: np.random.Generator) -> list[Fault]:
    """Faults of `count` frames, `informative` of them below the threshold, in random order.

    Both classes have the same mixture of kinds, and severities that are even up to the threshold
    from both sides; but a third of the informative frames are untouched.
    """
    names = list(KINDS)
    shares = np.array([kind.share for kind in KINDS.values()])
    kinds = rng.choice(len(names), count, p=shares / shares.sum())
    place, untouched = rng.random(count), rng.random(count) < UNTOUCHED
    low = rng.permutation(count) < informative
    severity = np.where(low, np.where(untouched, 0.0, THRESHOLD * place),
                        THRESHOLD + (1 - THRESHOLD) * place)
    return [Fault(names[kind], float(value)) for kind, value in zip(kinds, severity)]


def degrade(image: np.ndarray, field: np.ndarray, fault: Fault, rng: np.random.Generator
            ) -> np.ndarray:
    """The frame (h, w, 3) uint8 BGR with the fault; at severity 0 the same pixels.

    `field`: bool (h, w), the endoscope's, which is the video's and not the single frame's.
    """
    if fault.severity == 0:
        return image.copy()
    kind = KINDS[fault.kind]
    core = cv2.erode(field.astype(np.uint8), np.ones((5, 5), np.uint8), borderValue=1) > 0
    light = extended(to_light(image), core)
    seen = to_display(kind.effect(light, core, fault.severity, rng))
    wanted = (1 + kind.noise * fault.severity) * noise_level(image, core)
    missing = max(wanted ** 2 - noise_level(seen, core) ** 2, 0.0) ** 0.5
    grain = cv2.GaussianBlur(rng.standard_normal(image.shape).astype(np.float32), (0, 0), 0.6)
    seen += np.float32(missing / max(noise_level(grain, core), 1e-3)) * grain
    border = extended(image.astype(np.float32), ~field)
    edge = cv2.GaussianBlur(field.astype(np.float32), (0, 0), 0.8)[..., None]
    spoilt = np.clip(np.rint(border + edge * (seen - border)), 0, 255).astype(np.uint8)
    return np.where(edge > 0.004, spoilt, image)


def field_of(brightest: np.ndarray) -> np.ndarray:
    """bool (h, w): the endoscope's field, the convex hull of what is not dark, and its soft edge.

    `brightest`: (h, w, 3) uint8, the largest value of each pixel in a video: a single frame may be
    dark up to the border. One that is dark all over is taken for field all over.
    """
    bright = (cv2.medianBlur(brightest, 5).max(2) > DARK).astype(np.uint8)
    bright = cv2.morphologyEx(bright, cv2.MORPH_OPEN, np.ones((5, 5), np.uint8))
    count, parts, stats, _ = cv2.connectedComponentsWithStats(bright)
    mask = np.zeros(bright.shape, np.uint8)
    if count > 1:
        large = np.flatnonzero(stats[1:, cv2.CC_STAT_AREA] > 0.02 * bright.size) + 1
        points = cv2.findNonZero(np.isin(parts, large).astype(np.uint8))
        if points is not None:
            cv2.fillConvexPoly(mask, cv2.convexHull(points), 1)
            mask = cv2.dilate(mask, np.ones((5, 5), np.uint8))
    return np.asarray(mask > 0) if mask.any() else np.ones(bright.shape, bool)


def extended(values: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Values (h, w, channels) with the nearest known one wherever none is known."""
    if known.all() or not known.any():
        return values.copy()
    _, nearest = cv2.distanceTransformWithLabels((~known).astype(np.uint8), cv2.DIST_L2, 5,
                                                 labelType=cv2.DIST_LABEL_PIXEL)
    place = np.zeros(int(nearest.max()) + 1, np.int64)
    place[nearest[known]] = np.flatnonzero(known)
    return values.reshape(-1, values.shape[2])[place[nearest.ravel()]].reshape(values.shape)


def to_light(image: np.ndarray) -> np.ndarray:
    """Linear light of a frame, float32; 1 is about display white."""
    table = np.arange(256, dtype=np.float64)
    knee = (KNEE / 255) ** GAMMA
    light = np.where(table <= KNEE, (table / 255) ** GAMMA, knee - SHOULDER * np.log(
        np.maximum(1 - (table - KNEE) / (255 - KNEE), 0.02)))
    return cv2.LUT(image, light.astype(np.float32))


def to_display(light: np.ndarray) -> np.ndarray:
    """The display values, float32 0..255, of linear light; undoes `to_light`."""
    knee = np.float32((KNEE / 255) ** GAMMA)
    power = 255 * np.clip(light, 0, knee) ** np.float32(1 / GAMMA)
    shoulder = (255 - np.float32(KNEE)) * (1 - np.exp(np.minimum(knee - light, 0)
                                                      / np.float32(SHOULDER)))
    return np.asarray(power + shoulder, np.float32)


def noise_level(image: np.ndarray, field: np.ndarray) -> float:
    """Standard deviation of the luminance's fine noise (were it white), in the smoother half of the
    field.

    A second difference across both axes leaves little but noise; of white noise it has six times
    the deviation.
    """
    grey = image.astype(np.float32) @ LUMINANCE
    kernel = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
    energy = cv2.filter2D(grey, -1, kernel) ** 2
    blocks = cv2.resize(energy, None, fx=1 / 16, fy=1 / 16, interpolation=cv2.INTER_AREA)
    inside = cv2.resize(field.astype(np.float32), blocks.shape[::-1],
                        interpolation=cv2.INTER_AREA) > 0.99
    if not inside.any():
        return 0.0
    smooth = np.sort(blocks[inside])
    return float(np.sqrt(smooth[:max(1, len(smooth) // 2)].mean()) / 6)
