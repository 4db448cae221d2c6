"""The endoscope: its field and lens, and what its sensor makes of the light."""
from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np


@dataclass(frozen=True)
class Endoscope:
    """The optics and electronics of one video; pixel measures hold at its own frame size."""

    width: int
    height: int
    field: np.ndarray
    """(8, 2) corners of the visible octagon, pixels."""
    focal_px: float
    lamp_mm: np.ndarray
    """(2,) the lamp's displacement from the lens, right and down."""
    gains: np.ndarray
    """(3,) white balance, blue, green, red."""
    exposure: float
    falloff: float
    """Light falls with distance to this power; the processor's shading correction keeps it below
    2."""
    haze: float
    gamma: float
    gloss: float
    blur_px: float
    sharpen: float
    noise: float
    lag: float
    """Share of the motion between frames by which blue trails red, as in field-sequential
    endoscopes."""
    border: int


@dataclass(frozen=True)
class Camera:
    position_mm: np.ndarray
    axes: np.ndarray
    """(3, 3) rows: right, down, forward."""


def make_endoscope(rng: np.random.Generator, width: int, height: int) -> Endoscope:
    """Draw the optics of one video."""
    left, right = rng.uniform(0.07, 0.13), 1 - rng.uniform(0.05, 0.11)
    top, bottom = rng.uniform(0.04, 0.08), 1 - rng.uniform(0.02, 0.04)
    cut = rng.uniform(0.09, 0.15)
    corners = np.array(
        [
            (left + cut, top),
            (right - cut, top),
            (right, top + cut),
            (right, bottom - 1.2 * cut),
            (right - cut, bottom),
            (left + cut, bottom),
            (left, bottom - 1.2 * cut),
            (left, top + cut),
        ]
    )
    warm = rng.normal(0, 0.1)
    return Endoscope(
        width=width,
        height=height,
        field=corners * (width, height),
        focal_px=rng.uniform(0.42, 0.58) * width,
        lamp_mm=rng.uniform(-4, 4, 2),
        gains=np.array([1 - 1.3 * warm, 1.0, 1 + warm]) * rng.uniform(0.92, 1.08, 3),
        exposure=rng.uniform(0.2, 0.62),
        falloff=rng.uniform(1.2, 2.0),
        haze=rng.uniform(0.0, 0.04),
        gamma=rng.uniform(1.7, 2.3),
        gloss=rng.uniform(0.3, 1.5),
        blur_px=rng.uniform(0.5, 1.3) * width / 384,
        sharpen=rng.uniform(0.2, 1.2),
        noise=rng.uniform(0.8, 3.5),
        lag=float(rng.choice([0.0, 0.25])),
        border=int(rng.integers(6, 18)),
    )


def field_mask(scope: Endoscope) -> np.ndarray:
    """uint8 (height, width), 255 inside the visible octagon."""
    mask = np.zeros((scope.height, scope.width), np.uint8)
    cv2.fillConvexPoly(mask, np.round(scope.field).astype(np.int32), 255)
    return mask


def pixel_rays(scope: Endoscope, camera: Camera, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Unit rays (n, 3) through pixels; the lens compresses the edge of the field (barrel
    distortion)."""
    centre = scope.field.mean(0)
    u, v = (x - centre[0]) / scope.focal_px, (y - centre[1]) / scope.focal_px
    stretch = 1 + 0.22 * (u * u + v * v)
    rays = np.stack([u * stretch, v * stretch, np.ones_like(u)], -1) @ camera.axes
    return (rays / np.linalg.norm(rays, axis=-1, keepdims=True)).astype(np.float32)


def project(scope: Endoscope, camera: Camera, point_mm: np.ndarray) -> tuple[float, float, float]:
    """Pixel x, y and distance (mm) of a point; distance <= 0 means behind the lens."""
    x, y, z = camera.axes @ (point_mm - camera.position_mm)
    if z <= 0.5:
        return 0.0, 0.0, 0.0
    bent = np.hypot(x, y) / z
    r = bent
    for _ in range(6):
        r = bent / (1 + 0.22 * r * r)
    factor = scope.focal_px * (r / bent if bent > 0 else 1.0) / z
    centre = scope.field.mean(0)
    return (
        float(centre[0] + factor * x),
        float(centre[1] + factor * y),
        float(np.sqrt(x * x + y * y + z * z)),
    )
