"""The phantom of the polyp task: seeded synthetic colonoscopy videos, a stand-in for recorded ones.

`render_video` draws one video (a group of frames that share a colon, an endoscope and, in most, a
polyp); `write_phantom` writes many in the layout of a real data set: frames/, masks/, kinds/ (what
makes edges, known exactly here) and manifest.csv.
"""
from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from data_prep.colonoscopy.colon import Wall, make_wall
from data_prep.colonoscopy.endoscope import field_mask, make_endoscope
from data_prep.colonoscopy.rays import View, render
from data_prep.colonoscopy.scene import camera_path, inhabit
from data_prep.colonoscopy.sensor import expose
from data_prep.images import png
from data_prep.parallel import one_by_one, ordered_map
from data_prep.polyp.edge_kinds import LUMEN, SPECULAR, VESSEL
from layerwise.contracts import new_folder, write_table
from layerwise.errors import InputError

FOLDERS = ("frames", "masks", "kinds")
SMALLEST_POLYP_PX = 60
"""At 384 x 288. A sliver of polyp smaller than this is left out of the mask: nobody would outline
it."""
LUMEN_RADII = 2.0
"""What lies farther from the tip than so many radii of the colon is the lumen."""
VESSEL_SHARE = 0.15
"""A vessel darkens the green of the wall by more than this share."""


@dataclass(frozen=True)
class PhantomSettings:
    """How many videos, how long, how large, and what share of them holds a polyp."""

    videos: int = 40
    frames_per_video: int = 12
    width: int = 384
    height: int = 288
    polyp_video_fraction: float = 0.75

    def __post_init__(self) -> None:
        for name in ("videos", "frames_per_video"):
            if getattr(self, name) < 1:
                raise InputError(f"phantom: {name} is {getattr(self, name)}; it must be at least 1")
        if min(self.width, self.height) < 64:
            raise InputError(
                f"phantom: frames of {self.width}x{self.height} are too small; at least 64x64"
            )
        if not 0 <= self.polyp_video_fraction <= 1:
            raise InputError(
                f"phantom: polyp_video_fraction is {self.polyp_video_fraction}; "
                "it must be between 0 and 1"
            )


@dataclass(frozen=True)
class Frame:
    case: str
    group: str
    image: np.ndarray
    """uint8 (height, width, 3), BGR."""
    mask: np.ndarray
    """uint8 (height, width), 255 on the polyp, else 0."""
    kinds: np.ndarray
    """uint8 (height, width), SPECULAR, LUMEN or VESSEL of `edge_kinds`, else 0."""


def has_polyp(settings: PhantomSettings, seed: int, index: int) -> bool:
    """Whether video `index` holds a polyp: an exact share of the videos, spread by the seed."""
    order = np.random.default_rng([seed, 0]).permutation(settings.videos)
    return bool(order[index] < round(settings.polyp_video_fraction * settings.videos))


def render_video(settings: PhantomSettings, seed: int, index: int) -> Iterator[Frame]:
    """The frames of video `index`; the same settings, seed and index give the same pixels."""
    rng = np.random.default_rng([seed, 1, index])
    scope = make_endoscope(rng, settings.width, settings.height)
    wall = make_wall(rng)
    with_polyp = has_polyp(settings, seed, index)
    cameras = camera_path(
        rng, wall, settings.frames_per_video, swing_away=with_polyp and rng.random() < 0.45
    )
    growths, bubbles = inhabit(rng, scope, wall, cameras, with_polyp)
    inside = field_mask(scope)
    smallest = SMALLEST_POLYP_PX * settings.width * settings.height / (384 * 288)
    for number, camera in enumerate(cameras):
        view = render(scope, wall, growths, camera)
        motion = (
            rng.normal(0, 1.3, 2)
            * rng.choice([0.5, 1.0, 3.0], p=[0.5, 0.35, 0.15])
            * settings.width
            / 384
        )
        image, mirrored = expose(scope, view, camera, bubbles, motion, rng)
        mask = np.where(view.polyp & (inside > 0), 255, 0).astype(np.uint8)
        if np.count_nonzero(mask) < smallest:
            mask[:] = 0
        yield Frame(f"v{index:03d}_f{number:03d}", f"v{index:03d}", image, mask,
                    _kinds(view, wall, mirrored))


def _kinds(view: View, wall: Wall, mirrored: np.ndarray) -> np.ndarray:
    """What hides what: highlights the lumen, the lumen vessels."""
    kinds = np.where(view.vessel > VESSEL_SHARE, VESSEL, 0).astype(np.uint8)
    kinds[view.depth_mm > LUMEN_RADII * wall.radius_mm] = LUMEN
    kinds[mirrored] = SPECULAR
    return kinds


def _write_video(
    folder: Path, settings: PhantomSettings, seed: int, index: int
) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for frame in render_video(settings, seed, index):
        names = [f"{part}/{frame.case}.png" for part in FOLDERS]
        for name, pixels in zip(names, (frame.image, frame.mask, frame.kinds)):
            (folder / name).write_bytes(png(pixels))
        rows.append((*names, frame.group))
    return rows


_README = """A STAND-IN, not patient data: synthetic colonoscopy drawn by
data_prep/polyp/phantom.py.

frames/      8-bit colour PNG
masks/       255 on the polyp; all 0 in a frame without one
kinds/       what else makes edges: 1 specular highlight, 2 lumen, 3 vessel, 0 none of these
manifest.csv image, mask, kinds, group (the video)

seed {seed}; {settings}
"""


def write_phantom(folder: Path, settings: PhantomSettings, seed: int, jobs: int = 1) -> None:
    """Write the phantom as `folder`, complete or not at all; the bytes do not depend on `jobs`.

    Raises InputError when `folder` exists and is not empty, or its parent cannot be written.
    """
    with new_folder(folder) as unfinished:
        for name in FOLDERS:
            (unfinished / name).mkdir()
        videos = ordered_map(
            functools.partial(one_by_one, functools.partial(_write_video, unfinished, settings,
                                                            seed)),
            range(settings.videos), jobs, 1, "phantom (stand-in)", "videos")
        write_table(unfinished / "manifest.csv", ("image", "mask", "kinds", "group"),
                    [row for video in videos for row in video])
        (unfinished / "README.txt").write_text(_README.format(seed=seed,
                                                              settings=asdict(settings)))
