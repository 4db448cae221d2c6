"""The phantom of the frame task: seeded synthetic colonoscopy videos, half of them spoilt.

`colonoscopy` draws the view (`render_views`), `degrade` spoils it (`render_video`); `write_phantom`
writes many videos in the layout of a real data set.
"""
from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np

from data_prep.colonoscopy.colon import make_wall
from data_prep.colonoscopy.endoscope import field_mask, make_endoscope
from data_prep.colonoscopy.rays import render
from data_prep.colonoscopy.scene import camera_path, inhabit
from data_prep.colonoscopy.sensor import expose
from data_prep.frames.crops import PATCH_PX
from data_prep.frames.degrade import degrade, draw_faults
from data_prep.frames.stand_in import Drawn, write_set
from layerwise.errors import InputError

POLYP_SHARE = 0.5   # of the videos
SHAKE_PX = 0.7      # way of the image during an exposure while the endoscope is held still


@dataclass(frozen=True)
class PhantomSettings:
    """How many videos, how long and how large."""

    videos: int = 24
    frames_per_video: int = 10
    width: int = 384
    height: int = 288

    def __post_init__(self) -> None:
        for name, least in (("videos", 1), ("frames_per_video", 2), ("width", PATCH_PX),
                            ("height", PATCH_PX)):
            if getattr(self, name) < least:
                raise InputError(f"phantom: {name} is {getattr(self, name)}; "
                                 f"it must be at least {least}")


def render_views(settings: PhantomSettings, seed: int, index: int
                 ) -> tuple[np.ndarray, Iterator[np.ndarray]]:
    """The endoscope's field, bool (h, w), and the frames of video `index` before they are spoilt.

    Frames: uint8 (h, w, 3) BGR; the same settings, seed and index give the same pixels.
    """
    rng = np.random.default_rng([seed, 1, index])
    scope, wall = make_endoscope(rng, settings.width, settings.height), make_wall(rng)
    cameras = camera_path(rng, wall, settings.frames_per_video, swing_away=False)
    growths, bubbles = inhabit(rng, scope, wall, cameras, rng.random() < POLYP_SHARE)
    shake = SHAKE_PX * settings.width / 384
    frames = (expose(scope, render(scope, wall, growths, camera), camera, bubbles,
                     rng.normal(0, shake, 2), rng)[0] for camera in cameras)
    return field_mask(scope) > 0, frames


def render_video(settings: PhantomSettings, seed: int, index: int) -> Iterator[Drawn]:
    """The frames of video `index`, half of them informative, whatever their place in the video.

    Of an odd number of frames one more or one less is, by turns.
    """
    count, group = settings.frames_per_video, f"v{index:03d}"
    faults = draw_faults(count, (count + index % 2) // 2, np.random.default_rng([seed, 2, index]))
    field, frames = render_views(settings, seed, index)
    for number, (image, fault) in enumerate(zip(frames, faults)):
        rng = np.random.default_rng([seed, 3, index, number])
        yield Drawn(f"{group}_f{number:03d}", group, degrade(image, field, fault, rng), fault)


_README = """A STAND-IN, not patient data: synthetic colonoscopy drawn by
data_prep/frames/phantom.py.

frames/      8-bit colour PNG, uncompressed
manifest.csv image, label (informative or noninformative), group (the video)
truth.csv    what is wrong with each frame and its severity; from 0.5 on it is noninformative

seed {seed}; {settings}
"""


def write_phantom(folder: Path, settings: PhantomSettings, seed: int, jobs: int = 1) -> None:
    """Write the phantom as `folder`, complete or not at all; the bytes do not depend on `jobs`.

    Raises InputError when `folder` exists and is not empty, or its parent cannot be written.
    """
    write_set(folder, "phantom", partial(render_video, settings, seed), range(settings.videos),
              jobs, "phantom (stand-in)", _README.format(seed=seed, settings=asdict(settings)))
