"""Rays from the tip of the endoscope to the wall and what stands on it, and the light they bring.

Rays step along an estimate of the distance to the nearest surface. A pixel costs a table look-up
per step, so a frame of 384 x 288 takes about a tenth of a second on one core.
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Union

import cv2
import numpy as np

from data_prep.colonoscopy.colon import COLUMNS, ROW_MM, Z_FIRST_MM, Wall
from data_prep.colonoscopy.endoscope import Camera, Endoscope, field_mask, pixel_rays
from data_prep.colonoscopy.growths import Growth, growth_distance, union

FAR_MM = 140.0
_BATCH_COLUMNS = 256


@dataclass(frozen=True)
class View:
    """One frame before the sensor: linear light and what each pixel shows."""

    light: np.ndarray
    """float32 (height, width, 3), linear blue, green, red, before exposure."""
    glint: np.ndarray
    """float32 (height, width), mirrored lamp light."""
    polyp: np.ndarray
    """bool (height, width)."""
    vessel: np.ndarray
    """float32 (height, width): by what share of its green a vessel darkens what is seen."""
    depth_mm: np.ndarray
    """float32 (height, width), 0 outside the field."""


def lookup(table: np.ndarray, z: np.ndarray, theta: np.ndarray) -> np.ndarray:
    """Values (n, channels) of a wall table at (z mm, theta rad), bilinear."""
    n = len(z)
    rows = -(-n // _BATCH_COLUMNS)  # remap takes images of limited width: the points become one
    at = np.zeros((2, rows * _BATCH_COLUMNS), np.float32)
    at[0, :n] = (theta * np.float32(COLUMNS / (2 * np.pi))) % COLUMNS
    at[1, :n] = (z - np.float32(Z_FIRST_MM)) / np.float32(ROW_MM)
    column, row = at.reshape(2, rows, _BATCH_COLUMNS)
    found = cv2.remap(table, column, row, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return found.reshape(rows * _BATCH_COLUMNS, -1)[:n]


def wall_distance(wall: Wall, p: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Estimated distance to the wall (n,), unit normals (n, 3) and theta (n,) at points (n, 3)."""
    z = p[:, 2]
    cx, cy, sx, sy = wall.axis(z)
    x, y = p[:, 0] - cx, p[:, 1] - cy
    rho = np.sqrt(x * x + y * y) + np.float32(1e-3)
    theta = np.arctan2(y, x)
    surface = lookup(wall.shape, z, theta)
    # Exact on the wall; near the axis, where theta turns fast, held to what the wall itself does.
    turn = surface[:, 1] / (rho * np.maximum(rho, surface[:, 0] / 2))
    gradient = np.empty_like(p)
    gradient[:, 0] = -y * turn - x / rho
    gradient[:, 1] = x * turn - y / rho
    gradient[:, 2] = surface[:, 2] - gradient[:, 0] * sx - gradient[:, 1] * sy
    steep = np.sqrt(np.einsum("ij,ij->i", gradient, gradient))
    return (surface[:, 0] - rho) / steep, gradient / steep[:, None], theta


def _near(growth: Growth, p: np.ndarray, slack_mm: float) -> tuple[np.ndarray, np.ndarray]:
    """Indices of the points within reach of the growth, and those points in its frame."""
    away = p - growth.base_mm.astype(np.float32)
    reach = growth.reach_mm + slack_mm
    close = np.flatnonzero(np.einsum("ij,ij->i", away, away) < reach * reach)
    return close, away[close] @ growth.frame.T.astype(np.float32)


