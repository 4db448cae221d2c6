"""What may lie between the lens and the mucosa: foam and stool. Conventions as in `effects`."""
from __future__ import annotations

import cv2
import numpy as np

SMALLEST_PX, LARGEST_PX = 1.8, 17.0     # radius of bubbles in a frame 384 wide
MEAN_AREA_PX = np.pi * SMALLEST_PX * LARGEST_PX     # of radii whose number falls as 1 / r^2
DENSITY = 1.6                           # area of all bubbles in areas of what they cover


def noise(rng: np.random.Generator, shape: tuple[int, ...], cell_px: float) -> np.ndarray:
    """float32 (h, w): smooth noise of about unit variance, with features of the size of a cell."""
    rows, columns = (int(np.ceil(size / cell_px)) + 3 for size in shape[:2])
    grid = rng.standard_normal((rows, columns)).astype(np.float32)
    start = rng.uniform(0.0, 1.0, 2)
    ys, xs = (np.arange(size, dtype=np.float32) / np.float32(cell_px) + np.float32(first + 1)
              for size, first in zip(shape[:2], start))
    at = np.meshgrid(xs, ys)
    lost_to_interpolation = np.float32(1.35)
    return lost_to_interpolation * cv2.remap(grid, at[0].astype(np.float32),
                                             at[1].astype(np.float32), cv2.INTER_CUBIC)


def coverage(height: np.ndarray, field: np.ndarray, share: float, softness: float) -> np.ndarray:
    """float32 (h, w), 0..1: where `height` is largest, over `share` of the field.

    The edge rises over `softness`, in units of the height. A share beyond 1 leaves no soft edge
    inside the field.
    """
    low, high = float(height[field].min()), float(height[field].max())
    level = float(np.quantile(height[field], 1 - share)) if share <= 1 \
        else low - (share - 1) * (high - low)
    ramp = np.clip((height - level) / softness + 0.5, 0, 1)
    rising = ramp * ramp * (3 - 2 * ramp)
    return np.asarray(rising * np.float32(min(1.0, 12 * share)), np.float32)


def bubble_film(light: np.ndarray, field: np.ndarray, severity: float, unit: float,
                rng: np.random.Generator) -> np.ndarray:
    """Bubbles over a share of the field that grows with severity; light with them in it.

    A bubble shows the scene small and dim, a rim lit by the lamp, and the lamp itself twice. Where
    they lie thick, what is below turns milky.
    """
    spread = noise(rng, field.shape, 110 * unit) + 0.4 * noise(rng, field.shape, 35 * unit)
    order = rng.permutation(np.flatnonzero(field))
    ranked = order[np.argsort(-spread.ravel()[order], kind="stable")]
    lamp, milk = rng.uniform(-0.45, 0.45, 2), rng.uniform(0.25, 0.6)
    white = np.float32(0.15) + 1.1 * cv2.GaussianBlur(light.max(2), (0, 0), 25 * unit)
    most = int(DENSITY * len(ranked) / (unit ** 2 * MEAN_AREA_PX))
    # Many small ones and few large: the number falls with the square of the radius.
    radii = unit / (1 / LARGEST_PX + rng.random(most) * (1 / SMALLEST_PX - 1 / LARGEST_PX))
    place, wall, spark = rng.random(most), rng.uniform(0.08, 0.2, most), rng.random((most, 2))
    foam = coverage(spread, field, severity, 0.7)[..., None]
    below = cv2.GaussianBlur(light, (0, 0), 3 * unit)
    pale = np.array([0.8, 0.92, 1.0], np.float32) * (0.65 * white)[..., None]
    film = light + foam * (milk * pale + (1 - milk) * below - light)
    drawn = np.flatnonzero(np.arange(most) < round(severity * most))
    for i in drawn[np.argsort(-radii[drawn], kind="stable")]:
        y, x = divmod(int(ranked[int(place[i] * severity * (len(ranked) - 1))]), field.shape[1])
        _draw_bubble(film, white, (x, y), float(radii[i]), float(wall[i]), lamp, spark[i])
    return np.asarray(film)


