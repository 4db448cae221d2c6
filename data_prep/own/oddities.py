"""What is odd about a set of your own images: warnings, each one line, and no more.

Nearly the same image in two groups may be trained and tested on. It is looked for in two steps: a
64-bit perceptual hash (the signs of the 8x8 lowest frequencies of a 32x32 thumbnail's cosine
transform, about their median; Zauner 2010, as in OpenCV's PHash) finds pairs, and a thumbnail's
correlation confirms them, because images of one kind of scanner have much in common. Turned,
mirrored or cropped copies are not found.
"""
from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from data_prep import images
from data_prep.own import pixels
from data_prep.own.reader import OwnImage
from data_prep.parallel import one_by_one, ordered_map

SIDE = 32
NEAR_BITS = 6             # of 64; Zauner's images after JPEG, scaling and gamma differ by fewer
NEAR_CORRELATION = 0.98   # of thumbnails
TINY_CLASS = 20           # images
NAMED = 10                # pairs that are named one by one
DARK_PART = 1 / 8         # of 16 bits, below which an image will look nearly black
_BATCH, _BLOCK = 16, 512


@dataclass(frozen=True)
class Print:
    """What an image is recognised by: hash, standardised thumbnail (1024,), brightness 0..1.

    The thumbnail of an image of one grey level is zero and correlates with none.
    """

    bits: int
    thumbnail: np.ndarray
    brightest: float


def fingerprint(image: OwnImage) -> Print:
    """Raises InputError for a damaged file."""
    stored = pixels.stored(image.image_path, images.read_bytes(image.image_path))
    brightest = float(stored.max()) / np.iinfo(stored.dtype).max
    grey = cv2.cvtColor(images.to_bgr8(stored), cv2.COLOR_BGR2GRAY)
    small = cv2.resize(grey, (SIDE, SIDE), interpolation=cv2.INTER_AREA).astype(np.float32)
    low = cv2.dct(small)[:8, :8].ravel()
    signs = low > np.median(low[1:])
    small -= small.mean()
    spread = float(np.linalg.norm(small))
    return Print(int.from_bytes(np.packbits(signs).tobytes(), "big"),
                 (small / spread).ravel() if spread > 1e-3 * SIDE else 0 * small.ravel(),
                 brightest)


def near_pairs(prints: Sequence[Print], groups: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Indices of nearly equal images in different groups, the first the smaller."""
    bits = np.unpackbits(np.array([one.bits for one in prints], ">u8").view(np.uint8)
                         .reshape(len(prints), 8), axis=1).astype(np.float32)
    thumbnails = np.array([one.thumbnail for one in prints], np.float32)
    names = np.unique(np.asarray(groups), return_inverse=True)[1]
    for start in range(0, len(prints), _BLOCK):
        rows = slice(start, start + _BLOCK)
        # Bits that differ: ones of either that the other has not.
        differ = bits[rows].sum(1)[:, None] + bits[start:].sum(1) - 2 * bits[rows] @ bits[start:].T
        alike = (differ <= NEAR_BITS) & (names[rows][:, None] != names[start:])
        for i, j in zip(*np.nonzero(np.triu(alike, 1))):
            if float(thumbnails[start + i] @ thumbnails[start + j]) >= NEAR_CORRELATION:
                yield start + int(i), start + int(j)


def warnings(listed: Sequence[OwnImage], jobs: int, classes: Sequence[str] = ()) -> list[str]:
    """All that is odd, in words.

    Args:
        classes: names, index = label.

    Raises InputError for a damaged file.
    """
    found = class_warnings(listed, classes)
    prints = list(ordered_map(functools.partial(one_by_one, fingerprint), listed, jobs, _BATCH,
                              "looking for duplicates", "images"))
    pairs = list(near_pairs(prints, [image.group for image in listed]))
    for first, second in pairs[:NAMED]:
        one, other = listed[first], listed[second]
        found.append(f"{one.image_path} of group {one.group} and {other.image_path} of group "
                     f"{other.group} are nearly the same image; if they are, put both into one "
                     "group or remove one")
    if len(pairs) > NAMED:
        found.append(f"{len(pairs) - NAMED} more such pairs of images")
    dark = [image for image, one in zip(listed, prints) if one.brightest < DARK_PART]
    if dark:
        found.append(f"{len(dark)} images, {dark[0].image_path} the first, use less than "
                     f"{DARK_PART:.1%} of the range of their pixels and will look nearly black; "
                     "12 bits in a 16-bit file have to be scaled")
    return found


def class_warnings(listed: Sequence[OwnImage], classes: Sequence[str]) -> list[str]:
    """Classes that are tiny or in too few groups to be trained, validated and tested on."""
    found = []
    for label, name in enumerate(classes):
        members = [image for image in listed if any(one == label for one, _ in image.regions)]
        groups = {image.group for image in members}
        if len(members) < TINY_CLASS:
            found.append(f"class {name} has {len(members)} images; its results will say little")
        if len(groups) == 1:
            found.append(f"class {name} is in one group only ({groups.pop()}): it is trained on, "
                         "but neither validated nor tested")
        elif len(groups) == 2:
            found.append(f"class {name} is in two groups only: it is not validated")
    return found
