"""Vessel trees: they reach every target, obey Murray's law, and are painted to measure."""
from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_prep.pe.raster import ellipsoid, paint_tubes, stretch
from data_prep.pe.trees import ROOT, Growth, Tree, centreline, samples


def _grown(targets: int, seed: int) -> tuple[Tree, np.ndarray]:
    rng = np.random.default_rng(seed)
    points = rng.uniform((20, 0, 0), (80, 60, 60), (targets, 3))
    growth = Growth()
    trunk = growth.chain(np.array([(0, 30, 30), (5, 30, 30), (10, 28, 30)], float), targets, ROOT)
    growth.fill(points, trunk, rng)
    return growth.tree(terminal_radius_mm=1.0), points


def murray_excess(tree: Tree) -> float:
    """Largest |sum of the children's r^3 / r^3 - 1| over all branches that have children."""
    cubes = tree.radius_mm ** 3
    below = np.zeros(len(cubes))
    inner = tree.parent != ROOT
    np.add.at(below, tree.parent[inner], cubes[inner])
    forks = below > 0
    return float(np.abs(below[forks] / cubes[forks] - 1).max())


@given(st.integers(1, 60), st.integers(0, 1000))
def test_every_target_is_the_end_of_one_terminal_branch(targets: int, seed: int) -> None:
    tree, points = _grown(targets, seed)
    leaves = np.setdiff1d(np.arange(len(tree.parent)), tree.parent)
    ends = tree.end_mm[leaves]
    assert len(leaves) == targets
    np.testing.assert_allclose(ends[np.lexsort(ends.T)], points[np.lexsort(points.T)])
    np.testing.assert_allclose(tree.radius_mm[leaves], 1)


@given(st.integers(2, 60), st.integers(0, 1000))
def test_branches_start_where_their_parent_ends_and_obey_murray(targets: int, seed: int) -> None:
    tree, _ = _grown(targets, seed)
    inner = tree.parent != ROOT
    np.testing.assert_array_equal(tree.start_mm[inner], tree.end_mm[tree.parent[inner]])
    assert murray_excess(tree) < 1e-9
    assert tree.radius_mm[0] == pytest.approx(targets ** (1 / 3))


def test_murray_excess_of_a_fork_by_hand() -> None:
    """A trunk of radius 2 (cube 8) with children of radius 1 and 2 (cubes 1 + 8)."""
    zero = np.zeros((3, 3))
    tree = Tree(zero, zero, np.array([2.0, 1.0, 2.0]), np.array([ROOT, 0, 0]))
    assert murray_excess(tree) == pytest.approx(1 / 8)


def test_samples_lie_on_the_branch_no_farther_apart_than_asked() -> None:
    tree = Tree(np.zeros((1, 3)), np.array([[0.0, 6.0, 8.0]]), np.ones(1), np.array([ROOT]))
    points, branch = samples(tree, 3.0)
    np.testing.assert_allclose(np.linalg.norm(points, axis=1), [1.25, 3.75, 6.25, 8.75])
    assert branch.tolist() == [0, 0, 0, 0]
    np.testing.assert_allclose(centreline(tree, 3.0).tangent[0], [0, 0.6, 0.8])


@pytest.mark.parametrize("radius", [1.5, 5.0])     # painted together, painted alone
@pytest.mark.parametrize("end", [(40.0, 20.0, 20.0), (36.0, 28.0, 26.0)])
def test_a_painted_tube_has_the_volume_of_a_capsule(radius: float,
                                                    end: tuple[float, float, float]) -> None:
    """With a wall that fades evenly over 1 mm: the mean volume of radii r - 0.5 to r + 0.5."""
    start = np.array([[12.0, 20.0, 20.0]])
    tree = Tree(start, np.array([end]), np.array([radius]), np.array([ROOT]))
    filled = np.zeros((52, 40, 40), np.float32)
    paint_tubes(filled, tree, (1.0, 1.0, 1.0))
    length = np.linalg.norm(np.array(end) - start)
    volume = np.pi * ((radius ** 2 + 1 / 12) * length + 4 / 3 * (radius ** 3 + radius / 4))
    assert filled.sum() == pytest.approx(volume, rel=0.02)
    assert filled.max() == 1 and filled[0].max() == 0


def test_a_painted_tube_keeps_its_calibre_with_any_spacing() -> None:
    """Along x, radius 2 mm, in voxels of 1 x 0.5 x 0.5 mm: a cross section of pi 2^2 mm2."""
    tree = Tree(np.array([[10.0, 10.0, -5.0]]), np.array([[10.0, 10.0, 25.0]]), np.array([2.0]),
                np.array([ROOT]))
    filled = np.zeros((21, 41, 41), np.float32)
    paint_tubes(filled, tree, (1.0, 0.5, 0.5))
    assert filled[:, :, 20].sum() * 0.5 == pytest.approx(np.pi * 4, rel=0.05)


def test_tubes_only_raise_what_is_there() -> None:
    filled = np.full((20, 20, 20), 0.25, np.float32)
    tree = Tree(np.full((1, 3), 10.0), np.full((1, 3), 10.0), np.array([2.0]), np.array([ROOT]))
    paint_tubes(filled, tree, (1.0, 1.0, 1.0))
    assert filled.min() == 0.25 and filled[10, 10, 10] == 1


def test_an_ellipsoid_has_its_volume_and_none_outside_the_grid() -> None:
    found = ellipsoid((40, 40, 40), (1.0, 1.0, 1.0), np.array([20.0, 19.0, 21.0]),
                      np.array([6.0, 8.0, 10.0]))
    assert found is not None
    assert found[1].sum() == pytest.approx(4 / 3 * np.pi * 480, rel=0.06)
    assert ellipsoid((40, 40, 40), (1.0, 1.0, 1.0), np.full(3, 90.0), np.full(3, 5.0)) is None


def test_stretch_is_linear_between_the_knots() -> None:
    coarse = np.arange(3, dtype=np.float32)[:, None, None] * 10 \
        + np.arange(2, dtype=np.float32)[None, :, None]
    fine = stretch(coarse, (5, 3, 4))
    assert fine.shape == (5, 3, 4)
    np.testing.assert_allclose(fine[:, 0, 0], [0, 5, 10, 15, 20])
    np.testing.assert_allclose(fine[1, :, 3], [5, 5.5, 6])
