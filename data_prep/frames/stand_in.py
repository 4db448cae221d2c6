"""Writing a folder of stand-in frames in the layout that `reader` describes.

Beside it truth.csv, a row per frame: what is wrong with it. All frames of a size have files of the
same size, for they are stored uncompressed: a spoilt frame compresses better, which a network
never sees and nobody should learn from.
"""
from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np

from data_prep import images
from data_prep.frames.degrade import Fault
from data_prep.frames.reader import LABELS, MANIFEST_COLUMNS
from data_prep.manifest import MANIFEST, write_origin
from data_prep.parallel import ordered_map
from layerwise.contracts import new_folder, write_table

FRAMES, TRUTH = "frames", "truth.csv"
TRUTH_COLUMNS = ("image", "kind", "severity")
Item = TypeVar("Item")


@dataclass(frozen=True)
class Drawn:
    """One stand-in frame: name, video, uint8 (h, w, 3) BGR, what is wrong with it, and its split.

    The split is "" where the source has none.
    """

    case: str
    group: str
    image: np.ndarray
    fault: Fault
    split: str = ""


def write_set(folder: Path, stand_in: str, draw: Callable[[Item], Iterator[Drawn]],
              items: Sequence[Item], jobs: int, title: str, about: str) -> None:
    """Write the frames that `draw` makes of all items as `folder`, complete or not at all.

    The bytes do not depend on `jobs`. InputError as `contracts.new_folder`.
    """
    with new_folder(folder) as unfinished:
        (unfinished / FRAMES).mkdir()
        written = ordered_map(partial(_write, unfinished, draw), items, jobs, 1, title, "items")
        rows = sorted(row for rows in written for row in rows)
        given = any(split for *_, split in rows)
        write_table(unfinished / MANIFEST, (*MANIFEST_COLUMNS, *(["split"] if given else [])),
                    [(name, LABELS[fault.informative], group, *([split] if given else []))
                     for name, group, fault, split in rows])
        write_table(unfinished / TRUTH, TRUTH_COLUMNS,
                    [(name, fault.kind, f"{fault.severity:.3f}") for name, _, fault, _ in rows])
        write_origin(unfinished, stand_in, about)


def _write(folder: Path, draw: Callable[[Item], Iterator[Drawn]], items: Sequence[Item]
           ) -> list[list[tuple[str, str, Fault, str]]]:
    written = []
    for item in items:
        rows = []
        for drawn in draw(item):
            name = f"{FRAMES}/{drawn.case}.png"
            (folder / name).write_bytes(images.png(drawn.image, compression=0))
            rows.append((name, drawn.group, drawn.fault, drawn.split))
        written.append(rows)
    return written
