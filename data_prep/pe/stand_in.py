"""Writing a folder of stand-in CT angiograms in the layout that `reader` describes.

Beside it truth.csv, a row per embolus: what was put where.
"""
from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from data_prep.manifest import MANIFEST, write_origin
from data_prep.parallel import ordered_map
from data_prep.pe.emboli import Embolus, mask
from data_prep.pe.reader import EMBOLI, VOLUMES
from data_prep.pe.volume import Volume, write_emboli, write_volume
from layerwise.contracts import new_folder, write_table

TRUTH = "truth.csv"
TRUTH_COLUMNS = ("case", "embolus", "kind", "shape", "calibre_mm", "volume_mm3")
Item = TypeVar("Item")


@dataclass(frozen=True)
class Drawn:
    """One stand-in volume and its emboli, numbered from 1 in their order; split: train or test."""

    case: str
    group: str
    volume: Volume
    emboli: list[Embolus]
    split: str = ""             # empty: drawn when the data are prepared


def write_set(folder: Path, stand_in: str, draw: Callable[[Item], Drawn], items: Sequence[Item],
              jobs: int, title: str, about: str) -> None:
    """Write what `draw` makes of all items as `folder`, complete or not at all.

    The bytes do not depend on `jobs`. InputError when `folder` exists and is not empty, or its
    parent cannot be written.
    """
    with new_folder(folder) as unfinished:
        for name in (VOLUMES, EMBOLI):
            (unfinished / name).mkdir()
        written = list(ordered_map(partial(_write, unfinished, draw), items, jobs, 1, title,
                                   "volume"))
        named = ("case", "group", "split") if written and written[0][0][-1] else ("case", "group")
        write_table(unfinished / MANIFEST, named, [row[:len(named)] for row, _ in written])
        write_table(unfinished / TRUTH, TRUTH_COLUMNS,
                    [row for _, rows in written for row in rows])
        write_origin(unfinished, stand_in, about)


def _write(folder: Path, draw: Callable[[Item], Drawn], items: Sequence[Item]
           ) -> list[tuple[tuple[str, str, str], list[tuple[Any, ...]]]]:
    written = []
    for item in items:
        drawn = draw(item)
        volume = drawn.volume
        name = f"{drawn.case}.nii.gz"
        write_volume(folder / VOLUMES / name, volume)
        if drawn.emboli:
            write_emboli(folder / EMBOLI / name, mask(drawn.emboli, volume.hu.shape),
                         volume.spacing_mm)
        voxel_mm3 = float(np.prod(volume.spacing_mm))
        written.append(((drawn.case, drawn.group, drawn.split), [
            (drawn.case, number, embolus.kind, embolus.shape, f"{embolus.calibre_mm:.1f}",
             f"{len(embolus.voxels) * voxel_mm3:.0f}")
            for number, embolus in enumerate(drawn.emboli, start=1)]))
    return written
