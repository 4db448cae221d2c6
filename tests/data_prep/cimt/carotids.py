"""Tiny folders of carotid frames with straight, tilted walls."""
from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

WIDTH, HEIGHT = 120, 80
ROI = (10, 8, 40, 30)
HEADER = "image,lines,group,pixel_um,roi_x,roi_y,roi_w,roi_h"


def frame(number: int, width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    return np.random.default_rng(number).integers(0, 255, (height, width)).astype(np.uint8)


def write_lines(path: Path, upper: Sequence[Sequence[float]], lower: Sequence[Sequence[float]]
                ) -> Path:
    path.write_text(json.dumps({"lumen_intima": upper, "media_adventitia": lower}))
    return path


def write_carotids(folder: Path, groups: int = 4, regions: int = 2) -> Path:
    """Noise, a manifest, lines from row 18 to 22 and 8 rows below."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = [HEADER]
    for number in range(groups * regions):
        assert cv2.imwrite(str(folder / f"{number:02d}.png"), frame(number))
        write_lines(folder / f"{number:02d}.json", [[0, 18], [119, 22]], [[0, 26], [119, 30]])
        box = ",".join(map(str, ROI))
        rows.append(f"{number:02d}.png,{number:02d}.json,s{number // regions},100,{box}")
    (folder / "manifest.csv").write_text("\n".join(rows) + "\n")
    return folder
