"""Pixels of a region as training candidates: on an interface, or far from both.

200,000 patches of three classes out of 144 regions of 92 columns (paper, section IV-D) are 5.03 per
column, region and class: read here as the interface's row and two on either side of it.
"""
from __future__ import annotations

import zlib

import numpy as np

from data_prep.cimt.interfaces import INTERFACES
from data_prep.cimt.reader import Annotated, Region
from layerwise.contracts import PixelCandidate

ON_LINE_PX = 2      # rows on either side of an interface's own that belong to it
FAR_PX = 5          # least vertical distance of the background's pixels from both interfaces
BACKGROUND = 0      # label; INTERFACES follow
UNUSED = -1


def labels(lines: np.ndarray, top: int, rows: int) -> np.ndarray:
    """(rows, columns) int8: class of each pixel of an ROI, UNUSED between the classes.

    A pixel within ON_LINE_PX of the row nearest to an interface is of that interface; where the
    wall is so thin that it is near both, of the one closer to it, and of neither when they are
    equally close. Background lies above, below or between, FAR_PX or more from both lines.

    Args:
        lines: (2, columns) float64, rows of the interfaces in the frame.
        top: first row of the ROI.
    """
    row = np.arange(top, top + rows)[:, None]
    distance = np.abs(row - lines[:, None])                     # (2, rows, columns)
    near = np.abs(row - np.floor(lines + 0.5)[:, None]) <= ON_LINE_PX
    found = np.full(near.shape[1:], UNUSED, np.int8)
    found[(distance >= FAR_PX).all(axis=0)] = BACKGROUND
    found[near[0] & (~near[1] | (distance[0] < distance[1]))] = 1
    found[near[1] & (~near[0] | (distance[1] < distance[0]))] = 2
    return found


def candidates(region: Region, opened: Annotated, keep: int) -> tuple[PixelCandidate, ...]:
    """At most `keep` pixels of a region, a third of each class, in an order mixed by its name.

    Classes take turns, so that every prefix holds as many of each; fewer where a class has no more.
    """
    x, y, _, h = opened.roi
    found = labels(opened.lines, y, h)
    rng = np.random.default_rng(zlib.crc32(region.case.encode()))
    ranked = []
    for label in range(len(INTERFACES), -1, -1):
        at = np.argwhere(found == label)[:, ::-1] + (x, y)
        for turn, (column, row) in enumerate(rng.permutation(at)[:keep].tolist()):
            ranked.append((turn, -label, column, row))
    return tuple(_candidate(region, -minus, column, row)
                 for _, minus, column, row in sorted(ranked)[:keep])


def _candidate(region: Region, label: int, column: int, row: int) -> PixelCandidate:
    lesion = f"{region.case}:{INTERFACES[label - 1]}" if label else ""
    return PixelCandidate(region.case, region.group, f"{region.case}:x{column}y{row}", lesion,
                          label, column, row)
