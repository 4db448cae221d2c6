"""The narrow band in which the outline of a polyp is expected, and how well voters fill it.

After "shape in context" (Tajbakhsh, Gurudu, Liang, TMI 35(2):630-644, 2016), as remembered: around
a maximum of the votes the isocontours are as far away as the outline is large. A linear regression,
learnt on synthetic closed shapes, gives the distance of the outline in every direction from those
of the isocontours. The score is the share of directions in which the band holds a voter; a
direction and its opposite share one.
"""
from __future__ import annotations

import functools
from dataclasses import dataclass

import cv2
import numpy as np

from data_prep.polyp.voting import Voters, VoteSettings, places, vote_map

RAYS = 360
RADII = np.arange(2.0, 132.0, 2.0, np.float32)
"""Pixels from the maximum at which the votes are looked at."""
LEVELS = (0.9, 0.75, 0.6, 0.45)
"""Isocontours, as shares of the maximum."""


@dataclass(frozen=True)
class Regression:
    """Distance of the outline = bias + sum of weights * distances of the isocontours."""

    bias: float
    weights: tuple[float, ...]
    spread: float
    """Root mean square of the error, as a share of the distance."""


@dataclass(frozen=True)
class SyntheticSettings:
    """Closed shapes with a wavy outline, some of it missing, among stray voters."""

    shapes: int = 400
    frame: tuple[int, int] = (288, 384)
    radius_px: tuple[float, float] = (10.0, 90.0)
    spacing_px: float = 4.0
    waves: int = 4
    depth: float = 0.25
    missing: float = 0.5
    """Up to this share of the outline has no voter."""
    stray: int = 60
    """Up to so many voters at random places."""
    turned: float = 0.25
    """Standard deviation of the error of the normals, radians."""


DEFAULTS = SyntheticSettings()


def isocontours(votes: np.ndarray, centres: np.ndarray, stride: int) -> np.ndarray:
    """float32 (n, RAYS, levels): distance at which the votes first fall below each level.

    `centres` (n, 2) are x, y in pixels. Where they never do, the largest of RADII.
    """
    if not len(centres):
        return np.zeros((0, RAYS, len(LEVELS)), np.float32)
    angle = 2 * np.pi * np.arange(RAYS) / RAYS
    unit = np.stack([np.cos(angle), np.sin(angle)], 1)
    where = centres[:, None, None] + RADII[:, None] * unit[:, None]
    where = ((where - (stride - 1) / 2) / stride).astype(np.float32)
    profile = cv2.remap(votes, where.reshape(-1, len(RADII), 2), None, cv2.INTER_LINEAR,
                        borderMode=cv2.BORDER_CONSTANT).reshape(len(centres), RAYS, len(RADII))
    at = ((centres - (stride - 1) / 2) / stride).astype(np.float32)
    peak = cv2.remap(votes, at[:, None], None, cv2.INTER_LINEAR)[:, :, None]
    found = []
    for level in LEVELS:
        below = profile < level * peak
        first = np.where(below.any(2), below.argmax(2), len(RADII) - 1)
        found.append(RADII[first])
    return np.stack(found, 2)


def outlines(votes: np.ndarray, centres: np.ndarray, stride: int, regression: Regression
             ) -> np.ndarray:
    """float32 (n, RAYS): expected distance of the outline, not less than the first of RADII."""
    contours = isocontours(votes, centres, stride)
    distance = regression.bias + contours @ np.array(regression.weights, np.float32)
    return np.maximum(distance, RADII[0])


