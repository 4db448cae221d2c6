"""What each edge of a frame is, for training only: by the mask, and by a map of kinds or by rules.

Of the kinds only the polyp's boundary is outlined by experts. The other four are told apart by a
map of what makes edges, where there is one (the phantom's is exact), else by stated rules on the
frame, in the order of `KINDS`; the paper's were marked by hand.
"""
from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from data_prep.polyp.edges import Edges, field_of

KINDS = ("polyp", "specular", "lumen", "vessel", "other")
POLYP, SPECULAR, LUMEN, VESSEL, OTHER = range(len(KINDS))
UNCLEAR = -1
MAPPED = (SPECULAR, LUMEN, VESSEL)
"""Values of a map of kinds; 0 is none of these."""


@dataclass(frozen=True)
class KindSettings:
    """Lengths are pixels of a frame of working size."""

    near_px: float = 4.0
    """An edge so near the outline of a polyp, and along it, is its boundary."""
    unclear_px: float = 8.0
    """Other edges so near are left out: experts' outlines are rough."""
    along: float = 0.8
    """Least cosine of the angle between the edge's normal and the outline's."""
    glint_level: int = 190
    """A small spot at least this bright in every channel is a specular highlight."""
    glint_px: int = 25
    glint_reach_px: int = 4
    lumen_share: float = 0.4
    """The lumen is darker than this share of the field's median brightness, over some pixels."""
    lumen_blur_px: float = 5.0
    lumen_reach_px: int = 6
    vessel_px: int = 11
    """A vessel is dark and narrower than this."""
    vessel_share: float = 0.08
    """By how much of its surroundings' green a vessel is darker."""
    vessel_reach_px: int = 3


DEFAULTS = KindSettings()


@dataclass(frozen=True)
class Truth:
    """For each edge its kind (or UNCLEAR), and, for a polyp's boundary, whether the edge's normal
    points into the polyp."""

    kind: np.ndarray
    inward: np.ndarray


def outline(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Signed distance to the outline (h, w), positive inside, and inward unit normals (2, h, w)."""
    inside = mask.astype(np.uint8)
    if not inside.any():
        return np.full(mask.shape, -np.inf, np.float32), np.zeros((2, *mask.shape), np.float32)
    signed = (cv2.distanceTransform(inside, cv2.DIST_L2, 5)
              - cv2.distanceTransform(1 - inside, cv2.DIST_L2, 5))
    smooth = cv2.GaussianBlur(signed, (0, 0), 2)
    slope = np.stack([cv2.Sobel(smooth, cv2.CV_32F, 1, 0), cv2.Sobel(smooth, cv2.CV_32F, 0, 1)])
    return signed, slope / np.maximum(np.hypot(*slope), 1e-6)


def glints(image: np.ndarray, settings: KindSettings = DEFAULTS) -> np.ndarray:
    """bool (h, w): small spots, bright in all channels."""
    bright = (image.min(2) >= settings.glint_level).astype(np.uint8)
    return np.asarray(cv2.morphologyEx(bright, cv2.MORPH_TOPHAT,
                                       np.ones((settings.glint_px,) * 2, np.uint8)) > 0)


def lumen(image: np.ndarray, settings: KindSettings = DEFAULTS) -> np.ndarray:
    """bool (h, w): what is dark for the frame, over some pixels."""
    grey = cv2.GaussianBlur(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY).astype(np.float32), (0, 0),
                            settings.lumen_blur_px)
    field = field_of(image)
    if not field.any():
        return np.zeros(field.shape, bool)
    return np.asarray(field & (grey < settings.lumen_share * np.median(grey[field])))


def vessels(image: np.ndarray, settings: KindSettings = DEFAULTS) -> np.ndarray:
    """bool (h, w): narrow and darker in green than what is on both sides."""
    green = cv2.GaussianBlur(image[..., 1].astype(np.float32), (0, 0), 1.2)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (settings.vessel_px,) * 2)
    around = cv2.morphologyEx(green, cv2.MORPH_CLOSE, disc)
    return np.asarray(around - green > settings.vessel_share * around)


def _within(region: np.ndarray, reach_px: int) -> np.ndarray:
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach_px + 1,) * 2)
    return np.asarray(cv2.dilate(region.astype(np.uint8), disc) > 0)


def label(image: np.ndarray, mask: np.ndarray, edges: Edges, marked: np.ndarray | None = None,
          settings: KindSettings = DEFAULTS) -> Truth:
    """The kinds of the edges of a frame (h, w, 3) with its mask (h, w) bool, of working size.

    `marked`: (h, w) uint8 of MAPPED or 0; without it the rules decide.
    """
    column, row = edges.at.astype(int).T
    signed, inward = outline(mask)
    cosine = (inward[:, row, column].T * edges.normal).sum(1)
    distance = np.abs(signed[row, column])
    if marked is None:
        bright, dark, narrow = (rule(image, settings) for rule in (glints, lumen, vessels))
    else:
        bright, dark, narrow = (marked == kind for kind in MAPPED)
    rules = (
        (POLYP, (distance <= settings.near_px) & (np.abs(cosine) >= settings.along)),
        (SPECULAR, _within(bright, settings.glint_reach_px)[row, column]),
        (UNCLEAR, distance <= settings.unclear_px),
        (LUMEN, _within(dark, settings.lumen_reach_px)[row, column]),
        (VESSEL, _within(narrow, settings.vessel_reach_px)[row, column]))
    kind = np.full(len(edges), OTHER)
    for name, here in reversed(rules):
        kind[here] = name
    return Truth(kind, cosine > 0)


def drawn(kind: np.ndarray, most: int, rng: np.random.Generator) -> np.ndarray:
    """Rows (n,) of at most so many edges of each kind, at random."""
    return np.concatenate([rng.permutation(np.flatnonzero(kind == number))[:most]
                           for number in range(len(KINDS))])