def trace(
    wall: Wall,
    growths: Sequence[Growth],
    origin: np.ndarray,
    rays: np.ndarray,
    start_mm: Union[float, np.ndarray] = 0.5,
) -> np.ndarray:
    """Distance (mm) at which each unit ray (n, 3) from `origin` meets a surface, FAR_MM where it
    meets none."""
    t = np.full(len(rays), start_mm, np.float32)
    active = np.arange(len(rays))
    origin = origin.astype(np.float32)
    meets = [_meets_sphere(origin, rays, growth) for growth in growths]
    for _ in range(40):
        p = origin + t[active, None] * rays[active]
        d = wall_distance(wall, p)[0]
        for growth, meet in zip(growths, meets):
            near = np.flatnonzero(meet[active])
            if len(near):
                local = (p[near] - growth.base_mm.astype(np.float32)) @ growth.frame.T.astype(
                    np.float32
                )
                d[near] = union(d[near], growth_distance(growth, local), growth.blend_mm)[0]
        # Not all of the way: where the wall is steep the estimate is too long.
        t[active] += np.float32(0.7) * d
        active = active[(np.abs(d) > 0.02 + 0.0015 * t[active]) & (t[active] < FAR_MM)]
        if not len(active):
            break
    return np.clip(t, 0.5, FAR_MM)


def _meets_sphere(origin: np.ndarray, rays: np.ndarray, growth: Growth) -> np.ndarray:
    """Whether each ray passes within reach of the growth; bool (n,)."""
    to_base = growth.base_mm.astype(np.float32) - origin
    along = rays @ to_base
    reach = growth.reach_mm + growth.blend_mm
    return (to_base @ to_base - along * along < reach * reach) & (along > 0)


