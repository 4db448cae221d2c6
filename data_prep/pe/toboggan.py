"""Tobogganing: every voxel slides to the lowest of its neighbours until it rests in a minimum.

Fairfield, "Toboggan contrast enhancement for contrast segmentation" (ICPR 1990), in three
dimensions and on intensities instead of their gradient, so that the minima are dark regions (Liang
and Bi, IPMI 2007). All voxels slide at once: each points to its lowest neighbour, and the chains of
pointers are shortened by doubling.
"""
from __future__ import annotations

import itertools

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components


def slide(surface: np.ndarray, moving: np.ndarray) -> np.ndarray:
    """int32 (n,): where each of the n `moving` voxels, in C order, comes to rest; flat index.

    `surface`: real, without NaN, one to three dimensions; `moving`: bool of the same shape. A
    moving voxel goes to the lowest of its neighbours (26 in three dimensions, 8, 2) if that is
    lower than itself; of equally low ones to the first in C order. A voxel that does not move
    holds whatever reaches it. A plateau (connected equal moving voxels) drains by the shortest
    way to its voxels with a lower neighbour, or, where there is none, rests as a whole at its
    first voxel in C order.
    Raises ValueError on arrays that do not fit together, on NaN and on more than 2**31 - 1 voxels.
    """
    if surface.shape != moving.shape or moving.dtype != np.bool_ or not 1 <= surface.ndim <= 3:
        raise ValueError(f"a surface {surface.shape} and moving voxels {moving.shape} "
                         f"{moving.dtype}; expected one shape and bool")
    padded = np.pad(surface, 1, constant_values=np.inf)  # a wall: nothing slides out of the volume
    if padded.size > np.iinfo(np.int32).max:
        raise ValueError(f"{surface.size} voxels are too many for 32 bit indices")
    if np.isnan(padded.ravel()).any():
        raise ValueError("the surface has NaN")
    steps = _neighbour_steps(padded.shape)
    level = padded.ravel()
    at = np.flatnonzero(np.pad(moving, 1)).astype(np.int32)  # of the moving voxels, in `level`
    place = np.full(padded.size, -1, np.int32)  # of each voxel among the moving ones
    place[at] = np.arange(len(at), dtype=np.int32)

    target, level_at = at.copy(), level[at]
    lowest = level_at.copy()
    for step in steps:
        there = level[at + step]
        lower = there < lowest
        lowest[lower] = there[lower]
        target[lower] = at[lower] + step
    _drain_plateaus(level, at, place, target, lowest < level_at, steps)

    # To places: from here on only moving voxels matter, others hold what reaches them.
    following = place[target]
    ends = following < 0
    following[ends] = np.flatnonzero(ends)
    while True:
        further = following[following]
        if np.array_equal(further, following):
            break
        following = further
    rest = target[following]
    return np.ravel_multi_index(
        tuple(axis - 1 for axis in np.unravel_index(rest, padded.shape)), surface.shape
    ).astype(np.int32)


def _neighbour_steps(shape: tuple[int, ...]) -> list[int]:
    """Differences in flat index to all neighbours of a voxel, ascending: C order."""
    strides = [int(np.prod(shape[axis + 1:])) for axis in range(len(shape))]
    steps = (sum(d * stride for d, stride in zip(offset, strides))
             for offset in itertools.product((-1, 0, 1), repeat=len(shape)))
    return [step for step in steps if step != 0]


def _drain_plateaus(level: np.ndarray, at: np.ndarray, place: np.ndarray, target: np.ndarray,
                    settled: np.ndarray, steps: list[int]) -> None:
    """Give every moving voxel without a lower neighbour its `target`, in place.

    `settled` (changed too) tells which have one already. Breadth first from the outlets, one
    layer of the plateaus a round; what then remains is closed and gets its first voxel.
    """
    flat = np.flatnonzero(~settled)
    while len(flat):
        outlet = np.full(len(flat), -1, np.int32)
        here = at[flat]
        for step in reversed(steps):  # so that the first in C order stays
            there = place[here + step]
            drains = (there >= 0) & settled[there] & (level[here + step] == level[here])
            outlet[drains] = here[drains] + step
        found = outlet >= 0
        if not found.any():
            break
        target[flat[found]] = outlet[found]
        settled[flat[found]] = True
        flat = flat[~found]
    if not len(flat):
        return
    order = np.full(len(at), -1, np.int32)  # of each moving voxel among the flat ones
    order[flat] = np.arange(len(flat), dtype=np.int32)
    pairs = []
    for step in steps[len(steps) // 2:]:  # each pair once
        there = place[at[flat] + step]
        equal = (there >= 0) & (level[at[flat] + step] == level[at[flat]])
        equal &= np.where(there >= 0, order[there], -1) >= 0
        pairs.append((np.flatnonzero(equal), order[there[equal]]))
    rows, columns = (np.concatenate(side) for side in zip(*pairs))
    graph = coo_matrix((np.ones(len(rows), np.bool_), (rows, columns)), (len(flat), len(flat)))
    count, plateau = connected_components(graph, directed=False)
    first = np.full(count, len(flat), np.int64)
    np.minimum.at(first, plateau, np.arange(len(flat)))
    target[flat] = at[flat[first[plateau]]]
