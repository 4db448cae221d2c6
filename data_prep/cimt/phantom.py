"""The phantom of the intima-media task: seeded B-mode frames of far walls, a stand-in for recorded
ones.

`tissue` says what lies where and how it scatters, `ultrasound` makes the picture of it; the lines
are those of the tissue, exact to the written digits. `write_phantom` writes many frames in the
layout of a real data set.
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np

from data_prep.cimt import tissue, ultrasound
from data_prep.cimt.dicom import Box
from data_prep.cimt.interfaces import INTERFACES, TABLE_COLUMNS
from data_prep.cimt.reader import DEFAULT_ROI, REQUIRED, ROI_COLUMNS
from data_prep.images import png
from data_prep.manifest import MANIFEST, write_origin
from data_prep.parallel import one_by_one, ordered_map
from layerwise.contracts import new_folder, write_table
from layerwise.errors import InputError

FRAMES, LINES = "frames", "lines"
PIXEL_RANGE_UM = (95, 115)      # by subject, whole micrometres: the depth that the scanner shows
SAMPLES_PER_PIXEL = 6           # along depth, for five or more in a period of the carrier
CONTEXT_PX = 28             # of frame around the ROI at least: what a network sees of its corners


@dataclass(frozen=True)
class PhantomSettings:
    """How many subjects, regions of each (one per frame), and the size of a frame."""

    subjects: int = 12
    regions_per_subject: int = 6
    width: int = 176
    height: int = 144

    def __post_init__(self) -> None:
        least = [side + 2 * CONTEXT_PX + 4 for side in DEFAULT_ROI]
        for name, low in (("subjects", 1), ("regions_per_subject", 1), ("width", least[0]),
                          ("height", least[1])):
            if getattr(self, name) < low:
                raise InputError(f"phantom: {name} is {getattr(self, name)}; "
                                 f"it must be at least {low}")


@dataclass(frozen=True)
class Drawn:
    """One frame, (rows, columns) uint8; `lines` (2, columns) float64, rows of the interfaces."""

    case: str
    group: str
    image: np.ndarray
    lines: np.ndarray
    roi: Box
    pixel_um: int


def draw_region(settings: PhantomSettings, seed: int, index: int) -> Drawn:
    """Frame `index`; the same settings, seed and index give the same pixels.

    The frames of a subject share wall, tissue, probe and settings.
    """
    number, region = divmod(index, settings.regions_per_subject)
    # Streams 1 and 2 drew the regions on which the weights of the snakes were chosen.
    rng = np.random.default_rng([seed, 3, number])
    subject, scanner = tissue.draw_subject(rng), ultrasound.draw_scanner(rng)
    pixel_um = int(rng.integers(*PIXEL_RANGE_UM, endpoint=True))
    rng = np.random.default_rng([seed, 4, index])
    pixel_mm = pixel_um / 1000
    samples = settings.height * SAMPLES_PER_PIXEL
    depths_mm = (np.arange(samples) + 0.5) / SAMPLES_PER_PIXEL * pixel_mm    # 0: top edge
    depth_mm = settings.height * pixel_mm * rng.uniform(0.45, 0.55)
    wall = tissue.draw_wall(rng, subject, depth_mm, settings.width, pixel_mm)
    echoes = tissue.scatterers(rng, subject, wall, depths_mm, pixel_mm)
    signal = ultrasound.received(scanner, echoes, depths_mm, pixel_mm, rng)
    lines = np.stack([wall.lumen_intima_mm, wall.media_adventitia_mm]) / pixel_mm - 0.5
    group = f"s{number:03d}"
    return Drawn(f"{group}_r{region:02d}", group,
                 ultrasound.shown(scanner, signal, SAMPLES_PER_PIXEL), lines,
                 _roi(rng, settings, lines), pixel_um)


def _roi(rng: np.random.Generator, settings: PhantomSettings, lines: np.ndarray) -> Box:
    """An ROI about the lines, as a reader would put it: nearly in the middle."""
    w, h = DEFAULT_ROI
    x = int(rng.integers(CONTEXT_PX, settings.width - w - CONTEXT_PX, endpoint=True))
    inside = lines[:, x:x + w]
    spare = (h - (inside.max() - inside.min())) / 2
    y = (inside.max() + inside.min() - h + 1) / 2 + rng.uniform(-0.5, 0.5) * max(0.0, spare - 8)
    return x, int(np.clip(round(y), CONTEXT_PX, settings.height - h - CONTEXT_PX)), w, h


_README = """A STAND-IN, not patient data: carotid ultrasound simulated from tissue by
data_prep/cimt/phantom.py.

frames/      8-bit grey PNG
lines/       interface, x, y: where the tissue's interfaces lie, exact
manifest.csv image, lines, group (the subject), pixel_um, ROI

seed {seed}; {settings}
"""


def write_phantom(folder: Path, settings: PhantomSettings, seed: int, jobs: int = 1) -> None:
    """Write the phantom as `folder`, complete or not at all; the bytes do not depend on `jobs`.

    Raises InputError when `folder` exists and is not empty, or its parent cannot be written.
    """
    count = settings.subjects * settings.regions_per_subject
    with new_folder(folder) as unfinished:
        for name in (FRAMES, LINES):
            (unfinished / name).mkdir()
        rows = list(ordered_map(
            partial(one_by_one, partial(_write, unfinished, settings, seed)), range(count), jobs, 4,
            "phantom (stand-in)", "frames"))
        write_table(unfinished / MANIFEST, (*REQUIRED, "pixel_um", *ROI_COLUMNS), rows)
        write_origin(unfinished, "phantom", _README.format(seed=seed, settings=asdict(settings)))


def _write(folder: Path, settings: PhantomSettings, seed: int, index: int) -> Sequence[object]:
    """Write a frame and its lines; the manifest's row."""
    drawn = draw_region(settings, seed, index)
    image, lines = f"{FRAMES}/{drawn.case}.png", f"{LINES}/{drawn.case}.csv"
    (folder / image).write_bytes(png(drawn.image))
    write_table(folder / lines, TABLE_COLUMNS,
                ((name, x, f"{y:.4f}") for name, line in zip(INTERFACES, drawn.lines)
                 for x, y in enumerate(line)))
    return image, lines, drawn.group, drawn.pixel_um, *drawn.roi
