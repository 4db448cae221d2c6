"""Tiny folders of frames and a detector that finds what they show."""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from data_prep.polyp import shape
from data_prep.request import Request
from layerwise.profiles import Profile, profile_named

WIDTH, HEIGHT = 64, 48
GROUPS, FRAMES = 8, 3
POLYP_BOX = (30.0, 16.0, 14.0, 12.0)


def write_image(path: Path, pixels: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), pixels)
    return path


def write_colon(folder: Path, groups: int = GROUPS, frames: int = FRAMES) -> Path:
    """frames/, masks/ and groups.csv: noise with a bright ellipse, none in a group's last frame."""
    lines = ["frame,group"]
    for number in range(groups * frames):
        group, position = divmod(number, frames)
        image = np.random.default_rng(number).integers(0, 90, (HEIGHT, WIDTH, 3)).astype(np.uint8)
        mask = np.zeros((HEIGHT, WIDTH), np.uint8)
        if position < frames - 1:
            x, y, width, height = POLYP_BOX
            cv2.ellipse(mask, ((x + width / 2, y + height / 2), (width, height), 0), 255, -1)
            image[mask > 0] = (80, 90, 230)
        write_image(folder / "frames" / f"{number:03d}.png", image)
        write_image(folder / "masks" / f"{number:03d}.png", mask)
        lines.append(f"{number:03d},g{group}")
    (folder / "groups.csv").write_text("\n".join(lines) + "\n")
    return folder


def find_ellipse(image: np.ndarray, model: object = None) -> list[shape.Candidate]:
    """The box around red pixels, if there are any, and one in the corner."""
    found = [shape.Candidate(0.0, 0.0, 12.0, 10.0, 0.5),
             shape.Candidate(50.0, 30.0, 10.0, 10.0, 0.25)]
    rows, columns = np.nonzero(image[:, :, 2] > 180)
    if len(rows):
        x, y = float(columns.min()), float(rows.min())
        found.insert(0, shape.Candidate(x, y, float(columns.max()) + 1 - x,
                                        float(rows.max()) + 1 - y, 0.75))
    return found


@pytest.fixture()
def colon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of 24 frames in 8 groups, and `find_ellipse` in place of the detector.

    Its model is the names of the groups that it has learnt from.
    """
    monkeypatch.setattr(shape, "detect", find_ellipse)
    monkeypatch.setattr(shape, "learn", lambda frames, seed: sorted(
        {frame.group for frame in frames}))
    monkeypatch.setattr(shape, "write_model", lambda path, model: path.write_text(" ".join(model)))
    monkeypatch.setattr(shape, "read_model", lambda path: path.read_text().split())
    return write_colon(tmp_path / "colon")


@pytest.fixture()
def tiny_profile() -> Profile:
    mini = profile_named("mini")
    sizes = replace(mini.sizes["polyp"], patches=80, test_patches=2, candidates_per_case=3)
    return replace(mini, sizes={"polyp": sizes}, batch_size=4)


@pytest.fixture()
def request_for(tmp_path: Path, tiny_profile: Profile) -> Callable[..., Request]:
    """A request for a source folder, in this process unless `jobs` says otherwise."""
    def make(source: Path | None, **changes: object) -> Request:
        return replace(Request(source, tmp_path / "data", tiny_profile),
                       **changes)  # type: ignore[arg-type]
    return make
