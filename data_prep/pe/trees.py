"""Branching vessels: a tree that fills a cloud of targets, its calibres and its centreline.

Branching after Tawhai, Pullan and Hunter (Ann Biomed Eng 2000): a branch runs part of the way to
the centre of the targets it supplies, which a plane through it then divides between two children.
Calibres after Murray (1926): the cube of a radius is the sum of its children's cubes, so that a
branch with n targets has n^(1/3) times the radius of a terminal one.
"""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

ROOT = -1
REACH = 0.4             # of the way to the centre of the targets (Tawhai et al.: 0.4)
UNEVEN = (0.3, 0.7)     # share of the targets that one of two children gets
WANDER = 0.1            # SD of a branch's end about its straight course, in lengths


@dataclass(frozen=True)
class Tree:
    """Branches; vectors are (z, y, x) in mm."""

    start_mm: np.ndarray    # (n, 3) float64
    end_mm: np.ndarray      # (n, 3) float64
    radius_mm: np.ndarray   # (n,) float64
    parent: np.ndarray      # (n,) int64, ROOT for the trunk


@dataclass(frozen=True)
class Centreline:
    """Points along the middle of vessels, with the calibre and course there."""

    points_mm: np.ndarray   # (n, 3) float64, z, y, x
    radius_mm: np.ndarray   # (n,) float64
    tangent: np.ndarray     # (n, 3) float64, unit vectors


class Growth:
    """A tree under construction; branches know how many targets they supply."""

    def __init__(self) -> None:
        self._start: list[np.ndarray] = []
        self._end: list[np.ndarray] = []
        self._targets: list[int] = []
        self._parent: list[int] = []

    def add(self, start: np.ndarray, end: np.ndarray, targets: int, parent: int) -> int:
        """Add one branch; its number."""
        self._start.append(np.asarray(start, np.float64))
        self._end.append(np.asarray(end, np.float64))
        self._targets.append(targets)
        self._parent.append(parent)
        return len(self._start) - 1

    def chain(self, points: np.ndarray, targets: int, parent: int) -> int:
        """Add a branch with bends, (k, 3) points; the number of its last part."""
        for start, end in zip(points[:-1], points[1:]):
            parent = self.add(start, end, targets, parent)
        return parent

    def fill(self, targets_mm: np.ndarray, parent: int, rng: np.random.Generator) -> None:
        """Branch from the end of `parent` until every target (k, 3) is the end of a branch."""
        waiting = [(parent, self._end[parent], targets_mm)]
        while waiting:
            parent, start, targets = waiting.pop()
            if len(targets) == 1:
                self.add(start, targets[0], 1, parent)
                continue
            centre = targets.mean(axis=0)
            way = REACH * (centre - start)
            length = float(np.linalg.norm(way))
            end = start + way + rng.normal(0, WANDER * length, 3)
            parent = self.add(start, end, len(targets), parent)
            along = way / max(length, 1e-9)
            across = targets - centre
            across -= np.outer(across @ along, along)
            widest = np.linalg.eigh(across.T @ across)[1][:, -1]
            cut = int(round(len(targets) * rng.uniform(*UNEVEN)))
            cut = min(max(cut, 1), len(targets) - 1)
            order = np.argsort(across @ widest, kind="stable")
            waiting += [(parent, end, targets[order[:cut]]), (parent, end, targets[order[cut:]])]

    def tree(self, terminal_radius_mm: float) -> Tree:
        """The finished tree with the calibres of Murray's law."""
        return Tree(np.array(self._start), np.array(self._end),
                    terminal_radius_mm * np.cbrt(np.array(self._targets, np.float64)),
                    np.array(self._parent))


def samples(tree: Tree, step_mm: float) -> tuple[np.ndarray, np.ndarray]:
    """Points at most `step_mm` apart along all branches, (k, 3), and the branch of each, (k,)."""
    lengths = np.linalg.norm(tree.end_mm - tree.start_mm, axis=1)
    counts = np.maximum(1, np.ceil(lengths / step_mm)).astype(np.int64)
    branch = np.repeat(np.arange(len(counts)), counts)
    number = np.arange(len(branch)) - np.repeat(np.cumsum(counts) - counts, counts)
    share = ((number + 0.5) / counts[branch])[:, None]
    return tree.start_mm[branch] * (1 - share) + tree.end_mm[branch] * share, branch


def centreline(tree: Tree, step_mm: float) -> Centreline:
    """Points at most `step_mm` apart along all branches of a tree."""
    points, branch = samples(tree, step_mm)
    course = tree.end_mm - tree.start_mm
    course /= np.maximum(np.linalg.norm(course, axis=1), 1e-9)[:, None]
    return Centreline(points, tree.radius_mm[branch], course[branch])
