"""The far wall of a carotid artery as tissue: where its layers lie and how they scatter.

Lengths in millimetres, depths from the top edge of the frame; amplitudes of the echo, relative to
the adventitia's.
"""
from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from scipy.ndimage import gaussian_filter, gaussian_filter1d
from scipy.special import expit
from scipy.stats import norm

THICKNESS_RANGE_MM = (0.4, 1.2)
INTIMA_MM = 0.10            # of the wall: the innermost layer that shows as a line of its own
FIBRE_MM = (0.12, 0.9)      # scale of texture along depth and along the wall
PATCH_MM = 0.5              # scale on which an interface's echo changes along the wall
INTIMA_GAIN, ADVENTITIA_GAIN = 1.2, 2.0     # of the coherent echoes over the diffuse ones
SPECULAR_SLOPE = 0.12       # at which a coherent echo is down to 1/e: it misses the probe
LARGEST_SLOPE = 0.16        # of a wall, 9 degrees: a sonographer holds it level


@dataclass(frozen=True)
class Subject:
    """What the frames of a subject have in common: its wall, and how the tissues scatter."""

    thickness_mm: float
    lumen_mm: float             # diameter
    intima: float               # mean echo of the intima's surface, coherent
    media: float                # amplitude of scatterers
    blood: float
    adventitia_mm: float        # depth over which the bright layer fades
    tissue: float               # amplitude of what lies beyond it
    patchiness: float           # variation of the interfaces' echo along the wall, log units
    dropout: float              # part of the intima's length without an echo
    haze: float                 # reverberation of the near wall in the lumen


def draw_subject(rng: np.random.Generator) -> Subject:
    """A subject, from healthy and thin to thick and echogenic."""
    return Subject(
        thickness_mm=rng.uniform(0.5, 1.05), lumen_mm=rng.uniform(5.0, 7.0),
        intima=rng.uniform(0.35, 0.9), media=10 ** rng.uniform(-1.25, -0.75),
        blood=10 ** rng.uniform(-2.8, -2.0), adventitia_mm=rng.uniform(0.5, 1.3),
        tissue=rng.uniform(0.05, 0.25), patchiness=rng.uniform(0.2, 0.5),
        dropout=rng.uniform(0.03, 0.22), haze=rng.uniform(0.0, 0.1))


@dataclass(frozen=True)
class Wall:
    """Depths of one frame's wall at its columns, (columns,) float64 mm: exact, not as imaged."""

    lumen_intima_mm: np.ndarray
    media_adventitia_mm: np.ndarray


def smooth(rng: np.random.Generator, count: int, scale: float) -> np.ndarray:
    """(count,) noise of unit variance, correlated over about `scale` samples."""
    pad = int(4 * scale) + 1
    white = rng.standard_normal(count + 2 * pad)
    noise = gaussian_filter1d(white, scale)[pad:-pad]
    return np.asarray(noise * np.sqrt(2 * np.sqrt(np.pi) * scale))


def draw_wall(rng: np.random.Generator, subject: Subject, depth_mm: float, columns: int,
              pixel_mm: float) -> Wall:
    """A wall at about `depth_mm`: tilted, curved and uneven, thicker in some places."""
    x_mm = (np.arange(columns) - (columns - 1) / 2) * pixel_mm
    slope = np.clip(rng.normal(0, 0.06), -LARGEST_SLOPE, LARGEST_SLOPE)
    curvature = rng.normal(0, 1 / 120)
    inner = (depth_mm + slope * x_mm + curvature * x_mm ** 2 / 2
             + rng.uniform(0.02, 0.1) * smooth(rng, columns, 2.0 / pixel_mm))
    thickness = subject.thickness_mm * np.exp(rng.normal(0, 0.08)
                                              + 0.07 * smooth(rng, columns, 1.5 / pixel_mm))
    if rng.random() < 0.25:     # a focal thickening
        centre = rng.uniform(x_mm[0], x_mm[-1])
        thickness += rng.uniform(0.1, 0.3) * np.exp(
            -0.5 * ((x_mm - centre) / rng.uniform(1.0, 2.5)) ** 2)
    low, high = THICKNESS_RANGE_MM
    half = (high - low) / 2     # held in range without corners
    thickness = low + half * (1 + np.tanh((thickness - low - half) / half))
    return Wall(inner, inner + thickness)


