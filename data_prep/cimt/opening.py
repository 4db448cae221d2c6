"""A single frame of a user, opened for measuring: grey values and pixel size, no lines."""
from __future__ import annotations

from pathlib import Path
from typing import Optional

import numpy as np

from data_prep.cimt.dicom import Box
from data_prep.cimt.reader import check_pixel_um, check_roi, open_image, pixel_um_of


def open_frame(path: Path, roi: Box, pixel_um: Optional[float]) -> tuple[np.ndarray, float]:
    """(rows, columns) uint8 grey values of a frame and the side of its square pixels.

    Args:
        roi: x, y, width, height of the region to be measured, in pixels.
        pixel_um: what the user says; None to take it from a DICOM file's ultrasound regions.

    Raises InputError for a frame that cannot be read, an ROI outside it, and no usable pixel size.
    """
    image, scaled = open_image(path)
    check_roi(str(path), roi, image)
    if pixel_um is not None:
        check_pixel_um(str(path), pixel_um)
    return image, pixel_um_of(path, roi, scaled, pixel_um, "--pixel-size")