def _draw_bubble(film: np.ndarray, white: np.ndarray, centre: tuple[int, int], radius: float,
                 wall: float, lamp: np.ndarray, spark: np.ndarray) -> None:
    """One bubble, in place."""
    x, y = centre
    reach = int(radius) + 2
    rows = slice(max(y - reach, 0), min(y + reach + 1, film.shape[0]))
    columns = slice(max(x - reach, 0), min(x + reach + 1, film.shape[1]))
    gy, gx = np.mgrid[rows, columns].astype(np.float32)
    u, v = (gx - x) / np.float32(radius), (gy - y) / np.float32(radius)
    r = np.sqrt(u * u + v * v)
    body = np.clip((1 - r) * radius + 0.5, 0, 1)[..., None]
    lit = 0.5 - 0.5 * (u * lamp[0] + v * lamp[1]) / (np.hypot(*lamp) + 1e-3)
    rim = np.exp(-((r - 1 + wall) / wall) ** 2) * (0.15 + 0.6 * lit * lit)
    dark = np.exp(-((r - 1 + 2.5 * wall) / (1.5 * wall)) ** 2)
    size = 0.008 + 0.015 * spark[0] + 0.25 / radius ** 2
    mirrored = sum(strength * np.exp(-((u - side * lamp[0]) ** 2 + (v - side * lamp[1]) ** 2)
                                     / size)
                   for side, strength in ((1.0, 1.3 * spark[1]), (-0.9, 0.4 * spark[1])))
    inside = film[rows, columns] * (0.95 - 0.35 * dark[..., None])
    inside += ((0.5 * rim + 1.6 * mirrored + 0.04) * white[y, x])[..., None]
    film[rows, columns] += body * (inside - film[rows, columns])


def stool_surface(light: np.ndarray, field: np.ndarray, severity: float, unit: float,
                  rng: np.random.Generator) -> np.ndarray:
    """Wet lumps of stool over a share of the field that grows with severity, and stained liquid."""
    height = sum(weight * noise(rng, field.shape, cell * unit)
                 for weight, cell in ((1.0, 120), (0.5, 50), (0.25, 20)))
    lumps = sum(weight * noise(rng, field.shape, cell * unit)
                for weight, cell in ((1.0, 34), (0.4, 15), (0.12, 6)))
    heading = rng.uniform(0, 2 * np.pi)
    tone = np.array([rng.uniform(0.04, 0.1), rng.uniform(0.34, 0.5), 1.0], np.float32)
    tone *= np.float32(rng.uniform(0.35, 0.8))
    stain = np.array([rng.uniform(0.15, 0.4), rng.uniform(0.68, 0.85), 1.0], np.float32)
    coarse, fine = noise(rng, field.shape, 60 * unit), noise(rng, field.shape, 3 * unit)
    roughness = rng.uniform(0.3, 1.0)
    body = cv2.GaussianBlur(lumps + 1.5 * height, (0, 0), 2 * unit)
    slope = unit * (np.cos(heading) * cv2.Sobel(body, cv2.CV_32F, 1, 0, scale=0.125)
                    + np.sin(heading) * cv2.Sobel(body, cv2.CV_32F, 0, 1, scale=0.125))
    relief = np.clip(1 + 2.2 * roughness * slope + 0.05 * roughness * fine, 0.3, 1.8)
    lamp = cv2.GaussianBlur(light.max(2), (0, 0), 14 * unit) + np.float32(0.03)
    matter = tone * (0.9 * lamp * relief)[..., None]
    matter *= 1 + np.float32(0.15) * coarse[..., None] * np.array([-1, 0.5, 0.2], np.float32)
    wet_glint = np.exp(-((slope - 0.16) / 0.025) ** 2) * np.clip(fine - 0.9, 0, 1.5) ** 2
    matter += (0.9 * lamp * cv2.GaussianBlur(wet_glint, (0, 0), 0.7 * unit))[..., None]
    wet = coverage(height, field, min(1.35 * severity, 1.2), 0.9)[..., None]
    solid = coverage(height, field, min(0.98 * severity ** 1.2, 1.0), 0.3)[..., None]
    stained = light + wet * np.float32(0.9) * (light * stain - light)
    return np.asarray(stained + solid * (matter - stained))