def _trace_field(
    scope: Endoscope,
    wall: Wall,
    growths: Sequence[Growth],
    camera: Camera,
    xs: np.ndarray,
    ys: np.ndarray,
    rays: np.ndarray,
) -> np.ndarray:
    """`trace` for all pixels of the field, started from what a coarser grid of rays found nearest
    around them."""
    step = 4
    gy, gx = np.mgrid[0 : scope.height + step : step, 0 : scope.width + step : step]
    coarse_rays = pixel_rays(scope, camera, gx.ravel(), gy.ravel())
    coarse = trace(wall, growths, camera.position_mm, coarse_rays).reshape(gx.shape)
    nearest = cv2.erode(coarse, np.ones((3, 3), np.uint8))
    start = 0.85 * nearest[ys // step, xs // step] - 1.0
    return trace(wall, growths, camera.position_mm, rays, np.maximum(start, 0.5))


def render(scope: Endoscope, wall: Wall, growths: Sequence[Growth], camera: Camera) -> View:
    """Light, glints and labels of one frame."""
    ys, xs = np.nonzero(field_mask(scope))
    rays = pixel_rays(scope, camera, xs, ys)
    t = _trace_field(scope, wall, growths, camera, xs, ys, rays)
    p = camera.position_mm.astype(np.float32) + t[:, None] * rays
    albedo, normal, relief, polyp, gloss, vessel = _surface(wall, growths, p)
    right, down = camera.axes[0], camera.axes[1]
    lamp = camera.position_mm + scope.lamp_mm[0] * right + scope.lamp_mm[1] * down
    to_lamp = lamp.astype(np.float32) - p
    range_mm = np.sqrt(np.einsum("ij,ij->i", to_lamp, to_lamp))
    to_lamp /= range_mm[:, None]
    lambert = np.clip(np.einsum("ij,ij->i", normal, to_lamp), 0, None)
    reach = (20.0 / np.maximum(range_mm, 4.0)) ** scope.falloff * np.exp(
        -np.maximum(range_mm - 40, 0) / 25
    )
    # A little wrap-around light: mucosa scatters below the surface and the walls light each other,
    # redder each time.
    light = (
        albedo * (reach * (0.88 * lambert + 0.12))[:, None] + 0.1 * albedo * albedo * reach[:, None]
    )
    wet = _tilted(normal, relief)
    half = to_lamp - rays
    half /= np.sqrt(np.einsum("ij,ij->i", half, half))[:, None]
    shine = np.clip(np.einsum("ij,ij->i", wet, half), 0, 1) ** 220
    glint = shine * gloss * np.minimum(reach, 3.0)

    def image(values: np.ndarray) -> np.ndarray:
        canvas = np.zeros((scope.height, scope.width) + values.shape[1:], values.dtype)
        canvas[ys, xs] = values
        return canvas

    return View(
        image(light.astype(np.float32)),
        image(glint.astype(np.float32)),
        image(polyp),
        image(vessel),
        image(t),
    )


def _surface(
    wall: Wall, growths: Sequence[Growth], p: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Reflectance (n, 3), normals (n, 3), fine tilts (n, 2), polyp or not (n,), gloss (n,) and
    vessels' darkness (n,) at surface points."""
    d, normal, theta = wall_distance(wall, p)
    albedo, relief = lookup(wall.albedo, p[:, 2], theta), lookup(wall.relief, p[:, 2], theta)
    polyp, gloss = np.zeros(len(p), bool), np.ones(len(p), np.float32)
    vessel = lookup(wall.vessel, p[:, 2], theta)[:, 0]
    mucosa = wall.albedo.reshape(-1, 3).mean(0)
    for growth in growths:
        close, local = _near(growth, p, 6.0)
        if not len(close):
            continue
        own = growth_distance(growth, local)
        share = union(d[close], own, growth.blend_mm)[1]
        step = np.float32(0.05)
        slope = np.stack(
            [
                growth_distance(growth, local + step * axis) - own
                for axis in np.eye(3, dtype=np.float32)
            ],
            -1,
        ) @ growth.frame.astype(np.float32)
        slope /= np.sqrt(np.einsum("ij,ij->i", slope, slope))[:, None] + np.float32(1e-6)
        blended = normal[close] * (1 - share[:, None]) + slope * share[:, None]
        normal[close] = blended / (
            np.sqrt(np.einsum("ij,ij->i", blended, blended))[:, None] + np.float32(1e-6)
        )
        pattern = _pattern(wall, growth, local)
        pits = 1 - growth.grain * np.clip(pattern[:, :1] + 0.2, 0, 1.5) * np.array(
            [0.3, 0.32, 0.1], np.float32
        )
        around = np.median(albedo[close], axis=0) if len(close) > 20 else mucosa
        own_albedo = (0.5 * (around + mucosa) * growth.tint).astype(np.float32) * pits
        shade = (1 - 0.2 * np.exp(-np.maximum(own, 0) / 1.2))[
            :, None
        ]  # less light reaches the crease at its foot
        edge = np.clip((share[:, None] - 0.35) / 0.3, 0, 1)
        albedo[close] = albedo[close] * shade * (1 - edge) + own_albedo * edge
        relief[close] = relief[close] * (1 - 0.3 * edge) + 0.4 * growth.grain * pattern * edge
        gloss[close] = gloss[close] * (1 - edge[:, 0]) + growth.gloss * edge[:, 0]
        vessel[close] *= 1 - edge[:, 0]
        polyp[close] = np.where(share > 0.5, growth.is_polyp, polyp[close])
    return albedo, _tilted(normal, 0.25 * relief), relief, polyp, gloss, vessel


def _pattern(wall: Wall, growth: Growth, local: np.ndarray) -> np.ndarray:
    """The relief of the wall laid over a growth (equidistant from its top), at the scale of its
    grain; (n, 2)."""
    top = growth.lobes_mm[-1].astype(np.float32)
    x, y, z = ((local - top[:3]) / top[3:]).T
    around = np.sqrt(x * x + y * y) + np.float32(1e-3)
    stretch = (
        top[3:].mean() * np.arctan2(around, z) / around * np.float32(ROW_MM * 16 / growth.grain_mm)
    )
    return lookup(
        wall.relief,
        40 + np.mod(x * stretch, 30),
        np.mod(y * stretch / np.float32(wall.radius_mm), 6),
    )


def _tilted(normal: np.ndarray, relief: np.ndarray) -> np.ndarray:
    """Unit normals turned by small tilts along two tangent directions."""
    tilted = normal.copy()
    tilted[:, 2] += np.float32(0.2) * relief[:, 0]
    tilted[:, 0] -= np.float32(0.2) * relief[:, 1] * normal[:, 1]
    tilted[:, 1] += np.float32(0.2) * relief[:, 1] * normal[:, 0]
    return tilted / np.sqrt(np.einsum("ij,ij->i", tilted, tilted))[:, None]