def scatterers(rng: np.random.Generator, subject: Subject, wall: Wall, depths_mm: np.ndarray,
               pixel_mm: float) -> np.ndarray:
    """(depths, columns) float64: what echoes at each place, before any ultrasound.

    Diffuse scatterers of random strength and sign, as strong as their layer is, and along the
    interfaces a coherent part, brighter the more level the wall.
    """
    columns, step_mm = len(wall.lumen_intima_mm), float(depths_mm[1] - depths_mm[0])
    into_wall = depths_mm[:, None] - wall.lumen_intima_mm
    beyond = depths_mm[:, None] - wall.media_adventitia_mm
    intima, outer = (
        np.exp(subject.patchiness * smooth(rng, columns, PATCH_MM / pixel_mm))
        * _presence(rng, gone, columns, pixel_mm)
        for gone in (subject.dropout, subject.dropout / 3))
    diffuse = _layers(rng, subject, into_wall, beyond, intima, outer, (step_mm, pixel_mm))
    diffuse += _near_wall(rng, subject, wall, depths_mm, pixel_mm)
    echo = diffuse * rng.standard_normal(diffuse.shape)
    level = np.exp(-(np.gradient(wall.lumen_intima_mm, pixel_mm) / SPECULAR_SLOPE) ** 2)
    for mm, line in ((into_wall, INTIMA_GAIN * subject.intima * intima * level),
                     (beyond, ADVENTITIA_GAIN * outer * level)):
        echo += line * np.clip(1 - np.abs(mm) / step_mm, 0, None)   # one sample deep
    return np.asarray(echo)


def _layers(rng: np.random.Generator, subject: Subject, into_wall: np.ndarray, beyond: np.ndarray,
            intima: np.ndarray, outer: np.ndarray, step_mm: tuple[float, float]) -> np.ndarray:
    """(depths, columns): amplitude of the diffuse scatterers of blood, wall and what is beyond.

    Where the intima's echo drops out it scatters as the media below it.
    """
    media = subject.media * (0.35 + 0.65 * fibres(rng, beyond.shape, step_mm))
    inner = np.where(into_wall < INTIMA_MM, np.maximum(media, 0.5 * subject.intima * intima), media)
    fading = np.exp(-(np.maximum(beyond, 0) / subject.adventitia_mm) ** 1.5)
    clouds = 3 * subject.tissue * fibres(rng, beyond.shape, step_mm, 4.0) ** 2
    adventitia = (clouds * (1 - fading) + outer * fading) \
        * (0.45 + 0.55 * fibres(rng, beyond.shape, step_mm))
    return np.asarray(np.where(into_wall < 0, subject.blood,
                               np.where(beyond < 0, inner, adventitia)))


def fibres(rng: np.random.Generator, shape: tuple[int, int], step_mm: tuple[float, float],
           size: float = 1.0) -> np.ndarray:
    """`shape` (depths, columns) in 0..1: streaks that lie along the wall, of uneven brightness.

    Drawn on a grid of two thirds of their length scale and interpolated.
    """
    scale = [size * mm / step / 1.5 for mm, step in zip(FIBRE_MM, step_mm)]
    coarse = [int(count / each) + 8 for count, each in zip(shape, scale)]
    noise = gaussian_filter(rng.standard_normal(coarse), 1.5)
    noise = cv2.resize(noise / noise.std(), None, fx=scale[1], fy=scale[0],
                       interpolation=cv2.INTER_CUBIC)[:shape[0], :shape[1]]
    return np.asarray(expit(2.0 * noise))


def _presence(rng: np.random.Generator, gone: float, columns: int, pixel_mm: float
              ) -> np.ndarray:
    """1, and near 0 over a share `gone` of the columns, in stretches of about a millimetre."""
    return np.asarray(expit((smooth(rng, columns, PATCH_MM / pixel_mm) - norm.ppf(gone)) / 0.2))


def _near_wall(rng: np.random.Generator, subject: Subject, wall: Wall, depths_mm: np.ndarray,
               pixel_mm: float) -> np.ndarray:
    """(depths, columns): the wall on the other side of the lumen, and its echo's reverberations.

    These come at equal distances, ever weaker, and reach into the lumen.
    """
    columns = len(wall.lumen_intima_mm)
    edge = wall.lumen_intima_mm - subject.lumen_mm + 0.1 * smooth(rng, columns, 3.0 / pixel_mm)
    into_lumen = depths_mm[:, None] - edge
    spacing_mm, fall_mm, phase = rng.uniform((0.5, 1.2, 0.0), (1.3, 2.6, 2 * np.pi))
    rings = (0.5 + 0.5 * np.cos(2 * np.pi * into_lumen / spacing_mm + phase)) ** 3
    past = np.maximum(into_lumen, 0)
    strength = np.where(into_lumen < 0, 0.6 * np.exp(np.minimum(into_lumen, 0) / 0.8) + 0.15,
                        0.12 * np.exp(-past / 0.25)
                        + subject.haze * np.exp(-past / fall_mm) * (0.3 + rings))
    if rng.random() < 0.3:      # an echo that comes late and lies in the lumen as a line
        above_mm, width_mm = rng.uniform(0.7, 2.2), rng.uniform(0.05, 0.1)
        tilt = rng.normal(0, 0.03) * (np.arange(columns) - columns / 2) * pixel_mm
        line = np.exp(-0.5 * ((depths_mm[:, None] - wall.lumen_intima_mm + above_mm + tilt)
                              / width_mm) ** 2)
        strength += rng.uniform(0.03, 0.12) * line * _presence(rng, 0.4, columns, pixel_mm)
    return np.asarray(strength)
