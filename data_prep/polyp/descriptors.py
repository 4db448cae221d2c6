"""What an edge looks like across: an oriented patch as a few cosine coefficients.

After "shape in context" (Tajbakhsh, Gurudu, Liang, TMI 35(2):630-644, 2016), as remembered: the
patch around an edge pixel is turned so that the edge runs vertically through its middle, and cut
into overlapping sub-patches. Each is averaged along the edge, which leaves a profile across it, and
the profile's DCT loses its first coefficient (brightness) and all but a few of the next. The
coefficients of a patch together have norm 1, so that neither brightness nor contrast counts.

Ours: the sizes, sub-patches that overlap across the edge only, and a second channel beside
brightness: redness, which says on which side the polyp is.
"""
from __future__ import annotations

import cv2
import numpy as np
from scipy import fft

PATCH_PX = 96
STEP_PX = 3
"""Distance of the samples of a patch, each a mean over as much of the frame."""
ACROSS_PX, ALONG_PX = 24, 12
"""A sub-patch; the next one across the edge overlaps it by half."""
COEFFICIENTS = 3
CHANNELS = 2
PLAIN = 1e-3
"""Coefficients of a smaller norm are of rounding; lightness goes up to 100."""

_SIDE, _ACROSS, _ALONG = (length // STEP_PX for length in (PATCH_PX, ACROSS_PX, ALONG_PX))
COLUMNS = 2 * _SIDE // _ACROSS - 1
ROWS = _SIDE // _ALONG
FEATURES = CHANNELS * ROWS * COLUMNS * COEFFICIENTS


def channels(image: np.ndarray) -> np.ndarray:
    """float32 (h, w, 2) of a frame (h, w, 3) uint8 BGR: lightness and redness (CIE L*, a*)."""
    return np.ascontiguousarray(
        cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_BGR2LAB)[..., :CHANNELS])


def patches(image: np.ndarray, at: np.ndarray, normal: np.ndarray) -> np.ndarray:
    """float32 (n, side, side, channels): patches at pixels (n, 2) x, y, columns along `normal`.

    `image`: (h, w, channels). Beyond the frame its border pixel is repeated.
    """
    smooth = cv2.blur(image.astype(np.float32), (STEP_PX, STEP_PX))
    offset = ((np.arange(_SIDE) - (_SIDE - 1) / 2) * STEP_PX).astype(np.float32)
    along = np.stack([-normal[:, 1], normal[:, 0]], 1)
    where = (at[:, None, None] + offset[:, None] * normal[:, None, None]
             + offset[:, None, None] * along[:, None, None]).astype(np.float32)
    found = cv2.remap(smooth, where.reshape(len(at), _SIDE * _SIDE, 2), None, cv2.INTER_LINEAR,
                      borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(found.reshape(len(at), _SIDE, _SIDE, image.shape[2]))


def describe(cut: np.ndarray) -> np.ndarray:
    """float32 (n, FEATURES) of patches (n, side, side, CHANNELS).

    In the order of row, column, coefficient, channel. Each channel has norm 1, or about 0
    where the patch is plain.
    """
    basis = fft.dct(np.eye(_ACROSS), axis=0, norm="ortho")[1:1 + COEFFICIENTS].astype(np.float32)
    count, half = len(cut), _ACROSS // 2
    profiles = cut.reshape(count, ROWS, _ALONG, _SIDE // half, half, CHANNELS).mean(2)
    profiles = np.ascontiguousarray(profiles.swapaxes(3, 4))
    first, second = basis[:, :half].T, basis[:, half:].T
    found = (profiles[:, :, :-1] @ first + profiles[:, :, 1:] @ second).swapaxes(3, 4)
    norm = np.sqrt(np.square(found).sum((1, 2, 3), keepdims=True))
    return np.asarray(found / np.maximum(norm, PLAIN)).reshape(count, FEATURES)


def mirrored(values: np.ndarray) -> np.ndarray:
    """The descriptors (n, FEATURES) of the same patches mirrored at the edge: its other side.

    The columns change places, and the odd coefficients their sign.
    """
    sign = np.where(np.arange(1, 1 + COEFFICIENTS) % 2, -1, 1).astype(np.float32)
    parts = values.reshape(len(values), ROWS, COLUMNS, COEFFICIENTS, CHANNELS)
    return np.asarray(parts[:, :, ::-1] * sign[:, None]).reshape(len(values), FEATURES)