def support(voters: Voters, centres: np.ndarray, outline: np.ndarray, width: float,
            reach_px: float) -> np.ndarray:
    """float32 (n, RAYS): the largest confidence of the voters in the band in each direction.

    The band is `width` of the outline's distance to both sides. Only voters that look towards the
    centre count, by 60 degrees. A voter fills `reach_px` of the outline to both sides of its own
    direction, for edges are thinned out.
    """
    away = voters.at - centres[:, None]
    distance = np.hypot(away[..., 0], away[..., 1])
    ray = np.round(np.arctan2(away[..., 1], away[..., 0]) * (RAYS / (2 * np.pi))).astype(int) % RAYS
    expected = np.take_along_axis(outline, ray, 1)
    facing = -(away * voters.inward).sum(2) > 0.5 * distance
    shape, voter = np.nonzero(facing & (np.abs(distance - expected) <= width * expected))
    half = np.ceil(reach_px / np.maximum(distance[shape, voter], 1) * (RAYS / (2 * np.pi)))
    half = np.minimum(half, RAYS // 8).astype(int)
    each = np.repeat(np.arange(len(shape)), 2 * half + 1)
    step = np.arange(len(each)) - np.repeat(np.cumsum(2 * half + 1) - half - 1, 2 * half + 1)
    confidence = voters.confidence[voter[each]]
    order = np.argsort(confidence, kind="stable")  # of several, the last one stays
    filled = np.zeros(outline.shape, np.float32)
    filled[shape[each][order], ((ray[shape, voter][each] + step) % RAYS)[order]] = confidence[order]
    return filled


def shared(found: np.ndarray) -> np.ndarray:
    """The larger of each direction and its opposite, (n, RAYS)."""
    return np.maximum(found, np.roll(found, RAYS // 2, axis=1))


def boxes(centres: np.ndarray, outline: np.ndarray) -> np.ndarray:
    """(n, 4) x, y, w, h of the outlines."""
    angle = 2 * np.pi * np.arange(RAYS) / RAYS
    rim = centres[:, None] + outline[..., None] * np.stack([np.cos(angle), np.sin(angle)], 1)
    low = rim.min(1)
    return np.concatenate([low, rim.max(1) - low], 1)


@functools.lru_cache(maxsize=8)      # shapes are no frames': the same for every model of a data set
def learn(seed: int, votes: VoteSettings, settings: SyntheticSettings = DEFAULTS) -> Regression:
    """The regression, by least squares of the error's share of the distance."""
    rng = np.random.default_rng(seed)
    found, wanted = [], []
    rays = slice(0, None, RAYS // 24)
    for _ in range(settings.shapes):
        voters, middle, radius = _shape(rng, settings)
        seen = vote_map(voters, settings.frame, votes)
        row, column = np.unravel_index(int(seen.argmax()), places(settings.frame, votes.stride))
        peak = (votes.stride - 1) / 2 + votes.stride * np.array([column, row], float)
        distance = _distances(peak, middle, radius)
        if distance is not None:
            found.append(isocontours(seen, peak[None], votes.stride)[0, rays])
            wanted.append(distance[rays])
    x, y = np.concatenate(found), np.concatenate(wanted)
    table = np.concatenate([np.ones((len(x), 1)), x], 1) / y[:, None]
    weights = np.linalg.lstsq(table, np.ones(len(y)), rcond=None)[0]
    spread = float(np.sqrt(np.mean((table @ weights - 1) ** 2)))
    return Regression(float(weights[0]), tuple(weights[1:].tolist()), spread)


def _shape(rng: np.random.Generator, settings: SyntheticSettings
           ) -> tuple[Voters, np.ndarray, np.ndarray]:
    """Voters of a random shape, its middle, and its distance from there in degrees (RAYS,)."""
    angle = 2 * np.pi * np.arange(RAYS) / RAYS
    wave = np.arange(2, 2 + settings.waves)
    size = rng.normal(0, settings.depth / wave) * rng.random()
    base = np.exp(rng.uniform(*np.log(settings.radius_px)))
    radius = base * (1 + (size * np.cos(np.multiply.outer(angle, wave)
                                        + rng.uniform(0, 2 * np.pi, settings.waves))).sum(1))
    radius = np.maximum(radius, 0.4 * base)
    height, width = settings.frame
    middle = np.array([rng.uniform(0.3, 0.7) * width, rng.uniform(0.3, 0.7) * height])
    ring = radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], 1)
    along = np.roll(ring, -1, 0) - np.roll(ring, 1, 0)
    step = max(1, int(RAYS * settings.spacing_px / (2 * np.pi * base)))
    kept = np.zeros(RAYS, bool)
    kept[::step] = True
    gap = int(rng.uniform(0, settings.missing) * RAYS)
    kept[(rng.integers(RAYS) + np.arange(gap)) % RAYS] = False
    turn = np.arctan2(along[kept, 0], -along[kept, 1])
    stray = int(rng.integers(settings.stray + 1))
    turn = np.concatenate([turn + rng.normal(0, settings.turned, len(turn)),
                           rng.uniform(0, 2 * np.pi, stray)])
    at = np.concatenate([middle + ring[kept] + rng.normal(0, 1, (int(kept.sum()), 2)),
                         rng.uniform(0, 1, (stray, 2)) * (width - 1, height - 1)])
    inside = ((at >= 0) & (at <= (width - 1, height - 1))).all(1)
    inward = np.stack([np.cos(turn), np.sin(turn)], 1)
    return (Voters(at[inside].astype(np.float32), inward[inside].astype(np.float32),
                   np.ones(int(inside.sum()), np.float32)), middle, radius)


def _distances(peak: np.ndarray, middle: np.ndarray, radius: np.ndarray) -> np.ndarray | None:
    """Distance (RAYS,) of the outline from `peak`, None when that lies outside of the shape."""
    angle = 2 * np.pi * np.arange(RAYS) / RAYS
    rim = middle + radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], 1) - peak
    if cv2.pointPolygonTest(rim.astype(np.float32)[:, None], (0.0, 0.0), False) <= 0:
        return None
    turn = np.arctan2(rim[:, 1], rim[:, 0])
    order = np.argsort(turn)
    return np.asarray(np.interp(angle, turn[order], np.hypot(*rim.T)[order], period=2 * np.pi))
