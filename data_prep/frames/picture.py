"""A contact sheet of what spoils frames: kinds down, severities across, from the command line.

    python3 -m data_prep.frames.picture OUT.png [--frame FILE]
"""
from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click
import cv2
import numpy as np

from data_prep import images
from data_prep.frames import crops
from data_prep.frames.degrade import THRESHOLD, Fault, degrade, field_of
from data_prep.frames.effects import KINDS
from data_prep.frames.phantom import PhantomSettings, render_views
from layerwise.command import Command
from layerwise.contracts import write_bytes

SEVERITIES = (0.0, 0.2, 0.4, 0.5, 0.6, 0.8, 1.0)
CELL_PX, TITLE_PX = 200, 18


def sheet(frames: Sequence[tuple[np.ndarray, np.ndarray]], severities: Sequence[float], seed: int
          ) -> np.ndarray:
    """uint8 (h, w, 3) BGR: one of the (frame, field) in each row, spoilt in that row's way."""
    rows = []
    for number, kind in enumerate(KINDS):
        image, field = frames[number % len(frames)]
        rows.append(np.hstack([
            _cell(degrade(image, field, Fault(kind, severity),
                          np.random.default_rng([seed, number])),
                  f"{kind} {severity:.2f} " + ("+" if severity < THRESHOLD else "-"))
            for severity in severities]))
    return np.vstack(rows)


def _cell(image: np.ndarray, title: str) -> np.ndarray:
    # Of one size, whatever the frames': about that of a frame of 384x288.
    small = cv2.resize(image, (CELL_PX, CELL_PX * 3 // 4), interpolation=cv2.INTER_AREA)
    cell = cv2.copyMakeBorder(small, TITLE_PX, 2, 2, 2, cv2.BORDER_CONSTANT, value=(40, 40, 40))
    cv2.putText(cell, title, (6, TITLE_PX - 5), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (230, 230, 230), 1,
                cv2.LINE_AA)
    return np.asarray(cell)


def _rendered(seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """A frame of the phantom and its field for every kind."""
    views = (render_views(PhantomSettings(len(KINDS), 2), seed, index)
             for index in range(len(KINDS)))
    return [(next(frames), field) for field, frames in views]


def _real(paths: Sequence[Path]) -> list[tuple[np.ndarray, np.ndarray]]:
    return [(image, field_of(image)) for image in map(crops.load, paths)]


@click.command("picture", cls=Command)
@click.argument("out", type=Path)
@click.option("--frame", "frames", type=Path, multiple=True,
              help="A real frame to spoil instead of the phantom's; may be repeated.")
@click.option("--seed", default=1, show_default=True)
def main(out: Path, frames: tuple[Path, ...], seed: int) -> None:
    """Write the contact sheet OUT (PNG): + is informative, - is not."""
    shown = _real(frames) or _rendered(seed)
    write_bytes(out, images.png(sheet(shown, SEVERITIES, seed)))


if __name__ == "__main__":
    main()
