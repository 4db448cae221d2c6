"""Sliding on arrays worked out by hand, against a loop, and against scikit-image's minima."""
from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from skimage.measure import label
from skimage.morphology import local_minima

from data_prep.pe.toboggan import slide


def _all(surface: np.ndarray) -> np.ndarray:
    """Rest of every voxel, in the surface's shape."""
    return slide(surface, np.ones(surface.shape, np.bool_)).reshape(surface.shape)


def _neighbours(at: tuple[int, ...], shape: tuple[int, ...]) -> list[tuple[int, ...]]:
    """In C order."""
    there = (tuple(a + d for a, d in zip(at, offset))
             for offset in itertools.product((-1, 0, 1), repeat=len(at)) if any(offset))
    return [t for t in there if all(0 <= a < n for a, n in zip(t, shape))]


def _plateau(start: tuple[int, ...], surface: np.ndarray, moving: np.ndarray
             ) -> list[tuple[int, ...]]:
    found, todo = {start}, [start]
    while todo:
        for there in _neighbours(todo.pop(), surface.shape):
            if there not in found and moving[there] and surface[there] == surface[start]:
                found.add(there)
                todo.append(there)
    return sorted(found)


def _slow(surface: np.ndarray, moving: np.ndarray) -> list[int]:
    """The rule, voxel by voxel."""
    target = {}
    voxels = list(zip(*np.nonzero(moving)))
    for at in voxels:
        lowest = min(_neighbours(at, surface.shape), key=lambda t: surface[t], default=at)
        if surface[lowest] < surface[at]:
            target[at] = lowest
    while True:  # one layer of all plateaus a round
        layer = {}
        for at in voxels:
            if at not in target:
                ways = [t for t in _neighbours(at, surface.shape)
                        if t in target and moving[t] and surface[t] == surface[at]]
                if ways:
                    layer[at] = ways[0]
        if not layer:
            break
        target.update(layer)
    rests = []
    for at in voxels:
        while moving[at] and at in target:
            at = target[at]
        if moving[at]:
            at = _plateau(at, surface, moving)[0]
        rests.append(int(np.ravel_multi_index(at, surface.shape)))
    return rests


def test_a_line_has_two_basins() -> None:
    assert _all(np.array([3, 1, 2, 5, 4, 0.5])).tolist() == [1, 1, 1, 1, 5, 5]


def test_the_lowest_neighbour_counts_not_the_steepest() -> None:
    # From the middle the corner is lower than the side, though farther.
    assert _all(np.array([[9, 9, 9], [1, 5, 9], [9, 9, 0.0]]))[1, 1] == 8


def test_a_tie_goes_to_the_first_in_c_order() -> None:
    assert _all(np.array([1.0, 2, 1])).tolist() == [0, 0, 2]
    assert _all(np.array([[0.0, 9, 0], [9, 9, 9], [0, 9, 0]]))[1, 1] == 0


def test_a_plateau_rests_at_its_first_voxel() -> None:
    assert _all(np.array([[5.0, 2, 2], [5, 5, 2]])).tolist() == [[1, 1, 1], [1, 1, 1]]
    assert (_all(np.zeros((3, 2, 4))) == 0).all()


def test_a_plateau_drains_by_the_shortest_way() -> None:
    surface = np.array([0.0, 3, 3, 3, 3, 3, 1])
    assert _all(surface).tolist() == [0, 0, 0, 0, 6, 6, 6]


def test_a_box_with_one_pit() -> None:
    surface = np.full((5, 5, 5), 7.0)
    surface[4, 0, 2] = 6
    assert (_all(surface) == np.ravel_multi_index((4, 0, 2), surface.shape)).all()


def test_a_voxel_that_does_not_move_holds_what_reaches_it() -> None:
    surface = np.array([4.0, 3, 2, 1, 0])
    moving = np.array([True, True, False, True, True])
    assert slide(surface, moving).tolist() == [2, 2, 4, 4]


def test_infinite_walls_are_not_entered() -> None:
    surface = np.array([5.0, 4, np.inf, 1, 0])
    moving = np.isfinite(surface)
    assert slide(surface, moving).tolist() == [1, 1, 4, 4]


@settings(max_examples=60)
@given(arrays(np.float32, st.sampled_from([(9,), (4, 5), (3, 4, 3), (1, 5, 4)]),
              elements=st.integers(0, 4).map(float)))
def test_as_the_loop_says(surface: np.ndarray) -> None:
    moving = np.random.default_rng(int(surface.sum())).random(surface.shape) < 0.8
    assert slide(surface, moving).tolist() == _slow(surface, moving)


@settings(max_examples=30)
@given(arrays(np.uint8, (5, 6, 4), elements=st.integers(0, 30)))
def test_the_rests_are_the_local_minima(surface: np.ndarray) -> None:
    surface[0, 0, 0] = 31  # scikit-image finds no minimum in a constant array
    minima = local_minima(surface, connectivity=3)
    rests = np.unique(_all(surface.astype(np.float32)))
    assert minima.ravel()[rests].all()
    # As many as there are regions of minima, of which each has one voxel that rests.
    assert len(rests) == label(minima, connectivity=3).max()


def test_nothing_to_move() -> None:
    assert slide(np.zeros((2, 3)), np.zeros((2, 3), np.bool_)).tolist() == []


def test_the_answer_is_small_and_repeatable() -> None:
    surface = np.random.default_rng(5).integers(0, 50, (20, 20, 20)).astype(np.float32)
    moving = surface > 10
    rests = slide(surface, moving)
    assert rests.dtype == np.int32 and rests.shape == (moving.sum(),)
    assert np.array_equal(rests, slide(surface.copy(), moving.copy()))


@pytest.mark.parametrize("surface, moving", [
    (np.zeros(3), np.ones(4, np.bool_)),
    (np.zeros(3), np.ones(3, np.uint8)),
    (np.zeros((2, 2, 2, 2)), np.ones((2, 2, 2, 2), np.bool_)),
    (np.array([0, np.nan]), np.ones(2, np.bool_)),
])
def test_arrays_that_do_not_fit(surface: np.ndarray, moving: np.ndarray) -> None:
    with pytest.raises(ValueError):
        slide(surface, moving)
