"""Folders of carotid B-mode frames, each with a region of interest (ROI) and traced interfaces.

manifest.csv lists a frame per line, paths relative to it:

* image: PNG, JPEG, TIFF (grey or colour) or one DICOM frame; lines: see `interfaces.read_traces`;
  group: the subject;
* optionally pixel_um, the side of the square pixels; empty where a DICOM file says it itself;
* optionally roi_x, roi_y (its first pixel), roi_w, roi_h in pixels; all four empty for the default:
  92x60 pixels, the paper's size, around the lines;
* optionally split, train or test.

Beside it origin.json where the frames stand in for real ones (see `manifest.origin_of`).
"""
from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

import cv2
import numpy as np

from data_prep import images
from data_prep.cimt import dicom
from data_prep.cimt.dicom import Box
from data_prep.cimt.interfaces import Traces, at_columns, read_traces
from data_prep.dicom_file import is_dicom
from data_prep.manifest import MANIFEST, case_names, check_images, read_columns
from layerwise.contracts import Record
from layerwise.errors import InputError

REQUIRED = ("image", "lines", "group")
ROI_COLUMNS = ("roi_x", "roi_y", "roi_w", "roi_h")
OPTIONAL = ("pixel_um", *ROI_COLUMNS, "split")
DEFAULT_ROI = (92, 60)      # width, height
SMALLEST_ROI = 8            # either side
PIXEL_RANGE_UM = (5.0, 1000.0)


@dataclass(frozen=True)
class Region:
    """A line of the manifest: unique name, subject, files; None or "" for what it does not say."""

    case: str
    group: str
    split: str
    image_path: Path
    lines_path: Path
    roi: Optional[Box] = None
    pixel_um: Optional[float] = None


@dataclass(frozen=True)
class Annotated:
    """A region opened. `lines`: (2, w) float64, rows of lumen-intima and media-adventitia in pixels
    of the frame at the columns of the ROI, the former above the latter."""

    image: np.ndarray       # (rows, columns) uint8, the whole frame
    roi: Box
    lines: np.ndarray
    pixel_um: float


