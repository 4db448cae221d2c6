"""Votes of a frame's boundary edges for the middle of what they surround.

After "shape in context" (Tajbakhsh, Gurudu, Liang, TMI 35(2):630-644, 2016), as remembered: an edge
v of confidence C with the inward normal n adds C exp(-|vr| / sigma) cos(n, vr) to every place r in
front of it. Edges vote in groups by the orientation of their normals, and the map is the sum of the
products of all pairs of groups, so that parallel edges alone collect nothing.

Ours: edges whose orientations straddle two groups would multiply with each other, so the map is the
smaller of two, with groups half a group apart; and it is their square root, the unit of a vote.
"""
from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

GROUPS = 4
DIRECTIONS = 32
"""To which normals are rounded; a multiple of 4 * GROUPS."""


@dataclass(frozen=True)
class Voters:
    """Edges that are taken for the boundary of a polyp."""

    at: np.ndarray
    """float32 (n, 2): x, y in pixels."""
    inward: np.ndarray
    """float32 (n, 2): unit vectors into the polyp."""
    confidence: np.ndarray
    """float32 (n,): 0..1."""


@dataclass(frozen=True)
class VoteSettings:
    stride: int = 4
    """Pixels from one place of the map to the next."""
    sigma: float = 48.0
    """Pixels over which a vote fades to 1/e."""
    reach: float = 2.5
    """A vote ends after so many sigmas."""


DEFAULTS = VoteSettings()


def vote_map(voters: Voters, shape: tuple[int, int], settings: VoteSettings = DEFAULTS
             ) -> np.ndarray:
    """float32 (rows, columns): votes at the pixels `places` of a frame of `shape` (h, w)."""
    grid = _scattered(voters, shape, settings.stride)
    kernels = _kernels(settings.sigma / settings.stride, settings.reach)
    votes = np.stack([cv2.filter2D(layer, -1, kernel, borderType=cv2.BORDER_CONSTANT)
                      for layer, kernel in zip(grid, kernels)])
    axes = np.maximum(votes[:DIRECTIONS // 2] + votes[DIRECTIONS // 2:], 0)
    width = DIRECTIONS // 2 // GROUPS
    products = []
    for shift in (0, width // 2):
        groups = np.roll(axes, shift, axis=0).reshape(GROUPS, width, *axes.shape[1:]).sum(1)
        products.append((groups.sum(0) ** 2 - np.square(groups).sum(0)) / 2)
    return np.asarray(np.sqrt(np.maximum(np.minimum(*products), 0)))


def places(shape: tuple[int, int], stride: int) -> tuple[int, int]:
    """Rows and columns of the map; its place (i, j) is the pixel (stride - 1) / 2 + stride * i."""
    return -(-shape[0] // stride), -(-shape[1] // stride)


def _scattered(voters: Voters, shape: tuple[int, int], stride: int) -> np.ndarray:
    """float32 (DIRECTIONS, rows, columns): confidence, shared by the four places around a voter."""
    rows, columns = places(shape, stride)
    angle = np.arctan2(voters.inward[:, 1], voters.inward[:, 0])
    direction = np.round(angle * (DIRECTIONS / (2 * np.pi))).astype(int) % DIRECTIONS
    where = (voters.at - (stride - 1) / 2) / stride
    low = np.floor(where).astype(int)
    part = where - low
    grid = np.zeros(DIRECTIONS * rows * columns)
    for dx in (0, 1):
        for dy in (0, 1):
            share = np.abs(1 - dx - part[:, 0]) * np.abs(1 - dy - part[:, 1])
            x, y = (np.clip(low[:, axis] + step, 0, limit - 1)
                    for axis, step, limit in ((0, dx, columns), (1, dy, rows)))
            grid += np.bincount((direction * rows + y) * columns + x, share * voters.confidence,
                                len(grid))
    return grid.reshape(DIRECTIONS, rows, columns).astype(np.float32)


def _kernels(sigma: float, reach: float) -> list[np.ndarray]:
    """For each direction the field of one vote, turned for filter2D, which correlates."""
    half = int(np.ceil(reach * sigma))
    y, x = np.mgrid[half:-half - 1:-1, half:-half - 1:-1].astype(np.float32)
    distance = np.hypot(x, y)
    kernels = []
    for angle in 2 * np.pi * np.arange(DIRECTIONS) / DIRECTIONS:
        ahead = x * np.cos(angle) + y * np.sin(angle)
        cosine = np.maximum(ahead, 0) / np.maximum(distance, 1)
        kernels.append((np.exp(-distance / sigma) * cosine).astype(np.float32))
    return kernels
