"""Polyp candidates from geometry alone: edges vote for closed, curved boundaries.

After Tajbakhsh, Gurudu, Liang (TMI 35(2):630-644, 2016), without its learned stages. Every edge
votes along its normal, to both sides, in a field that fades with distance and angle. Votes are
kept in four groups by orientation and the groups multiplied, so that parallel edges alone collect
nothing. Around each maximum the best supported closed path of edges gives the box, and the share
of directions that support it the score.
"""
from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

GROUPS = 4
"""Orientation groups of the votes (normals modulo 180 degrees)."""


@dataclass(frozen=True)
class Candidate:
    """A box, pixels of the frame, `x`, `y` its upper left corner; `score` is in [0, 1]."""

    x: float
    y: float
    w: float
    h: float
    score: float

    @property
    def centre(self) -> tuple[float, float]:
        """x, y of the middle of the box."""
        return self.x + self.w / 2, self.y + self.h / 2


@dataclass(frozen=True)
class DetectorSettings:
    """Lengths are pixels of a frame `working_width` wide; frames of other sizes are scaled to it
    first."""

    max_candidates: int = 10
    working_width: int = 384
    smoothing: tuple[float, ...] = (1.6, 3.2)
    """Gaussian sigmas of the channels before Canny."""
    canny: tuple[float, float] = (10.0, 28.0)
    """Low and high threshold on the gradient (Sobel sum) times sigma."""
    border_level: int = 30
    """A pixel no brighter than this in any channel and connected to the frame's edge is outside
    the field."""
    border_px: int = 6
    glint_level: int = 190
    """A small spot at least this bright in every channel is a specular highlight."""
    glint_px: int = 25
    """A bright spot wider than this is an overexposed wall, not a highlight."""
    vote_stride: int = 4
    vote_sigma: tuple[float, ...] = (16.0, 48.0)
    """Reach of the votes, one map each."""
    directions: int = 16
    """Directions to which the normals of the votes are rounded; a multiple of 2 * GROUPS."""
    maxima: int = 40
    """Maxima examined per vote map."""
    rays: int = 32
    """Directions around a maximum in which the path looks for an edge; even."""
    radii: tuple[float, float] = (7.0, 100.0)
    """Smallest and largest distance of the path from the maximum."""
    radius_steps: int = 28
    bend_cost: float = 0.06
    """What the path pays to change its radius by one step, in units of a full edge."""
    supported: float = 0.25
    """A direction with at least this share of a full edge on the path is supported."""
    apart: float = 0.25
    """Two boxes with more overlap (intersection over union) than this are one candidate."""


def detect(image: np.ndarray, settings: DetectorSettings = DetectorSettings()) -> list[Candidate]:
    """Candidates of one frame, best first, at most `settings.max_candidates`.

    `image`: uint8 (height, width, 3), BGR. Raises ValueError on any other array.
    """
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise ValueError(f"a frame is uint8 (height, width, 3), not {image.dtype} {image.shape}")
    scale = settings.working_width / image.shape[1]
    if scale != 1:
        size = (settings.working_width, max(int(round(image.shape[0] * scale)), 1))
        image = cv2.resize(
            image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        )
    strength, normal = edge_map(image, settings)
    centres = _maxima(vote_maps(strength, normal, settings), settings)
    if not len(centres):
        return []
    boxes, scores = _closed_paths(strength, normal, centres, settings)
    found = _distinct(boxes, scores, settings)
    rows = np.concatenate([boxes / scale, scores[:, None]], axis=1)[found]
    return [Candidate(*row) for row in rows.tolist()]