def read_regions(folder: Path) -> list[Region]:
    """All regions of a folder, sorted by case; neither frames nor lines are opened.

    Raises InputError naming the file for: no such folder, no manifest or an empty one, unknown or
    missing column, missing file, an image listed twice, a number that is none or out of range, an
    ROI given in part, a frame without a group, a single group, a split that is incomplete or cuts
    through a group.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder")
    manifest = folder / MANIFEST
    rows = read_columns(manifest, REQUIRED, OPTIONAL)
    if not rows:
        raise InputError(f"{manifest}: lists no images")
    cases = case_names([Path(row["image"]) for row in rows])
    regions = [_region(manifest, row, case) for row, case in zip(rows, cases)]
    check_images(manifest, regions)
    return sorted(regions, key=lambda region: region.case)


def _region(manifest: Path, row: Record, case: str) -> Region:
    where = f"{manifest}, line {row.number}"
    for name in ("image", "lines"):
        if not row[name] or not (manifest.parent / row[name]).is_file():
            raise InputError(f"{where}: {name} {row[name]!r} is missing; no such file")
    texts = {name: row.get(name, "").strip() for name in OPTIONAL}
    box = [texts[name] for name in ROI_COLUMNS]
    if any(box) and not all(box):
        raise InputError(f"{where}: {', '.join(ROI_COLUMNS)} must be given all or none")
    try:
        x, y, w, h = (int(text) for text in box) if all(box) else (0, 0, 0, 0)
    except ValueError:
        raise InputError(f"{where}: ROI {','.join(box)}, expected whole numbers of pixels"
                         ) from None
    return Region(case, row["group"].strip(), texts["split"], manifest.parent / row["image"],
                  manifest.parent / row["lines"], (x, y, w, h) if all(box) else None,
                  _pixel_um(where, texts["pixel_um"]))


def _pixel_um(where: str, text: str) -> Optional[float]:
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    check_pixel_um(where, value)
    return value


def check_pixel_um(where: str, value: float) -> None:
    """InputError for a pixel size that is no number or out of range: most likely another unit."""
    low, high = PIXEL_RANGE_UM
    if not low <= value <= high:
        raise InputError(f"{where}: pixel size {value:g}; expected the side of a pixel in "
                         f"micrometres, {low:g} to {high:g}")


def load(path: Path) -> np.ndarray:
    """(rows, columns) uint8 grey values of a frame's file; colours become luminance.

    Raises InputError as `images.decode` and `dicom.decode`.
    """
    return open_image(path)[0]


def open_image(path: Path) -> tuple[np.ndarray, tuple[dicom.Scaled, ...]]:
    """Grey values as `load`, and what a DICOM file says of the size of its pixels."""
    data = images.read_bytes(path)
    if is_dicom(data):
        return dicom.decode(path, data)
    pixels = images.to_bgr8(images.decode(path, data))
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY)), ()


def annotated(region: Region) -> Annotated:
    """Open a region: its frame, ROI, lines and pixel size.

    Raises InputError for files that cannot be read (as `load`, `read_traces`), an ROI that leaves
    the frame or is too small, lines that do not span its columns, cross or leave it, no pixel size,
    one that contradicts the DICOM file's, and pixels that are not square.
    """
    image, scaled = open_image(region.image_path)
    traces = read_traces(region.lines_path, (image.shape[0], image.shape[1]))
    roi = region.roi or default_roi(region, traces, image)
    check_roi(str(region.image_path), roi, image)
    return Annotated(image, roi, _lines(region, roi, traces),
                     pixel_um_of(region.image_path, roi, scaled, region.pixel_um,
                                 f"pixel_um in {MANIFEST}"))


def check_roi(where: str, roi: Box, image: np.ndarray) -> None:
    """InputError for an ROI that is too small or not wholly inside an image."""
    (x, y, w, h), (height, width) = roi, image.shape[:2]
    if min(w, h) < SMALLEST_ROI:
        raise InputError(f"{where}: ROI of {w}x{h} pixels; it must have {SMALLEST_ROI} at least "
                         "each way")
    if x < 0 or y < 0 or x + w > width or y + h > height:
        raise InputError(f"{where}: ROI {x},{y},{w},{h} reaches outside the frame of "
                         f"{width}x{height} pixels")


def default_roi(region: Region, traces: Traces, image: np.ndarray) -> Box:
    """DEFAULT_ROI with the lines in its middle, as nearly as the frame allows."""
    (w, h), (height, width) = DEFAULT_ROI, image.shape
    begin = max(0, *(math.ceil(line[0, 0]) for line in traces))
    end = min(width - 1, *(math.floor(line[-1, 0]) for line in traces))
    if end - begin + 1 < w or height < h:
        raise InputError(f"{region.lines_path}: lines over {max(0, end - begin + 1)} columns of a "
                         f"frame of {width}x{height}, too few for the default ROI of {w}x{h}; give "
                         f"{', '.join(ROI_COLUMNS)} in {MANIFEST}")
    x = begin + (end - begin + 1 - w) // 2
    rows = at_columns(traces, np.arange(x, x + w))
    y = math.floor(float(rows.mean()) - (h - 1) / 2 + 0.5)
    return x, min(max(y, 0), height - h), w, h


def _lines(region: Region, roi: Box, traces: Traces) -> np.ndarray:
    x, y, w, h = roi
    rows = at_columns(traces, np.arange(x, x + w))
    where = region.lines_path
    for line, trace in zip(rows, traces):
        if np.isnan(line).any():
            raise InputError(f"{where}: a line spans columns {trace[0, 0]:g} to {trace[-1, 0]:g}, "
                             f"the ROI {x} to {x + w - 1}; trace further or choose a smaller ROI")
    crossed = np.flatnonzero(rows[0] >= rows[1])
    if len(crossed):
        raise InputError(f"{where}: the lines touch or cross at column {x + crossed[0]}; the "
                         "lumen-intima interface lies above the media-adventitia one")
    outside = np.flatnonzero((rows[0] < y) | (rows[1] > y + h - 1))
    if len(outside):
        raise InputError(f"{where}: a line leaves the ROI (rows {y} to {y + h - 1}) at column "
                         f"{x + outside[0]}")
    return rows


def pixel_um_of(path: Path, roi: Box, scaled: Sequence[dicom.Scaled], given: Optional[float],
                option: str) -> float:
    """Side of the pixels of an ROI in micrometres, by its file or else as `given`.

    `option` names in messages where the user gives it. InputError when neither says it, when they
    contradict each other, and for pixels that are not square.
    """
    found = next((each for each in scaled if each.holds(roi)), None)
    if found is None:
        if given is None:
            why = "its ROI lies in no ultrasound region with a scale" if scaled else \
                "the file does not say it"
            raise InputError(f"{path}: no pixel size ({why}); give {option}")
        return given
    across, down = found.pixel_um
    low, high = PIXEL_RANGE_UM
    if not low <= down <= high or abs(across - down) > dicom.SQUARE_TOLERANCE * down:
        raise InputError(f"{path}: pixels of {across:g}x{down:g} micrometres; resample the frame "
                         f"to square pixels of {low:g} to {high:g}")
    if given is not None and abs(given - down) > dicom.SQUARE_TOLERANCE * down:
        raise InputError(f"{path}: pixels of {down:g} micrometres, but {given:g} by {option}; "
                         "leave it empty or correct it")
    return down
