"""Edges of a frame: Canny on each colour channel, united, with the direction across each edge.

The first step of "shape in context" (Tajbakhsh, Gurudu, Liang, TMI 35(2):630-644, 2016). Lengths
are pixels of a frame `WORKING_WIDTH` wide.
"""
from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

WORKING_WIDTH = 384


@dataclass(frozen=True)
class EdgeSettings:
    smoothing: tuple[float, ...] = (2.4,)
    """Gaussian sigmas of the channels before Canny; the edges of all are united."""
    canny: tuple[float, float] = (10.0, 28.0)
    """Low and high threshold on the gradient (Sobel sum) times sigma."""
    border_level: int = 30
    """A pixel no brighter than this in any channel and connected to the frame's edge is outside
    the field."""
    border_px: int = 6
    cell_px: int = 4
    """Of the edge pixels in a cell so wide, only the strongest is kept."""


DEFAULTS = EdgeSettings()


@dataclass(frozen=True)
class Edges:
    """Edge pixels of one frame, in the order of rows and columns."""

    at: np.ndarray
    """float32 (n, 2): x, y."""
    normal: np.ndarray
    """float32 (n, 2): unit vector across the edge, towards the brighter side."""

    def __len__(self) -> int:
        return len(self.at)


def working_size(image: np.ndarray) -> tuple[np.ndarray, float]:
    """The frame `WORKING_WIDTH` wide, and how many of its pixels one of `image` is wide.

    ValueError unless the frame is uint8 (height, width, 3).
    """
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise ValueError(f"a frame is uint8 (height, width, 3), not {image.dtype} {image.shape}")
    scale = WORKING_WIDTH / image.shape[1]
    if scale == 1:
        return image, scale
    size = (WORKING_WIDTH, max(int(round(image.shape[0] * scale)), 1))
    return cv2.resize(image, size,
                      interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR), scale


def field_of(image: np.ndarray, settings: EdgeSettings = DEFAULTS) -> np.ndarray:
    """bool (height, width): clear of the black border around the endoscope's field."""
    dark = (image.max(2) <= settings.border_level).astype(np.uint8)
    dark = cv2.morphologyEx(dark, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    framed = cv2.copyMakeBorder(dark, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=1)
    labels = cv2.connectedComponents(framed)[1]
    outside = (labels == labels[0, 0]).astype(np.uint8)
    outside = cv2.dilate(outside, np.ones((2 * settings.border_px + 1,) * 2, np.uint8))
    return np.asarray(outside[1:-1, 1:-1] == 0)


def find_edges(image: np.ndarray, settings: EdgeSettings = DEFAULTS) -> Edges:
    """Edges of a frame uint8 (height, width, 3) BGR of working size.

    The normal is the gradient of the channel and scale where it is largest at that pixel.
    """
    shape = image.shape[:2]
    found, largest = np.zeros(shape, bool), np.zeros(shape, np.float32)
    gradient = np.zeros((2, *shape), np.float32)
    for sigma in settings.smoothing:
        smooth = cv2.GaussianBlur(image.astype(np.float32), (0, 0), sigma)
        across = sigma * np.stack([cv2.Sobel(smooth, cv2.CV_32F, *order)
                                   for order in ((1, 0), (0, 1))])
        for channel in range(3):
            gx, gy = np.ascontiguousarray(across[..., channel])
            edge = cv2.Canny(gx.astype(np.int16), gy.astype(np.int16), *settings.canny,
                             L2gradient=True) > 0
            size = np.hypot(gx, gy)
            better = edge & (size > largest)
            found |= edge
            largest[better] = size[better]
            gradient[:, better] = gx[better], gy[better]
    largest[~(found & field_of(image, settings))] = 0
    ys, xs = _strongest(largest, settings.cell_px)
    normal = (gradient[:, ys, xs] / largest[ys, xs]).T
    return Edges(np.stack([xs, ys], 1).astype(np.float32), np.ascontiguousarray(normal))


def _strongest(strength: np.ndarray, cell_px: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of the largest positive value of every cell."""
    height, width = (-(-length // cell_px) for length in strength.shape)
    padded = np.zeros((height * cell_px, width * cell_px), np.float32)
    padded[:strength.shape[0], :strength.shape[1]] = strength
    cells = padded.reshape(height, cell_px, width, cell_px).swapaxes(1, 2).reshape(
        height, width, cell_px ** 2)
    row, column = np.nonzero(cells.max(2) > 0)
    inside = cells[row, column].argmax(1)
    return row * cell_px + inside // cell_px, column * cell_px + inside % cell_px
