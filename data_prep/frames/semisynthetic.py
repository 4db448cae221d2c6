"""Semi-synthetic frames: real informative ones, and non-informative ones made from others of them.

    python3 -m data_prep.frames.semisynthetic FRAMES OUT

Each real frame is used once: as it is, with less of a fault than the threshold, or spoilt. Were it
used both ways, a classifier could learn the pair's difference instead of what a poor view is, no
real video holds such pairs, and a set would count twice as many views as it has. Everything that
might tell the classes apart and is no fault is made alike: size, file format, numbers, the border
of the endoscope, the level of noise, and compression, which follows the fault as in a recorder.
"""
from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import click
import cv2
import numpy as np

from data_prep import images
from data_prep.frames.crops import load
from data_prep.frames.degrade import Fault, degrade, draw_faults, field_of
from data_prep.frames.stand_in import Drawn, write_set
from data_prep.manifest import Member, check_groups, group_table, grouped_frames, image_files
from data_prep.splits import generator
from layerwise.command import Command

STAND_IN = "semi-synthetic frames: real informative frames, non-informative ones made from them"
JPEG_QUALITY = 90


@dataclass(frozen=True)
class Video:
    """The frames of one video: their files, the numbers they get, and what is done to them."""

    group: str
    paths: tuple[Path, ...]
    numbers: tuple[int, ...]
    faults: tuple[Fault, ...]
    split: str      # as given for the real frames


def write_semisynthetic(frames: Path, out: Path, seed: int, jobs: int = 1) -> None:
    """Write a set made from the real frames of the folder `frames` as `out`.

    Layout: `frames/` and one CSV that gives each frame's video, as of the polyp task; masks are not
    needed, and a given split is kept. Half of the frames of every video become noninformative. The
    bytes do not depend on `jobs`. Raises InputError for no or ambiguous frames, one without a group
    or too small for a crop, and as `stand_in.write_set`.
    """
    files = image_files(frames / "frames", "frames/ and a CSV with the columns frame and group")
    table = group_table(frames)
    members = grouped_frames(table, files, str(frames / "frames"))
    check_groups(table, members)
    write_set(out, STAND_IN, partial(_spoil, seed), _videos(members, files, seed), jobs,
              "semi-synthetic (stand-in)", _README.format(seed=seed))


def _videos(members: Sequence[Member], files: Mapping[str, Path], seed: int) -> list[Video]:
    """All videos, every frame with a new number and a fault; half of each video informative.

    The numbers of all videos are mixed, so that neither a name nor the order of files tells.
    """
    numbers = dict(zip(sorted(files), generator(seed, "numbers").permutation(len(files)).tolist()))
    videos = []
    split_of = {member.group: member.split for member in members}
    for turn, group in enumerate(sorted(split_of)):
        stems = sorted(member.name for member in members if member.group == group)
        faults = draw_faults(len(stems), (len(stems) + turn % 2) // 2,
                             generator(seed, f"faults {group}"))
        videos.append(Video(group, tuple(files[stem] for stem in stems),
                            tuple(numbers[stem] for stem in stems), tuple(faults),
                            split_of[group]))
    return videos


def _spoil(seed: int, video: Video) -> Iterator[Drawn]:
    fields = {size: field_of(image) for size, image in _brightest(video.paths).items()}
    for number, path, fault in zip(video.numbers, video.paths, video.faults):
        image = load(path)
        spoilt = degrade(image, fields[image.shape], fault, np.random.default_rng([seed, number]))
        ok, recorded = cv2.imencode(".jpg", spoilt, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
        if not ok:
            raise RuntimeError(f"{path}: OpenCV could not encode the frame")
        yield Drawn(f"{number:05d}", video.group, images.decode(path, recorded.tobytes()), fault,
                    video.split)


def _brightest(paths: Sequence[Path]) -> dict[tuple[int, ...], np.ndarray]:
    """The largest value of each pixel, by the size of the frames."""
    brightest: dict[tuple[int, ...], np.ndarray] = {}
    for path in paths:
        image = load(path)
        brightest[image.shape] = np.maximum(image, brightest.get(image.shape, image))
    return brightest


_README = f"""A STAND-IN: {STAND_IN}
by data_prep/frames/semisynthetic.py.

frames/      8-bit colour PNG, uncompressed, after JPEG of quality {JPEG_QUALITY}
manifest.csv image, label (informative or noninformative), group (the video)
truth.csv    what was done to each frame and its severity; from 0.5 on it is noninformative

seed {{seed}}
"""


@click.command("semisynthetic", cls=Command)
@click.argument("frames", type=Path)
@click.argument("out", type=Path)
@click.option("--seed", default=1, show_default=True)
@click.option("--jobs", default=1, show_default=True, help="Processes.")
def main(frames: Path, out: Path, seed: int, jobs: int) -> None:
    """Make the semi-synthetic set OUT from the real frames of the folder FRAMES."""
    write_semisynthetic(frames, out, seed, jobs)


if __name__ == "__main__":
    main()
