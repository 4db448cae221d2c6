"""Small images of your own, and the command line in this process, with narrow networks."""
from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from click.testing import CliRunner
from training import ONE_THREAD

from layerwise import blas
from layerwise.cli import main

CLASSES = ("ill", "well")


def write_images(folder: Path, groups: int = 26, each: int = 2, hint: int = 120) -> Path:
    """Noise, redder where it is ill; every group has both classes, and `well` is the negative."""
    folder.mkdir(parents=True)
    lines = ["path,label,group"]
    for number in range(groups * each + 1):
        ill = number % 2
        pixels = np.random.default_rng(number).integers(0, 255 - hint, (24, 20 + number % 7, 3))
        pixels[:, :, 2] += hint * ill
        assert cv2.imwrite(str(folder / f"{number:03d}.png"), pixels.astype(np.uint8))
        lines.append(f"{number:03d}.png,{CLASSES[1 - ill]},p{number // each % groups}")
    (folder / "manifest.csv").write_text("\n".join(lines) + "\n")
    return folder


@contextmanager
def one_thread() -> Iterator[None]:
    """No measuring of BLAS kernels."""
    real = blas.choose, blas.environment_for
    blas.choose, blas.environment_for = lambda threads: None, lambda choice: ONE_THREAD
    yield
    blas.choose, blas.environment_for = real


def layerwise(*arguments: Any) -> Any:
    """A command; its result has stdout, stderr and exit_code."""
    return CliRunner(mix_stderr=False).invoke(main, [str(one) for one in arguments])


def training_options(root: Path, weights: Path) -> list[Any]:
    """Where everything goes, and trainings of a second."""
    return ["--data", root / "data", "--runs", root / "runs", "--weights", weights,
            "--profile", "mini", "--jobs", 1, "--batch-size", 8]
