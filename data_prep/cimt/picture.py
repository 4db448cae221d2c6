"""What the intima-media task trains on: regions with their lines, and patches of each class.

    python3 -m data_prep.cimt.picture OUT.png [--images FOLDER] [--patch-side 32]
"""
from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Optional

import click
import cv2
import numpy as np

from data_prep.cimt import phantom, pixels, prepare, reader
from data_prep.cimt.interfaces import INTERFACES
from data_prep.cimt.reader import Region
from data_prep.images import png
from data_prep.manifest import origin_of
from data_prep.request import PATCH_SIDES
from layerwise.command import Command
from layerwise.contracts import PixelCandidate, write_bytes

ACROSS, PATCHES = 3, 9          # regions in a row, patches of each class
PANEL_PX = (440, 360)           # width, height: a frame, its aspect ratio kept
GAP_PX, TITLE_PX = 4, 18
CLASSES = ("background", *INTERFACES)
COLOURS = ((200, 200, 200), (115, 158, 0), (0, 94, 213))    # BGR; lumen-intima green, the other red
_WHITE, _GREY = (235, 235, 235), (40, 40, 40)


def sheet(regions: Sequence[Region], side: int, origin: str) -> np.ndarray:
    """uint8 (h, w, 3) BGR: frames with ROI, lines and training pixels; patches, a row per class.

    `origin`, what the frames are, is written beside the patches' class.

    Raises InputError as `reader.annotated`.
    """
    shown = [_opened(region) for region in regions]
    panels = [_frame(*one) for one in shown]
    panels += [np.full_like(panels[0], 40)] * (-len(panels) % ACROSS)
    rows = [np.hstack(panels[start:start + ACROSS]) for start in range(0, len(panels), ACROSS)]
    return np.vstack(rows + [_patches(shown, label, side, rows[0].shape[1], origin)
                             for label in range(len(CLASSES))])


Shown = tuple[Region, reader.Annotated, tuple[PixelCandidate, ...]]


def _opened(region: Region) -> Shown:
    """A region, opened, and its training pixels."""
    opened = reader.annotated(region)
    return region, opened, pixels.candidates(region, opened, 180)


def _frame(region: Region, opened: reader.Annotated, rows: Sequence[PixelCandidate]
           ) -> np.ndarray:
    height, width = opened.image.shape
    scale = min(PANEL_PX[0] / width, PANEL_PX[1] / height)
    panel = cv2.cvtColor(cv2.resize(opened.image, None, fx=scale, fy=scale,
                                    interpolation=cv2.INTER_CUBIC), cv2.COLOR_GRAY2BGR)
    x, y, w, h = opened.roi
    for row in rows:
        cv2.circle(panel, _place(row.x, row.y, scale, 0), 1, COLOURS[row.label], -1)
    for line, colour in zip(opened.lines, COLOURS[1:]):
        points = [_place(column, row, scale, 4) for column, row in enumerate(line.tolist(), x)]
        cv2.polylines(panel, [np.array(points)], False, colour, 1, cv2.LINE_AA, 4)
    cv2.rectangle(panel, _place(x - 0.5, y - 0.5, scale, 0),
                  _place(x + w - 0.5, y + h - 0.5, scale, 0), _WHITE, 1)
    thickness_um = float(np.diff(opened.lines, axis=0).mean()) * opened.pixel_um
    return _titled(panel, f"{region.case}  {opened.pixel_um:g} um/pixel, wall {thickness_um:.0f} "
                   "um", PANEL_PX)


def _place(x: float, y: float, scale: float, bits: int) -> tuple[int, int]:
    """A point of the frame in an enlarged one, in steps of 2^-bits pixels as OpenCV wants it."""
    return tuple(round(((value + 0.5) * scale - 0.5) * 2 ** bits)  # type: ignore[return-value]
                 for value in (x, y))


def _titled(image: np.ndarray, title: str, size: tuple[int, int]) -> np.ndarray:
    """An image on a ground of `size` (width, height) under a title."""
    panel = np.full((size[1] + TITLE_PX + GAP_PX, size[0] + 2 * GAP_PX, 3), _GREY, np.uint8)
    panel[TITLE_PX:TITLE_PX + image.shape[0], GAP_PX:GAP_PX + image.shape[1]] = image
    cv2.putText(panel, title, (GAP_PX, TITLE_PX - 5), cv2.FONT_HERSHEY_SIMPLEX, 0.42, _WHITE, 1,
                cv2.LINE_AA)
    return panel


def _patches(shown: Sequence[Shown], label: int, side: int, width: int, origin: str
             ) -> np.ndarray:
    """A row of patches of one class, from all regions in turn."""
    size = width // PATCHES - 2 * GAP_PX
    cells = []
    for number in range(PATCHES):
        turn, place = divmod(number, len(shown))
        _, opened, rows = shown[place]
        of_class = [row for row in rows if row.label == label]
        cell = np.full((size, size, 3), _GREY, np.uint8)
        if turn < len(of_class):
            patch = prepare.Cut(side)(opened.image, of_class[turn], "centre")
            cell = cv2.resize(patch, (size, size), interpolation=cv2.INTER_AREA)
            cv2.drawMarker(cell, (size // 2, size // 2), COLOURS[label], cv2.MARKER_CROSS, 9, 1)
        cells.append(_titled(cell, [CLASSES[label], origin, *[""] * PATCHES][number],
                             (size, size)))
    row = np.hstack(cells)
    return cv2.copyMakeBorder(row, 0, 0, 0, width - row.shape[1], cv2.BORDER_CONSTANT, value=_GREY)


@click.command("picture", cls=Command)
@click.argument("out", type=Path)
@click.option("--images", type=Path, help="A folder of regions; default: the phantom.")
@click.option("--regions", "count", type=click.IntRange(1), default=6, show_default=True,
              help="How many to show, one of each subject first.")
@click.option("--patch-side", type=click.IntRange(*PATCH_SIDES), default=32, show_default=True,
              help="Pixels across a patch.")
@click.option("--seed", default=1, show_default=True, help="Of the phantom.")
def main(out: Path, images: Optional[Path], count: int, patch_side: int, seed: int) -> None:
    """Write a picture of regions and training patches as OUT (PNG)."""
    with tempfile.TemporaryDirectory() as folder:
        if images is None:
            images = Path(folder) / "phantom"
            phantom.write_phantom(images, phantom.PhantomSettings(max(count, 2), 1), seed)
        listed = reader.read_regions(images)
        firsts: dict[str, Region] = {}
        for region in listed:
            firsts.setdefault(region.group, region)
        chosen = [*firsts.values(), *(each for each in listed if each not in firsts.values())]
        stand_in = origin_of(images)
        drawn = sheet(chosen[:count], patch_side, f"{stand_in} (stand-in)" if stand_in else "")
    write_bytes(out, png(drawn))


if __name__ == "__main__":
    main()
