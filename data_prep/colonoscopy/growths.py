"""What stands on the wall of the colon: polyps, debris that may look like them, bubbles.

Lengths are in mm. A growth is a union of ellipsoids, its surface known by an estimate of the
distance to it.
"""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Growth:
    """Something that stands on the wall: a polyp, or a piece of debris that may look like one."""

    is_polyp: bool
    base_mm: np.ndarray
    """(3,) the point of the wall it stands on."""
    frame: np.ndarray
    """(3, 3) rows: two tangents and the normal into the lumen."""
    lobes_mm: np.ndarray
    """(n, 6): centre and radii of ellipsoids in `frame`."""
    reach_mm: float
    """Nothing of it is farther from `base_mm` than this."""
    ripple: np.ndarray
    """(3, 3): depth (mm), wave number (1/mm) and phase of the unevenness along each axis of
    `frame`."""
    blend_mm: float
    """Width of the fillet between lobes and towards the wall."""
    tint: np.ndarray
    """(3,) factor (blue, green, red) on the reflectance of the mucosa at its foot."""
    grain: float
    """Depth of its surface pattern, 0 (smooth) to 1."""
    grain_mm: float
    gloss: float


@dataclass(frozen=True)
class Bubble:
    centre_mm: np.ndarray
    radius_mm: float


def make_growth(
    rng: np.random.Generator,
    is_polyp: bool,
    base_mm: np.ndarray,
    normal: np.ndarray,
    radius_mm: float,
) -> Growth:
    """A polyp or a piece of debris of about `radius_mm` on the wall at `base_mm`, `normal`
    pointing into the lumen."""
    side = np.cross(normal, rng.standard_normal(3))
    side /= np.linalg.norm(side)
    frame = np.stack([side, np.cross(normal, side), normal])
    kind = (
        rng.choice(["sessile", "lobed", "pedunculated", "flat"], p=[0.42, 0.23, 0.17, 0.18])
        if is_polyp
        else "debris"
    )
    stretch = rng.uniform(0.75, 1.3)
    wide, deep = radius_mm * stretch, radius_mm / stretch
    if kind == "pedunculated":
        lean, tall = rng.uniform(-0.9, 0.9, 2) * radius_mm, rng.uniform(1.0, 2.0) * radius_mm
        along = np.linspace(0, 1, 5)[:, None]
        stalk = np.concatenate([along**1.5 * lean, along * tall], 1)
        thick = np.full((5, 3), 0.38 * radius_mm) * (1.2 - 0.35 * along)
        head = [[*lean, tall, wide * 0.95, deep * 0.95, radius_mm * 0.85]]
        lobes = np.concatenate([np.concatenate([stalk, thick], 1), head])
    elif kind in ("lobed", "debris"):
        count = int(rng.integers(3, 8) if is_polyp else rng.integers(4, 8))
        around = rng.uniform(0, 2 * np.pi, count)
        away = rng.uniform(0.2, 0.75, count) * radius_mm
        size = (
            rng.uniform(0.35, 0.65, (count, 1))
            * radius_mm
            * (np.ones(3) if is_polyp else rng.uniform(0.4, 1.0, (count, 3)))
        )
        high = size[:, 0] * (
            rng.uniform(0.2, 0.9, count) if is_polyp else rng.uniform(-0.2, 0.4, count)
        )
        lobes = np.concatenate(
            [np.stack([away * np.cos(around) * stretch, away * np.sin(around), high], 1), size], 1
        )
    else:
        rise = rng.uniform(0.6, 1.0) if kind == "sessile" else rng.uniform(0.25, 0.42)
        centre_height = rng.uniform(0.1, 0.45) * radius_mm * rise
        lobes = np.array([[0.0, 0.0, centre_height, wide, deep, rise * radius_mm]])
    reach = float(np.max(np.linalg.norm(lobes[:, :3], axis=1) + lobes[:, 3:].max(1))) + 1.0
    waves = rng.uniform(1.2, 3.5, 3) if is_polyp else rng.uniform(3.0, 7.0, 3)
    depth = radius_mm * rng.uniform(0.02, 0.08 if is_polyp else 0.12)
    ripple = np.stack([np.full(3, depth), waves / radius_mm, rng.uniform(0, 2 * np.pi, 3)], 1)
    if is_polyp:
        redness = rng.normal(0, 0.16)
        tint = np.array(
            [1 - redness * rng.uniform(0.5, 1.2), 1 - redness, 1 + 0.15 * redness]
        ) * rng.uniform(0.9, 1.15)
        return Growth(
            True,
            base_mm,
            frame,
            lobes,
            reach,
            ripple,
            rng.uniform(0.12, 0.5) * radius_mm,
            tint,
            rng.uniform(0.15, 0.9),
            rng.uniform(0.5, 1.3),
            rng.uniform(0.5, 1.3),
        )
    tint = np.array(
        [rng.uniform(0.2, 0.8), rng.uniform(0.7, 1.1), rng.uniform(0.7, 1.05)]
    ) * rng.uniform(0.5, 1.1)
    return Growth(
        False,
        base_mm,
        frame,
        lobes,
        reach,
        ripple,
        0.15 * radius_mm,
        tint,
        rng.uniform(0.3, 1.0),
        rng.uniform(0.5, 1.5),
        rng.uniform(0.0, 0.5),
    )


def growth_distance(growth: Growth, local: np.ndarray) -> np.ndarray:
    """Estimated distance (n,) from points in the growth's own frame (n, 3) to its lobes."""
    lobes = growth.lobes_mm.astype(np.float32)
    q = (local[:, None] - lobes[:, :3]) / lobes[:, 3:]
    k0 = np.sqrt(np.einsum("ijk,ijk->ij", q, q)) + np.float32(1e-4)
    q /= lobes[:, 3:]
    each = k0 * (k0 - 1) / (np.sqrt(np.einsum("ijk,ijk->ij", q, q)) + np.float32(1e-4))
    nearest = each.min(1)
    if len(lobes) > 1:  # a smooth minimum fills the grooves between lobes
        width = np.float32(growth.blend_mm / 3)
        nearest = nearest - width * np.log(np.exp((nearest[:, None] - each) / width).sum(1))
    depth, wave, phase = growth.ripple.astype(np.float32).T
    return nearest + depth[0] * np.sin(local * wave + phase).prod(1)


def union(a: np.ndarray, b: np.ndarray, width: float) -> tuple[np.ndarray, np.ndarray]:
    """Distance to the union of two bodies with a fillet of `width`, and the share of `b` in it."""
    share = np.clip(0.5 + 0.5 * (a - b) / width, 0, 1).astype(np.float32)
    return a + (b - a) * share - width * share * (1 - share), share
