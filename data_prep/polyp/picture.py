"""Every stage of "shape in context" on one frame, from the command line.

    python3 -m data_prep.polyp.picture FRAME OUT.png [--model FILE]
"""
from __future__ import annotations

from pathlib import Path
from typing import Optional

import click
import cv2
import numpy as np

from data_prep import images
from data_prep.polyp import band, shape
from data_prep.polyp.edges import working_size
from data_prep.polyp.phantom import PhantomSettings, render_video
from layerwise.command import Command
from layerwise.contracts import write_bytes

TITLE_PX, SHOWN = 20, 3
PHANTOM = PhantomSettings(videos=12, frames_per_video=4)
COLOURS = ((80, 255, 80), (255, 200, 60), (80, 160, 255))


def sheet(image: np.ndarray, model: shape.Model) -> np.ndarray:
    """uint8 (h, w, 3) BGR: edges, surviving edges with normals, votes, bands and boxes."""
    image, _ = working_size(image)
    found = shape.stages(image, model)
    return np.asarray(np.vstack([
        np.hstack([
            _titled(_edges(image, found), f"{len(found.edges)} edges"),
            _titled(_voters(image, found), f"{len(found.voters.at)} taken for boundary"),
            _titled(_candidates(image, found), "bands and boxes: " + ", ".join(
                f"{score:.2f}" for score in found.scores[:SHOWN]))]),
        np.hstack([_titled(_votes(image, votes), f"votes fading over {how.sigma:g} px, at most "
                                                 f"{votes.max():.1f}")
                   for how, votes in zip(shape.DEFAULTS.votes, found.votes)])]))


def _edges(image: np.ndarray, found: shape.Found) -> np.ndarray:
    canvas = image // 2
    column, row = found.edges.at.astype(int).T
    canvas[row, column] = (255, 255, 255)
    return np.asarray(canvas)


def _voters(image: np.ndarray, found: shape.Found) -> np.ndarray:
    canvas = image // 2
    voters = found.voters
    for at, inward, confidence in zip(voters.at, voters.inward, voters.confidence):
        shade = int(255 * min(1.0, float(confidence)))
        end = np.round(at + 10 * inward).astype(int).tolist()
        cv2.line(canvas, tuple(at.astype(int).tolist()), tuple(end), (0, shade, 255), 1,
                 cv2.LINE_AA)
    return np.asarray(canvas)


def _votes(image: np.ndarray, votes: np.ndarray) -> np.ndarray:
    share = (255 * votes / max(float(votes.max()), 1e-6)).astype(np.uint8)
    large = cv2.resize(share, image.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    return np.asarray(cv2.applyColorMap(large, cv2.COLORMAP_INFERNO))


def _candidates(image: np.ndarray, found: shape.Found) -> np.ndarray:
    canvas = image.copy()
    angle = 2 * np.pi * np.arange(band.RAYS) / band.RAYS
    unit = np.stack([np.cos(angle), np.sin(angle)], 1)
    for colour, centre, outline, box, width in zip(COLOURS, found.centres, found.outlines,
                                                   found.boxes, found.widths):
        for part in (1 - width, 1 + width):
            rim = centre + part * outline[:, None] * unit
            cv2.polylines(canvas, [np.round(rim).astype(np.int32)], True, colour, 1, cv2.LINE_AA)
        x, y, w, h = (int(round(float(value))) for value in box)
        cv2.rectangle(canvas, (x, y), (x + w, y + h), colour, 2)
    return np.asarray(canvas)


def _titled(image: np.ndarray, title: str) -> np.ndarray:
    cell = cv2.copyMakeBorder(image, TITLE_PX, 2, 2, 2, cv2.BORDER_CONSTANT, value=(40, 40, 40))
    cv2.putText(cell, title, (6, TITLE_PX - 6), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (230, 230, 230), 1,
                cv2.LINE_AA)
    return np.asarray(cell)


def _learnt_from_phantom(seed: int) -> shape.Model:
    frames = (frame for video in range(PHANTOM.videos)
              for frame in render_video(PHANTOM, seed, video))
    return shape.learn((shape.Example(frame.group, frame.image, frame.mask > 0, frame.kinds)
                        for frame in frames), seed)


@click.command("picture", cls=Command)
@click.argument("frame", type=Path)
@click.argument("out", type=Path)
@click.option("--model", type=Path, help="models/test of a prepared data set; without it, one is "
                                         "learnt from the phantom (a stand-in).")
@click.option("--seed", default=1, show_default=True)
def main(frame: Path, out: Path, model: Optional[Path], seed: int) -> None:
    """Write the picture OUT (PNG) of what is found in FRAME."""
    image = images.load_bgr8(frame)
    known = shape.read_model(model) if model else _learnt_from_phantom(seed)
    write_bytes(out, images.png(sheet(image, known)))


if __name__ == "__main__":
    main()
