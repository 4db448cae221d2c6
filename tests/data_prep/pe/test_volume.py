"""Hounsfield units, orientation and the two kinds of masks, from files written by nibabel."""
from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_prep.pe import volume
from layerwise.errors import InputError

SPACING_MM = (1.5, 0.8, 0.7)
RAS_OF_LPS = np.diag([-0.7, -0.8, 1.5, 1.0])


def chest() -> np.ndarray:
    """(z, y, x) int16 between air and bone, no two voxels alike."""
    return (np.arange(3 * 4 * 5, dtype=np.int16) * 30 - 1000).reshape(3, 4, 5)


def save(path: Path, values: np.ndarray, affine: np.ndarray = RAS_OF_LPS) -> Path:
    """Save (z, y, x) values."""
    nibabel.save(nibabel.Nifti1Image(values.transpose(2, 1, 0), affine), str(path))
    return path


def test_an_lps_file_is_read_as_it_is(tmp_path: Path) -> None:
    found = volume.read_volume(save(tmp_path / "v.nii.gz", chest()))
    assert found.hu.dtype == np.int16
    assert found.hu.flags.c_contiguous
    assert np.array_equal(found.hu, chest())
    assert found.spacing_mm == pytest.approx(SPACING_MM)


def test_a_ras_file_is_turned(tmp_path: Path) -> None:
    path = save(tmp_path / "v.nii", chest()[:, ::-1, ::-1], np.diag([0.7, 0.8, 1.5, 1.0]))
    found = volume.read_volume(path)
    assert np.array_equal(found.hu, chest())
    assert found.hu.flags.c_contiguous


def test_rescaling_rounds_and_clips(tmp_path: Path) -> None:
    stored = np.array([0, 2, 1024, 1025, 4095, 65535], np.uint16).repeat(4).reshape(6, 2, 2)
    image = nibabel.Nifti1Image(stored.transpose(2, 1, 0), RAS_OF_LPS)
    image.header.set_slope_inter(1.25, -1030)
    nibabel.save(image, str(tmp_path / "v.nii"))
    # 1.25 v - 1030: -1030, -1027.5, 250, 251.25, 4088.75, 80888.75
    assert volume.read_volume(tmp_path / "v.nii").hu[:, 0, 0].tolist() == \
        [-1024, -1024, 250, 251, 3071, 3071]


def test_floats_are_rounded(tmp_path: Path) -> None:
    values = np.array([-1000.4, -0.6, 40.5, 41.5], np.float32).repeat(4).reshape(4, 2, 2)
    hu = volume.read_volume(save(tmp_path / "v.nii", values)).hu
    assert hu[:, 0, 0].tolist() == [-1000, -1, 40, 42]  # halves to even


def _with(value: float) -> np.ndarray:
    values = chest().astype(np.float32)
    values[1, 2, 3] = value
    return values


