"""Random crops of a folder of natural images, for the stand-in's distillation."""
from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from layerwise.alexnet import INPUT_SHAPE, MEAN_BGR
from layerwise.errors import InputError

SIDE = INPUT_SHAPE[1]
STORED_SIDE = 160                          # shorter side of an image kept in memory


def image_files(folder: Path) -> list[Path]:
    """The .jpg, .jpeg and .png files below a folder, in order; InputError when there are none."""
    files = sorted(p for p in folder.rglob("*") if p.suffix.lower() in (".jpg", ".jpeg", ".png"))
    if not files:
        raise InputError(f"{folder}: no .jpg or .png images in this folder")
    return files


def read_image(path: Path) -> np.ndarray:
    """Rows x columns x 3, uint8, BGR; InputError when it cannot be read."""
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise InputError(f"{path}: cannot be read as an image; remove it from the folder")
    return image


def network_input(windows: np.ndarray) -> np.ndarray:
    """n x 3 x 227 x 227 float32 less the channel means, from n x 227 x 227 x 3 uint8 (BGR).

    The result is a view with the channels last in memory.
    """
    return np.moveaxis(windows.astype(np.float32) - np.asarray(MEAN_BGR, dtype=np.float32), 3, 1)


class Crops:
    """The images of a folder, held in memory at a shorter side of at most 160 pixels."""

    def __init__(self, folder: Path, smallest_crop: float) -> None:
        """smallest_crop: side of the smallest crop as a share of an image's shorter side."""
        self.smallest_crop = smallest_crop
        self.images = [_shrunk(read_image(path))
                       for path in tqdm(image_files(folder), desc="images", unit="image")]

    def __len__(self) -> int:
        return len(self.images)

    def batch(self, indices: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """One random crop of each image named, as network input (n x 3 x 227 x 227)."""
        return network_input(np.stack([self._crop(int(index), rng) for index in indices]))

    def _crop(self, index: int, rng: np.random.Generator) -> np.ndarray:
        """A square of random scale and place, flipped or not, at 227 x 227."""
        image = self.images[index]
        height, width = image.shape[:2]
        side = int(round(min(height, width) * rng.uniform(self.smallest_crop, 1.0)))
        top = int(rng.integers(0, height - side + 1))
        left = int(rng.integers(0, width - side + 1))
        window = image[top:top + side, left:left + side]
        if rng.random() < 0.5:
            window = window[:, ::-1]
        return cv2.resize(window, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR)


def _shrunk(image: np.ndarray) -> np.ndarray:
    height, width = image.shape[:2]
    factor = STORED_SIDE / min(height, width)
    if factor >= 1.0:
        return image
    size = (max(STORED_SIDE, round(width * factor)), max(STORED_SIDE, round(height * factor)))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)
