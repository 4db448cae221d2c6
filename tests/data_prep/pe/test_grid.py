"""Every orientation is turned to LPS, and masks on another grid are recognised."""
from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from data_prep.pe import grid
from layerwise.errors import InputError

NAME = Path("v.nii")
SPACING_XYZ = np.array([0.7, 0.8, 1.25])
ORIENTATIONS = [(order, signs) for order in itertools.permutations(range(3))
                for signs in itertools.product((1, -1), repeat=3)]


def stored_in(lps: np.ndarray, order: tuple[int, ...], signs: tuple[int, ...],
              turn: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """An LPS array (x, y, z) stored with other axes, and its map to RAS, found voxel by voxel."""
    stored = lps.transpose(order)[tuple(slice(None, None, sign) for sign in signs)]

    def position_ras(index: tuple[int, ...]) -> np.ndarray:
        lps_index = np.zeros(3)
        for axis, (place, sign) in enumerate(zip(index, signs)):
            length = stored.shape[axis]
            lps_index[order[axis]] = place if sign > 0 else length - 1 - place
        x, y, z = turn @ (lps_index * SPACING_XYZ) + np.array([10.0, -20.0, 30.0])
        return np.array([-x, -y, z])

    ras = np.eye(4)
    ras[:3, 3] = position_ras((0, 0, 0))
    for axis, unit in enumerate(((1, 0, 0), (0, 1, 0), (0, 0, 1))):
        ras[:3, axis] = position_ras(unit) - ras[:3, 3]
    return stored, ras


@pytest.mark.parametrize("degrees", [0.0, 20.0])
def test_all_48_orientations(degrees: float) -> None:
    lps = np.arange(2 * 3 * 4).reshape(2, 3, 4)
    turn = Rotation.from_euler("xyz", [degrees, -degrees / 2, degrees / 3], degrees=True)
    for order, signs in ORIENTATIONS:
        stored, ras = stored_in(lps, order, signs, turn.as_matrix())
        values, found = grid.straighten(NAME, stored, ras)
        assert np.array_equal(values, lps.transpose(2, 1, 0))
        assert np.shares_memory(values, stored)
        assert found.shape == (4, 3, 2)
        assert np.allclose(found.spacing_mm, SPACING_XYZ[::-1])
        assert np.allclose(found.affine[:3, :3], turn.as_matrix() * SPACING_XYZ)
        assert np.allclose(found.affine[:3, 3], [10, -20, 30])


def test_the_written_affine_is_read_as_plain() -> None:
    _, found = grid.straighten(NAME, np.zeros((2, 3, 4)), grid.plain_affine((1.25, 0.8, 0.7)))
    assert np.allclose(found.affine, np.diag([0.7, 0.8, 1.25, 1.0]))


def _sheared(degrees: float) -> np.ndarray:
    affine = np.eye(4)
    affine[1, 2] = np.tan(np.radians(degrees))
    return affine


@pytest.mark.parametrize("affine, message", [
    (np.zeros((4, 4)), "no geometry"),
    (np.diag([1.0, 1.0, 0.0, 1.0]), "no geometry"),
    (np.diag([1.0, 1.0, np.nan, 1.0]), "no geometry"),
    (np.diag([0.0007, 0.0007, 0.001, 1.0]), "must be in mm"),
    (np.diag([1.0, 1.0, 40.0, 1.0]), r"voxels of 1 x 1 x 40 mm, expected 0\.1 to 10"),
    (_sheared(2.0), "sheared")])
def test_refused_geometry(affine: np.ndarray, message: str) -> None:
    with pytest.raises(InputError, match=rf"^v\.nii: .*{message}"):
        grid.straighten(NAME, np.zeros((2, 2, 2)), affine)


def test_a_rounded_affine_is_not_sheared() -> None:
    assert grid.straighten(NAME, np.zeros((2, 2, 2)), _sheared(0.2))[1].shape == (2, 2, 2)


@pytest.mark.parametrize("shape", [(4, 4), (4, 4, 1), (4, 4, 4, 2)])
def test_refused_shapes(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match=r"^v\.nii: array of .* three-dimensional"):
        grid.straighten(NAME, np.zeros(shape), np.eye(4))


def _moved(x: float, degrees: float = 0.0, scale: float = 1.0) -> grid.Grid:
    affine = np.diag([*(SPACING_XYZ * scale), 1.0])
    affine[:3, :3] = Rotation.from_euler("z", degrees, degrees=True).as_matrix() @ affine[:3, :3]
    affine[0, 3] = x
    return grid.Grid((4, 3, 2), affine)


def test_grids_that_are_the_same() -> None:
    for other in (_moved(0.0), _moved(0.3), _moved(0.0, 0.4), _moved(0.0, 0.0, 1.005)):
        assert other.shape == (4, 3, 2)
        grid.check_same(NAME, other, _moved(0.0))


@pytest.mark.parametrize("other, message", [
    (_moved(0.4), r"lies 0\.4 mm from the volume"),
    (_moved(0.0, 1.0), "axes point elsewhere"),
    (_moved(0.0, 0.0, 1.02), r"voxels of 1\.27 x 0\.816 x 0\.714 mm .* are 1\.25 x 0\.8 x 0\.7 mm"),
    (grid.Grid((4, 3, 3), np.diag([*SPACING_XYZ, 1.0])),
     "mask of 4x3x3 voxels .* the volume has 4x3x2")])
def test_grids_that_are_not(other: grid.Grid, message: str) -> None:
    with pytest.raises(InputError, match=rf"^v\.nii: .*{message}"):
        grid.check_same(NAME, other, _moved(0.0))