@pytest.mark.parametrize("values, message", [
    (_with(np.nan), "holds NaN or infinity"),
    (_with(-np.inf), "holds NaN or infinity"),
    (np.full((3, 4, 5), -1000, np.int16), "every voxel is -1000 HU"),
    (np.zeros((3, 4, 5), np.int16), "every voxel is 0 HU"),
    (chest() // 2 - 700, r"only air \(-1024 to "),
    (chest() + 1024, "values from 24 to .* Hounsfield units"),
    (_with(0.0) / 1000, "values from -1 to 1 .* Hounsfield units")])
def test_contents_that_are_no_chest(tmp_path: Path, values: np.ndarray, message: str) -> None:
    with pytest.raises(InputError, match=rf"v\.nii: .*{message}") as error:
        volume.read_volume(save(tmp_path / "v.nii", values))
    assert "\n" not in str(error.value)


@settings(max_examples=25)
@given(st.tuples(*[st.integers(2, 6)] * 3), st.tuples(*[st.floats(0.125, 9.5)] * 3),
       st.integers(0, 1000))
def test_what_is_written_is_read(tmp_path_factory: pytest.TempPathFactory,
                                 shape: tuple[int, int, int],
                                 spacing_mm: tuple[float, float, float], seed: int) -> None:
    folder = tmp_path_factory.mktemp("v")
    rng = np.random.default_rng(seed)
    hu = rng.integers(-1024, 3072, shape).astype(np.int16)
    hu.flat[:2] = -1024, 3071
    volume.write_volume(folder / "v.nii.gz", volume.Volume(hu, spacing_mm))
    found, grid = volume.read_on_grid(folder / "v.nii.gz")
    assert np.array_equal(found.hu, hu)
    assert found.spacing_mm == pytest.approx(spacing_mm, rel=1e-6)
    emboli = rng.integers(0, 4, shape).astype(np.int32)
    emboli.flat[:3] = 1, 2, 3
    volume.write_emboli(folder / "e.nii.gz", emboli, spacing_mm)
    assert np.array_equal(volume.read_emboli(folder / "e.nii.gz", shape, grid), emboli)


@pytest.mark.parametrize("ids", [[0], [1], [1, 300], [1, 2, 70000]])
def test_written_ids_stay_ids(tmp_path: Path, ids: list[int]) -> None:
    emboli = np.zeros((3, 4, 5), np.int32)
    emboli[0, 0, :len(ids)] = ids
    emboli[2, 3, 4] = ids[0]    # an embolus in two pieces
    volume.write_emboli(tmp_path / "e.nii.gz", emboli, SPACING_MM)
    found = volume.read_emboli(tmp_path / "e.nii.gz", (3, 4, 5))
    assert found.dtype == np.int32
    assert found[0, 0, :len(ids)].tolist() == ([0] if ids == [0] else [1, 2, 3][:len(ids)])
    assert found[2, 3, 4] == found[0, 0, 0]


def test_several_values_are_ids_in_ascending_order(tmp_path: Path) -> None:
    mask = np.zeros((3, 4, 5), np.float32)
    mask[0, 0, 0], mask[0, 0, 1], mask[2, 3, 4] = 40, 7, 40
    found = volume.read_emboli(save(tmp_path / "e.nii", mask), (3, 4, 5))
    expected = np.zeros((3, 4, 5), np.int32)
    expected[0, 0, 0], expected[0, 0, 1], expected[2, 3, 4] = 2, 1, 2
    assert np.array_equal(found, expected)


@pytest.mark.parametrize("value", [1, 255])
def test_one_value_is_a_mask_of_26_connected_emboli(tmp_path: Path, value: int) -> None:
    mask = np.zeros((3, 4, 5), np.uint8)
    mask[0, 0, 0] = mask[1, 1, 1] = value   # touch at a corner
    mask[2, 3, 4] = mask[2, 3, 3] = value
    found = volume.read_emboli(save(tmp_path / "e.nii", mask), (3, 4, 5))
    assert (found[0, 0, 0], found[1, 1, 1], found[2, 3, 4], found[2, 3, 3]) == (1, 1, 2, 2)
    assert (found > 0).sum() == 4


def test_a_mask_stored_in_another_orientation_follows_the_volume(tmp_path: Path) -> None:
    mask = np.zeros((3, 4, 5), np.uint8)
    mask[0, 1, 2] = 1
    turned = np.diag([0.7, 0.8, 1.5, 1.0])
    turned[:3, 3] = -0.7 * 4, -0.8 * 3, 0
    _, grid = volume.read_on_grid(save(tmp_path / "v.nii", chest()))
    path = save(tmp_path / "e.nii", mask[:, ::-1, ::-1], turned)
    assert np.array_equal(volume.read_emboli(path, grid.shape, grid), mask)


@pytest.mark.parametrize("mask, message", [
    (np.zeros((3, 4, 6), np.uint8), "mask of 3x4x6 voxels .* volume has 3x4x5"),
    (-np.eye(20)[:3].reshape(3, 4, 5), "negative or no whole numbers"),
    (np.eye(20)[:3].reshape(3, 4, 5) / 2, "negative or no whole numbers"),
    (np.full((3, 4, 5), np.nan), "negative or no whole numbers"),
    (np.full((3, 4, 5), np.inf), "negative or no whole numbers")])
def test_refused_masks(tmp_path: Path, mask: np.ndarray, message: str) -> None:
    with pytest.raises(InputError, match=rf"e\.nii: .*{message}"):
        volume.read_emboli(save(tmp_path / "e.nii", mask), (3, 4, 5))


def test_a_mask_with_other_voxels_is_refused_where_the_grid_is_known(tmp_path: Path) -> None:
    _, grid = volume.read_on_grid(save(tmp_path / "v.nii", chest()))
    path = save(tmp_path / "e.nii", np.zeros((3, 4, 5), np.uint8), np.diag([-1.0, -1, 2, 1]))
    assert not volume.read_emboli(path, (3, 4, 5)).any()
    with pytest.raises(InputError, match=r"e\.nii: voxels of 2 x 1 x 1 mm"):
        volume.read_emboli(path, (3, 4, 5), grid)
