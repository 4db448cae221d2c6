"""B-mode from scatterers: pulse, beam, noise, envelope, logarithm, grey values.

A convolution model: the echo is the tissue's scatterers convolved along depth with a pulse of some
cycles of the carrier, and across with a beam that is narrowest at its focus.
"""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import convolve1d, gaussian_filter, gaussian_filter1d
from scipy.signal import hilbert

SOUND_MM_PER_US = 1.54
REFERENCE = 2.5             # envelope that is shown as white at a gain of 0 dB


@dataclass(frozen=True)
class Scanner:
    """Probe and settings of a subject's examination."""

    carrier_mhz: float
    cycles: float               # length of the pulse, full width at half maximum
    beam_mm: float              # full width at half maximum at the focus
    focus_mm: float             # depth of the focus in the frame
    noise: float                # of the receiver, in units of the echo
    attenuation_db_per_mm: float    # left over after the scanner's compensation
    gain_db: float
    range_db: float             # shown between black and white
    gamma: float                # of the grey map
    smoothing_px: float         # of the scanner's speckle reduction


def draw_scanner(rng: np.random.Generator) -> Scanner:
    """Settings within what is used on carotids."""
    return Scanner(
        carrier_mhz=rng.uniform(7.5, 11.0), cycles=rng.uniform(1.4, 2.2),
        beam_mm=rng.uniform(0.25, 0.45), focus_mm=rng.uniform(6.0, 12.0),
        noise=10 ** rng.uniform(-2.6, -1.7), attenuation_db_per_mm=rng.uniform(-0.4, 0.6),
        gain_db=rng.uniform(-4.0, 5.0), range_db=rng.uniform(48.0, 62.0),
        gamma=rng.uniform(1.2, 1.9), smoothing_px=rng.uniform(0.0, 0.6))


def pulse(scanner: Scanner, step_mm: float) -> np.ndarray:
    """Samples of the pulse along depth, centred: the carrier under a Gaussian, of unit energy."""
    period_mm = SOUND_MM_PER_US / scanner.carrier_mhz / 2     # there and back
    sigma = scanner.cycles * period_mm / 2.355
    half = int(np.ceil(3.5 * sigma / step_mm))
    z_mm = np.arange(-half, half + 1) * step_mm
    wave = np.cos(2 * np.pi * z_mm / period_mm) * np.exp(-0.5 * (z_mm / sigma) ** 2)
    return np.asarray(wave / np.sqrt((wave ** 2).sum()))


def received(scanner: Scanner, echoes: np.ndarray, depths_mm: np.ndarray, pixel_mm: float,
             rng: np.random.Generator) -> np.ndarray:
    """(depths, columns) float64: the radio-frequency signal of scatterers, with the noise."""
    step_mm = float(depths_mm[1] - depths_mm[0])
    lines = convolve1d(echoes, pulse(scanner, step_mm), axis=0, mode="constant")
    # Two beams, at the focus and away from it, mixed by depth.
    sigma_px = scanner.beam_mm / 2.355 / pixel_mm
    far = np.minimum(np.abs(depths_mm - scanner.focus_mm) / 8.0, 1.0)[:, None]
    signal = (1 - far) * _beam(lines, sigma_px) + far * _beam(lines, 2.2 * sigma_px)
    signal *= 10 ** (-scanner.attenuation_db_per_mm * (depths_mm - depths_mm.mean())[:, None] / 20)
    # The receiver passes the band of the pulse, and lines lie closer than elements.
    noise = convolve1d(rng.standard_normal(signal.shape), pulse(scanner, step_mm), axis=0)
    return np.asarray(signal + scanner.noise * _beam(noise, 0.8))


def _beam(lines: np.ndarray, sigma_px: float) -> np.ndarray:
    """Lines summed over the beam's width; diffuse scatterers stay as strong as they are."""
    wide = gaussian_filter1d(lines, sigma_px, axis=1, mode="nearest")
    return np.asarray(wide * np.sqrt(2 * np.sqrt(np.pi) * sigma_px))


def shown(scanner: Scanner, signal: np.ndarray, samples_per_pixel: int) -> np.ndarray:
    """(rows, columns) uint8: envelope, averaged over each pixel, on a logarithmic grey scale."""
    envelope = np.abs(hilbert(signal, axis=0))
    rows = signal.shape[0] // samples_per_pixel
    pixels = envelope[:rows * samples_per_pixel].reshape(rows, samples_per_pixel, -1).mean(axis=1)
    level_db = 20 * np.log10(np.maximum(pixels, 1e-9) / REFERENCE) + scanner.gain_db
    if scanner.smoothing_px > 0.2:
        level_db = gaussian_filter(level_db, scanner.smoothing_px)
    grey = np.clip(1 + level_db / scanner.range_db, 0, 1) ** scanner.gamma
    return np.asarray(np.rint(255 * grey).astype(np.uint8))
