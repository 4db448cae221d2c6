"""Where the endoscope goes in its colon, and what it finds there."""
from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from data_prep.colonoscopy.colon import Wall
from data_prep.colonoscopy.endoscope import Camera, Endoscope, field_mask, pixel_rays
from data_prep.colonoscopy.growths import Bubble, Growth, make_growth
from data_prep.colonoscopy.rays import trace, wall_distance


def _look(yaw: float, pitch: float, roll: float) -> np.ndarray:
    """Camera axes (rows right, down, forward) turned from looking along the colon."""
    forward = np.array([np.sin(yaw) * np.cos(pitch), np.sin(pitch), np.cos(yaw) * np.cos(pitch)])
    right = np.cross([np.sin(roll), np.cos(roll), 0.0], forward)
    right /= np.linalg.norm(right)
    return np.stack([right, np.cross(forward, right), forward])


def camera_path(
    rng: np.random.Generator, wall: Wall, frames: int, swing_away: bool
) -> list[Camera]:
    """A smooth drift of the tip; `swing_away` turns it aside for the last third."""
    phase = np.linspace(0, 1, frames) * rng.uniform(0.6, 1.2)

    def wander(size: float) -> np.ndarray:
        return size * np.sin(2 * np.pi * (phase * rng.uniform(0.3, 1.0) + rng.uniform()))

    aside = rng.uniform(0, 2 * np.pi)
    tilt = rng.uniform(0.05, 0.95)
    away = np.where(
        swing_away & (phase > 0.65 * phase[-1]),
        rng.choice([-1.0, 1.0]) * rng.uniform(0.9, 1.2),
        0.0,
    )
    yaw = tilt * np.cos(aside) + wander(0.13) + away
    pitch = tilt * np.sin(aside) + wander(0.13)
    roll = rng.uniform(0, 2 * np.pi) + wander(0.25)
    z = rng.uniform(0, 15) + wander(4.0) + rng.uniform(-4, 4) * phase
    off = np.stack([wander(2.0), wander(2.0)], 1) + rng.uniform(-0.4, 0.4, 2) * wall.radius_mm
    cameras = []
    for i in range(frames):
        cx, cy, sx, sy = (float(v[0]) for v in wall.axis(z[i : i + 1]))
        for shrink in (1.0, 0.6, 0.3, 0.0):  # keep the tip off the wall
            position = np.array([cx + shrink * off[i, 0], cy + shrink * off[i, 1], z[i]])
            if wall_distance(wall, position[None].astype(np.float32))[0][0] > 5:
                break
        cameras.append(
            Camera(position, _look(yaw[i] + np.arctan(sx), pitch[i] + np.arctan(sy), roll[i]))
        )
    return cameras


def inhabit(
    rng: np.random.Generator,
    scope: Endoscope,
    wall: Wall,
    cameras: Sequence[Camera],
    with_polyp: bool,
) -> tuple[list[Growth], list[Bubble]]:
    """Polyps in view of the middle frame, debris and bubbles anywhere around it."""
    camera = cameras[len(cameras) // 2]
    ys, xs = np.nonzero(field_mask(scope))
    low, high = scope.field.min(0), scope.field.max(0)
    central = (np.abs((xs - low[0]) / (high[0] - low[0]) - 0.5) < 0.33) & (
        np.abs((ys - low[1]) / (high[1] - low[1]) - 0.5) < 0.33
    )

    def spots(candidates: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        pick = rng.choice(candidates, count, replace=False)
        rays = pixel_rays(scope, camera, xs[pick].astype(float), ys[pick].astype(float))
        distance = trace(wall, [], camera.position_mm, rays)
        points = camera.position_mm + distance[:, None] * rays
        return points, distance, wall_distance(wall, points.astype(np.float32))[1].astype(float)

    growths: list[Growth] = []
    if with_polyp:
        points, distance, normals = spots(np.flatnonzero(central), 60)
        order = np.flatnonzero((distance > 9) & (distance < 55))
        wanted = 1 if rng.random() < 0.82 else 2
        for i in (order if len(order) else np.argsort(distance)[:1])[:wanted]:
            apparent_px = np.exp(rng.uniform(np.log(15), np.log(58))) * scope.width / 384
            nearest = min(float(np.linalg.norm(c.position_mm - points[i])) for c in cameras)
            radius = np.clip(
                apparent_px * distance[i] / scope.focal_px, 1.2, min(11.0, 0.36 * nearest)
            )
            growths.append(make_growth(rng, True, points[i], normals[i], float(radius)))
    everywhere = np.arange(len(xs))
    points, distance, normals = spots(everywhere, 12)
    for i in range(rng.choice([0, 1, 3, 7], p=[0.35, 0.3, 0.2, 0.15])):
        if 8 < distance[i] < 70 and all(
            np.linalg.norm(g.base_mm - points[i]) > g.reach_mm + 4 for g in growths
        ):
            growths.append(make_growth(rng, False, points[i], normals[i], rng.uniform(0.8, 3.2)))
    bubbles: list[Bubble] = []
    for _ in range(rng.choice([0, 1, 3], p=[0.5, 0.3, 0.2])):
        points, distance, normals = spots(everywhere, 1)
        for _ in range(rng.integers(1, 9)):  # bubbles come in clusters
            size = rng.uniform(0.4, 2.2)
            bubbles.append(
                Bubble(points[0] + rng.normal(0, 2.0, 3) + normals[0] * 0.5 * size, size)
            )
    return growths, bubbles