def visible_field(image: np.ndarray, settings: DetectorSettings) -> np.ndarray:
    """bool (height, width): clear of the black border around the field and of specular
    highlights."""
    dark = (image.max(2) <= settings.border_level).astype(np.uint8)
    dark = cv2.morphologyEx(dark, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    framed = cv2.copyMakeBorder(dark, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=1)
    labels = cv2.connectedComponents(framed)[1]
    outside = (labels == labels[0, 0]).astype(np.uint8)
    outside = cv2.dilate(outside, np.ones((2 * settings.border_px + 1,) * 2, np.uint8))[1:-1, 1:-1]
    bright = (image.min(2) >= settings.glint_level).astype(np.uint8)
    small = cv2.morphologyEx(bright, cv2.MORPH_TOPHAT, np.ones((settings.glint_px,) * 2, np.uint8))
    return (outside == 0) & (cv2.dilate(small, np.ones((7, 7), np.uint8)) == 0)


def edge_map(image: np.ndarray, settings: DetectorSettings) -> tuple[np.ndarray, np.ndarray]:
    """Edge strength in [0, 1], float32 (height, width), 0 off the edges, and unit normals (height,
    width, 2).

    Canny on blue, green and red, united over channels and scales; the normal is the gradient
    (towards the bright side) of the channel and scale where it is largest.
    """
    field = visible_field(image, settings)
    strength = np.zeros(image.shape[:2], np.float32)
    normal = np.zeros(image.shape[:2] + (2,), np.float32)
    for sigma in settings.smoothing:
        smooth = cv2.GaussianBlur(image.astype(np.float32), (0, 0), sigma)
        dx, dy = (sigma * cv2.Sobel(smooth, cv2.CV_32F, *order) for order in ((1, 0), (0, 1)))
        magnitude = np.hypot(dx, dy)
        edges = np.zeros(image.shape[:2], np.uint8)
        for c in range(3):
            gx, gy = (np.ascontiguousarray(d[..., c]).astype(np.int16) for d in (dx, dy))
            edges |= cv2.Canny(gx, gy, *settings.canny, L2gradient=True)
        steepest = magnitude.argmax(2)[..., None]
        gx, gy, largest = (np.take_along_axis(d, steepest, 2)[..., 0] for d in (dx, dy, magnitude))
        # The square root, capped: contrast counts, yet a faint closed outline beats a strong open
        # one.
        gain = np.where((edges > 0) & field, np.minimum(np.sqrt(largest / 240), 1), 0)
        better = gain > strength
        strength[better] = gain[better]
        normal[better] = (np.stack([gx, gy], -1) / (largest[..., None] + 1e-6))[better]
    return strength, normal


def vote_maps(strength: np.ndarray, normal: np.ndarray, settings: DetectorSettings) -> np.ndarray:
    """Votes float32 (maps, rows, columns) for the middle of a closed boundary, on a grid of
    `vote_stride` pixels.

    Votes for bright and for dark inside are multiplied separately: a boundary seldom mixes them.
    """
    stride, n = settings.vote_stride, settings.directions
    rows, columns = (-(-length // stride) for length in strength.shape)
    ys, xs = np.nonzero(strength)
    angle = np.arctan2(normal[ys, xs, 1], normal[ys, xs, 0])
    direction = np.round(angle * (n / (2 * np.pi))).astype(int) % n
    cell = (direction * rows + ys // stride) * columns + xs // stride
    voters = (
        np.bincount(cell, strength[ys, xs], n * rows * columns)
        .reshape(n, rows, columns)
        .astype(np.float32)
    )
    maps = []
    for sigma in settings.vote_sigma:
        kernels = _vote_kernels(sigma / stride, n)
        votes = np.zeros((rows, columns), np.float32)
        for turn in (0, n // 2):  # along the gradient: bright inside; against it: dark inside
            groups = np.zeros((GROUPS, rows, columns), np.float32)
            for k in range(n):
                groups[k % (n // 2) * GROUPS // (n // 2)] += cv2.filter2D(
                    voters[(k + turn) % n], -1, kernels[k], borderType=cv2.BORDER_CONSTANT
                )
            votes += (
                groups.sum(0) ** 2 - (groups**2).sum(0)
            ) / 2  # the products of all pairs of groups
        maps.append(np.sqrt(np.maximum(votes, 0)))
    return np.stack(maps)


def _vote_kernels(sigma: float, directions: int) -> list[np.ndarray]:
    """For each direction the field of one vote, |r| exp(-2 |r| / sigma) cos(angle)^4, turned for
    filter2D.

    Narrower than the paper's cos(angle): without a classifier's inward normal half of the votes go
    astray.
    """
    half = int(np.ceil(2.5 * sigma))
    # Descending, as filter2D correlates.
    y, x = np.mgrid[half : -half - 1 : -1, half : -half - 1 : -1].astype(np.float32)
    r = np.hypot(x, y) + np.float32(1e-6)
    kernels = []
    for angle in 2 * np.pi * np.arange(directions) / directions:
        ahead = np.maximum((x * np.cos(angle) + y * np.sin(angle)) / r, 0)
        kernel = r * np.exp(-2 * r / sigma) * ahead**4
        kernels.append((kernel / kernel.sum()).astype(np.float32))
    return kernels


def _maxima(maps: np.ndarray, settings: DetectorSettings) -> np.ndarray:
    """x, y (n, 2) in pixels of the strongest local maxima of every map."""
    centres = []
    for votes in maps:
        peak = (votes == cv2.dilate(votes, np.ones((5, 5), np.uint8))) & (
            votes > 0.02 * votes.max()
        )
        ys, xs = np.nonzero(peak)
        strongest = np.argsort(-votes[ys, xs], kind="stable")[: settings.maxima]
        centres.append(np.stack([xs[strongest], ys[strongest]], 1))
    return (np.concatenate(centres) + 0.5) * settings.vote_stride - 0.5


def _closed_paths(
    strength: np.ndarray, normal: np.ndarray, centres: np.ndarray, settings: DetectorSettings
) -> tuple[np.ndarray, np.ndarray]:
    """Boxes (n, 4) x, y, w, h and scores (n,) of the best closed path of edges around each centre
    (n, 2)."""
    angles = 2 * np.pi * np.arange(settings.rays) / settings.rays
    radii = np.geomspace(*settings.radii, settings.radius_steps)
    unit = np.stack([np.cos(angles), np.sin(angles)], 1)
    at = (centres[:, None, None] + radii[:, None] * unit[:, None]).astype(np.float32)
    # Doubled angles, so that a normal and its opposite add up instead of cancelling under the blur.
    nx, ny = normal[..., 0], normal[..., 1]
    tensor = strength[..., None] * np.stack([np.ones_like(nx), nx * nx - ny * ny, 2 * nx * ny], -1)
    spread = 2.0
    tensor = 2 * spread * cv2.GaussianBlur(tensor, (0, 0), spread)
    shape = (len(centres), settings.rays, settings.radius_steps)
    sampled = cv2.remap(
        tensor,
        at.reshape(-1, settings.radius_steps, 2),
        None,
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT,
    ).reshape(shape + (3,))
    turned = (
        sampled[..., 1] * np.cos(2 * angles)[:, None]
        + sampled[..., 2] * np.sin(2 * angles)[:, None]
    )
    across, along = (sampled[..., 0] + turned) / 2, (sampled[..., 0] - turned) / 2
    path, support = _best_path(np.clip(across - along / 2, 0, 1), settings.bend_cost)
    rim = centres[:, None] + radii[path][..., None] * unit
    low, high = rim.min(1), rim.max(1)
    on = support > settings.supported
    on |= np.roll(on, settings.rays // 2, axis=1)  # opposite directions share, TMI 35(2)
    return np.concatenate([low, high - low], 1), (on.mean(1) + support.mean(1)) / 2


def _best_path(gain: np.ndarray, bend_cost: float) -> tuple[np.ndarray, np.ndarray]:
    """The closed path of largest gain (n, rays, steps), at most two steps of radius between
    neighbouring rays.

    Dynamic programming twice around, so that the start knows the end. Returns steps and gains,
    both (n, rays).
    """
    n, rays, steps = gain.shape
    moves = np.arange(-2, 3)
    total = np.zeros((n, steps))
    came_from = np.zeros((2 * rays, n, steps), int)
    for i in range(2 * rays):
        padded = np.pad(total, ((0, 0), (2, 2)), mode="constant", constant_values=-np.inf)
        options = np.stack([padded[:, 2 + m : 2 + m + steps] - bend_cost * abs(m) for m in moves])
        came_from[i] = np.arange(steps) + moves[options.argmax(0)]
        total = options.max(0) + gain[:, i % rays]
    path = np.zeros((2 * rays, n), int)
    step = total.argmax(1)
    for i in range(2 * rays - 1, -1, -1):
        path[i] = step
        step = came_from[i][np.arange(n), step]
    half = rays // 2
    middle = np.concatenate(
        [path[rays : rays + half], path[half:rays]]
    ).T  # the middle of the two rounds
    return middle, np.take_along_axis(gain, middle[..., None], 2)[..., 0]


def _distinct(boxes: np.ndarray, scores: np.ndarray, settings: DetectorSettings) -> list[int]:
    """Indices of the best boxes, best first, without those that repeat a better one."""
    low, high = boxes[:, :2], boxes[:, :2] + boxes[:, 2:]
    area = boxes[:, 2] * boxes[:, 3]
    found: list[int] = []
    for i in np.argsort(-scores, kind="stable"):
        if len(found) == settings.max_candidates:
            break
        side = np.maximum(np.minimum(high[i], high[found]) - np.maximum(low[i], low[found]), 0)
        shared = side[:, 0] * side[:, 1]
        if np.all(shared <= settings.apart * (area[i] + area[found] - shared)):
            found.append(int(i))
    return found
