"""Crops of a frame: 227x227 pixels at seeded random places (paper, section IV-C).

The paper cuts "200 sub-images of size 227x227 pixels from random locations in each 500x350"
frame, which for its 2,000 training frames would be 400,000, and counts "approximately 40,000". Read
here as 20 of each training frame and up to 200 of each test frame.
"""
from __future__ import annotations

import hashlib
from pathlib import Path

import cv2
import numpy as np

from data_prep import images
from data_prep.patches import PATCH_PX
from layerwise.contracts import Candidate
from layerwise.errors import InputError

LARGEST_PX = (500, 350)     # width, height: the paper's frames
VIEWS = tuple(f"c{number:03d}" for number in range(200))
TRAINING_VIEWS = VIEWS[:20]


def load(path: Path) -> np.ndarray:
    """(h, w, 3) BGR uint8 of a frame's file, as `fitted` makes it."""
    return fitted(path, images.load_bgr8(path))


def fitted(path: Path, image: np.ndarray) -> np.ndarray:
    """A frame larger than 500x350 made to fit in, area-averaged; a smaller one as it is.

    The aspect ratio is kept, and the shorter side is not made smaller than a crop: a wide frame may
    stay wider than 500. Raises InputError for a frame with a side shorter than a crop.
    """
    height, width = image.shape[:2]
    shorter = min(width, height)
    if shorter < PATCH_PX:
        raise InputError(f"{path}: {width}x{height} pixels; a frame must be at least "
                         f"{PATCH_PX}x{PATCH_PX} and is never enlarged; replace or remove it")
    scale = max(min(LARGEST_PX[0] / width, LARGEST_PX[1] / height), PATCH_PX / shorter)
    if scale >= 1:
        return image
    size = (round(width * scale), round(height * scale))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA))


def place(case: str, view: str, width: int, height: int) -> tuple[int, int]:
    """x, y of the top left corner of a crop: any place in the frame is as likely as any other.

    Drawn by the SHA-256 of both names and nothing else, so a crop is the same in every set.
    """
    digest = hashlib.sha256(f"{case}\n{view}".encode()).digest()
    across, down = (int.from_bytes(part, "big") for part in (digest[:8], digest[8:16]))
    return across % (width - PATCH_PX + 1), down % (height - PATCH_PX + 1)


def cut(image: np.ndarray, candidate: Candidate, view: str) -> np.ndarray:
    """(227, 227, 3) uint8 BGR: one crop of a frame, which is what a candidate is here."""
    x, y = place(candidate.case, view, image.shape[1], image.shape[0])
    return image[y:y + PATCH_PX, x:x + PATCH_PX]
