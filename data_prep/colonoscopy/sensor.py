"""From light to the recorded frame: bubbles on the lens side, exposure, blur, noise, border."""
from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from data_prep.colonoscopy.endoscope import Camera, Endoscope, field_mask, project
from data_prep.colonoscopy.growths import Bubble
from data_prep.colonoscopy.rays import View


def _draw_bubbles(
    scope: Endoscope, view: View, camera: Camera, bubbles: Sequence[Bubble]
) -> np.ndarray:
    """Rings and their glints where bubbles stand in view; float32 (height, width, 3) to add to the
    light."""
    film = np.zeros_like(view.light)
    for bubble in bubbles:
        x, y, distance = project(scope, camera, bubble.centre_mm)
        if not (0 < x < scope.width and 0 < y < scope.height) or distance < 3:
            continue
        if view.depth_mm[int(y), int(x)] < distance - 3 * bubble.radius_mm:
            continue
        radius = scope.focal_px * bubble.radius_mm / distance
        x0, x1 = max(int(x - radius) - 2, 0), min(int(x + radius) + 3, scope.width)
        y0, y1 = max(int(y - radius) - 2, 0), min(int(y + radius) + 3, scope.height)
        gy, gx = np.mgrid[y0:y1, x0:x1].astype(np.float32)
        r = np.hypot(gx - x, gy - y) / radius
        ring = np.exp(-(((r - 0.88) / 0.11) ** 2)) * (0.35 + 0.5 * (gy < y)) + 0.1 * (r < 0.9)
        spots = sum(
            np.exp(
                -((gx - x - a * radius) ** 2 + (gy - y - b * radius) ** 2)
                / (0.02 * radius**2 + 0.3)
            )
            for a, b in ((-0.35, -0.4), (0.4, 0.35))
        )
        base = view.light[int(y), int(x)] + 0.02
        film[y0:y1, x0:x1] += ring[..., None] * base + 2.0 * spots[..., None] * base.max()
    return film


def expose(
    scope: Endoscope,
    view: View,
    camera: Camera,
    bubbles: Sequence[Bubble],
    motion_px: np.ndarray,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """The frame as recorded, uint8 (height, width, 3) BGR: exposure, blur, edge enhancement,
    noise, black border. And where most of its light was mirrored, bool (height, width)."""
    inside = field_mask(scope) > 0
    film = _draw_bubbles(scope, view, camera, bubbles)
    light = view.light + film
    level = np.percentile(light[inside].max(1)[::7], 65) + 1e-4
    glint = cv2.GaussianBlur(view.glint, (0, 0), 0.6) * scope.gloss
    gain = (scope.exposure * scope.gains / level).astype(np.float32)
    linear = light * gain + 3.0 * glint[..., None]
    mirrored = (film * gain + 3.0 * glint[..., None] > view.light * gain).all(2) & inside
    linear = linear * (1 - scope.haze) + scope.haze * linear[inside].mean(0)
    if np.hypot(*motion_px) > 1.2:
        streak = _streak(motion_px)
        linear = cv2.filter2D(linear, -1, streak, borderType=cv2.BORDER_REPLICATE)
        mirrored = cv2.filter2D(mirrored.astype(np.float32), -1, streak) > 0.25
    image = 255 * (1 - np.exp(-1.5 * np.maximum(linear, 0))) ** (1 / scope.gamma)
    if scope.lag and np.hypot(*motion_px) > 1.2:
        for channel, sign in ((0, 1), (2, -1)):
            by_px = sign * scope.lag * motion_px
            shift = np.array([[1, 0, by_px[0]], [0, 1, by_px[1]]])
            image[..., channel] = cv2.warpAffine(
                np.ascontiguousarray(image[..., channel]),
                shift,
                (scope.width, scope.height),
                borderMode=cv2.BORDER_REPLICATE,
            )
    image = cv2.GaussianBlur(image, (0, 0), scope.blur_px)
    image += scope.sharpen * (image - cv2.GaussianBlur(image, (0, 0), 2.0 * scope.width / 384))
    grain = rng.standard_normal((scope.height, scope.width, 3)).astype(np.float32)
    image += scope.noise * cv2.GaussianBlur(grain, (0, 0), 0.6) * 1.6
    image[~inside] = scope.border + 0.6 * grain[~inside]
    return np.clip(np.round(image), 0, 255).astype(np.uint8), np.asarray(mirrored)


def _streak(motion_px: np.ndarray) -> np.ndarray:
    """Kernel of a straight motion of `motion_px` during the exposure."""
    length = float(np.hypot(*motion_px))
    half = int(np.ceil(length / 2)) + 1
    kernel = np.zeros((2 * half + 1, 2 * half + 1), np.float32)
    for s in np.linspace(-0.5, 0.5, int(4 * length) + 2):
        x, y = half + s * motion_px
        x0, y0 = int(np.floor(x)), int(np.floor(y))
        fx, fy = x - x0, y - y0
        kernel[y0 : y0 + 2, x0 : x0 + 2] += np.outer([1 - fy, fy], [1 - fx, fx]).astype(np.float32)
    return kernel / kernel.sum()
