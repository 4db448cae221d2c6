"""The wall of a random stretch of colon: folds, bulges, vessels and stains.

Lengths are in mm. The wall is the surface rho = radius(theta, z) around a bent axis, kept as
tables over (z, theta). Everything is drawn from one generator, so a seed fixes it.
"""
from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

COLUMNS = 1024
"""Cells of a wall table around the lumen (one more column repeats the first, to interpolate)."""
ROW_MM = 0.2
"""Height of a wall cell along the axis."""
Z_FIRST_MM, Z_LAST_MM = -30.0, 130.0
ROWS = int((Z_LAST_MM - Z_FIRST_MM) / ROW_MM)


@dataclass(frozen=True)
class Wall:
    """Tables float32 (ROWS, COLUMNS + 1, channels) over (z, theta), and the bend of the axis."""

    shape: np.ndarray
    """radius_mm, d radius / d theta (mm per radian), d radius / d z."""
    albedo: np.ndarray
    """Reflectance, linear blue, green, red."""
    relief: np.ndarray
    """Tilts (u, v) of the wet surface finer than `shape` carries, about unit variance."""
    vessel: np.ndarray
    """By what share of its green vessels darken the wall."""
    bend_mm: np.ndarray
    """(2, 3): amplitude (mm), wave number (1/mm), phase of the x and y displacement of the axis."""
    radius_mm: float

    def axis(self, z: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Displacement x, y of the axis at `z` (mm) and its slopes dx/dz, dy/dz."""
        (ax, kx, px), (ay, ky, py) = self.bend_mm.astype(np.float32)
        return (
            ax * np.sin(kx * z + px),
            ay * np.sin(ky * z + py),
            ax * kx * np.cos(kx * z + px),
            ay * ky * np.cos(ky * z + py),
        )


def periodic_noise(rng: np.random.Generator, cell_rows: float, cell_columns: float) -> np.ndarray:
    """Smooth noise over the wall, about unit variance, cells of the given size (in table cells);
    (ROWS, COLUMNS)."""
    rows = max(int(ROWS / cell_rows), 2) + 3
    columns = max(int(COLUMNS / cell_columns), 2)
    grid = rng.standard_normal((rows, columns)).astype(np.float32)
    pad = 2
    grid = np.concatenate([grid[:, -pad:], grid, grid[:, :pad]], axis=1)
    step = COLUMNS / columns
    wide = cv2.resize(grid, (int(round(step * grid.shape[1])), ROWS), interpolation=cv2.INTER_CUBIC)
    first = int(round(pad * step))
    lost_to_interpolation = np.float32(1.35)
    return lost_to_interpolation * wide[:, first : first + COLUMNS]


def _angle_from(theta: np.ndarray, centre: float) -> np.ndarray:
    return (theta - centre + np.pi) % (2 * np.pi) - np.pi


def _folds(rng: np.random.Generator, theta: np.ndarray, height_mm: float) -> np.ndarray:
    """Haustral folds: crescents across the axis at irregular spacing; (ROWS, COLUMNS) mm into the
    lumen."""
    height = np.zeros((ROWS, COLUMNS), np.float32)
    z = Z_FIRST_MM + ROW_MM * np.arange(ROWS, dtype=np.float32)
    position = Z_FIRST_MM + rng.uniform(0, 20)
    wobble = 2.5 * periodic_noise(rng, ROWS, COLUMNS / 6)
    while position < Z_LAST_MM:
        for _ in range(rng.integers(1, 4)):
            centre, half = rng.uniform(0, 2 * np.pi), rng.uniform(0.6, 1.9)
            arc = np.clip(1 - (_angle_from(theta, centre) / half) ** 2, 0, None) ** 1.2
            crest = (
                position
                + rng.uniform(-4, 4)
                + rng.uniform(-3, 3) * np.sin(theta + centre)
                + wobble[0]
            )
            width = rng.uniform(1.6, 4.2)
            rows = np.flatnonzero(np.abs(z - position) < 30)
            dz = (z[rows, None] - crest[None]) / width
            ridge = np.exp(-(np.abs(dz) ** 2.2)) * arc[None] * height_mm * rng.uniform(0.35, 1.0)
            height[rows] = np.maximum(height[rows], ridge)
        position += rng.uniform(11, 34)
    return height


def _stamp(
    table: np.ndarray,
    z_mm: float,
    theta: float,
    sigma_mm: float,
    radius_mm: float,
    height_mm: float,
    power: float,
) -> None:
    """Add height * exp(-(r / sigma)^power) around a point of the wall, in place."""
    z = Z_FIRST_MM + ROW_MM * np.arange(ROWS, dtype=np.float32)
    angles = np.arange(COLUMNS, dtype=np.float32) * (2 * np.pi / COLUMNS)
    rows = np.flatnonzero(np.abs(z - z_mm) < 3 * sigma_mm)
    across = radius_mm * _angle_from(angles, theta)
    r = np.sqrt((z[rows, None] - z_mm) ** 2 + across[None] ** 2) / sigma_mm
    table[rows] += (height_mm * np.exp(-(r**power))).astype(np.float32)


def _vessels(rng: np.random.Generator, trees: int, width_px: float) -> np.ndarray:
    """Branching vessels as darkness 0..1 over the wall; float32 (ROWS, COLUMNS)."""
    margin = 256
    canvas = np.zeros((ROWS, COLUMNS + 2 * margin), np.uint8)
    for _ in range(trees):
        start = np.array([rng.uniform(0, COLUMNS) + margin, rng.uniform(0, ROWS)])
        stack = [(start, rng.uniform(0, 2 * np.pi), width_px * rng.uniform(0.6, 1.5))]
        drawn = 0
        while stack and drawn < 14:
            point, heading, width = stack.pop()
            drawn += 1
            steps = int(rng.integers(8, 26))
            turns = heading + np.cumsum(rng.normal(0, 0.24, steps))
            path = point + np.cumsum(7.0 * np.stack([np.cos(turns), np.sin(turns)], 1), 0)
            cv2.polylines(
                canvas,
                [np.round(path * 8).astype(np.int32)],
                False,
                int(np.clip(90 + 50 * width, 0, 255)),
                max(int(round(width)), 1),
                cv2.LINE_AA,
                3,
            )
            if width > 0.7:
                for turn in rng.uniform(0.25, 1.0, 2) * (1, -1):
                    stack.append(
                        (path[int(rng.integers(steps // 2, steps))], turns[-1] + turn, width * 0.72)
                    )
    tile = canvas[:, margin : margin + COLUMNS].copy()
    tile[:, :margin] = np.maximum(tile[:, :margin], canvas[:, -margin:])
    tile[:, -margin:] = np.maximum(tile[:, -margin:], canvas[:, :margin])
    return cv2.GaussianBlur(tile.astype(np.float32) / 255, (0, 0), 0.9)


def _closed(table: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(np.concatenate([table, table[:, :1]], axis=1), dtype=np.float32)


def make_wall(rng: np.random.Generator) -> Wall:
    """Draw the wall of one video."""
    radius = rng.uniform(18, 26)
    theta = np.arange(COLUMNS, dtype=np.float32) * (2 * np.pi / COLUMNS)
    table = np.full((ROWS, COLUMNS), radius, np.float32)
    table += (radius * rng.uniform(0.02, 0.1) * np.cos(3 * theta + rng.uniform(0, 6)))[None].astype(
        np.float32
    )
    table -= _folds(rng, theta, rng.choice([2.0, 5.0, 8.0, 11.0]))
    table += 1.3 * periodic_noise(rng, 110, 120) + 0.35 * periodic_noise(rng, 30, 40)
    table += 0.05 * rng.uniform(0, 2) * periodic_noise(rng, 10, 12)
    for _ in range(
        rng.integers(2, 9)
    ):  # bulges: the outline of a polyp, the colour and vessels of the wall
        sigma = rng.uniform(2.0, 6.0)
        _stamp(
            table,
            rng.uniform(-5, 90),
            rng.uniform(0, 2 * np.pi),
            sigma,
            radius,
            -sigma * rng.uniform(0.25, 0.8),
            rng.uniform(2, 3.5),
        )
    if rng.random() < 0.25:  # diverticula: round mouths of dark pouches
        for _ in range(rng.integers(1, 4)):
            _stamp(
                table,
                rng.uniform(5, 60),
                rng.uniform(0, 2 * np.pi),
                rng.uniform(1.5, 3.5),
                radius,
                rng.uniform(5, 9),
                5.0,
            )
    table = cv2.GaussianBlur(
        np.clip(table, 4.0, None), (0, 0), 1.5, borderType=cv2.BORDER_REPLICATE
    )
    d_theta = (np.roll(table, -1, 1) - np.roll(table, 1, 1)) * (COLUMNS / (4 * np.pi))
    d_z = np.gradient(table, ROW_MM, axis=0)
    amplitude = rng.uniform(0, 20, 2) * rng.choice([0.2, 1.0])
    bend = np.stack(
        [amplitude, 2 * np.pi / rng.uniform(110, 200, 2), rng.uniform(0, 2 * np.pi, 2)], 1
    )
    relief = np.stack(
        [
            sum(
                w * periodic_noise(rng, c, c * 1.4)
                for w, c in ((0.45, 28.0), (0.55, 11.0), (0.8, 4.5))
            )
            for _ in range(2)
        ],
        -1,
    )
    albedo, vessel = _mucosa(rng)
    return Wall(
        _closed(np.stack([table, d_theta, d_z], -1)),
        _closed(albedo),
        _closed(relief),
        _closed(vessel[..., None]),
        bend,
        float(radius),
    )


def _mucosa(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Reflectance of the wall, linear BGR (ROWS, COLUMNS, 3): blotches, two layers of vessels,
    stains of stool. And how much the vessels darken its green (ROWS, COLUMNS)."""
    red = rng.uniform(0.62, 0.85)
    green = red * rng.uniform(0.33, 0.52)
    base = np.array([green * rng.uniform(0.3, 0.62), green, red], np.float32)
    plain, hue, patch = (
        rng.uniform(0.02, 0.1) * periodic_noise(rng, cell, cell) for cell in (130, 130, 45)
    )
    fine = (0.025 * periodic_noise(rng, 5, 6) + 0.03 * periodic_noise(rng, 14, 16)) * rng.uniform(
        0.3, 2.0
    )
    bright = 1 + plain + 0.6 * patch + fine
    strength = rng.uniform(0.1, 0.9)
    fine_vessels = strength * _vessels(rng, int(rng.integers(40, 160)), 2.2)
    broad = (
        0.4 * strength * cv2.GaussianBlur(_vessels(rng, int(rng.integers(4, 16)), 5.0), (0, 0), 3.0)
    )
    albedo = np.empty((ROWS, COLUMNS, 3), np.float32)
    for c, (tinge, fine_dark, broad_dark) in enumerate(
        ((0.8, 0.75, 0.3), (0.9, 0.85, 0.7), (-0.1, 0.3, 0.6))
    ):
        albedo[..., c] = (
            base[c]
            * bright
            * (1 + tinge * hue)
            * (1 - fine_dark * fine_vessels)
            * (1 - broad_dark * broad)
        )
    vessel = 1 - (1 - 0.85 * fine_vessels) * (1 - 0.7 * broad)
    if rng.random() < 0.4:
        spread = periodic_noise(rng, 120, 110) + 0.5 * periodic_noise(rng, 35, 30)
        share = 0.75 / (1 + np.exp(-5 * (spread - rng.uniform(0.9, 1.8))))[..., None]
        stool = np.array([0.03, rng.uniform(0.2, 0.36), 0.5], np.float32) * rng.uniform(0.6, 1.3)
        grainy = stool * (1 + 0.12 * periodic_noise(rng, 3, 4)[..., None])
        albedo += (share * (grainy - albedo)).astype(np.float32)
        vessel *= 1 - share[..., 0]
    return np.clip(albedo, 0.01, 1.0).astype(np.float32), vessel.astype(np.float32)
