"""NIfTI files of all kinds, and one line for every damaged one."""
from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_prep.pe import nifti
from layerwise.errors import InputError

VALUES = np.arange(2 * 3 * 4, dtype=np.int16).reshape(2, 3, 4)
AFFINE = np.array([[-0.7, 0, 0, 5], [0, -0.8, 0, 6], [0, 0, 1.5, 7], [0, 0, 0, 1]])


def save(path: Path, values: np.ndarray, affine: object = AFFINE, second: bool = False) -> Path:
    image = (nibabel.Nifti2Image if second else nibabel.Nifti1Image)(values, affine)
    nibabel.save(image, str(path))
    return path


@pytest.mark.parametrize("name", ["v.nii", "v.nii.gz"])
@pytest.mark.parametrize("second", [False, True])
@pytest.mark.parametrize("dtype", ["u1", "<i2", ">i2", "<u2", ">f4", "<f8"])
def test_formats_and_types(tmp_path: Path, name: str, second: bool, dtype: str) -> None:
    path = save(tmp_path / name, VALUES.astype(dtype), second=second)
    stored = nifti.read(path)
    assert np.array_equal(stored.values, VALUES)
    assert stored.values.flags.f_contiguous and stored.values.flags.writeable
    assert np.allclose(stored.ras, AFFINE)
    assert (stored.slope, stored.intercept, stored.intent) == (1.0, 0.0, "none")


def test_the_scaling_is_the_header_s(tmp_path: Path) -> None:
    image = nibabel.Nifti1Image(VALUES, AFFINE)
    image.header.set_slope_inter(0.5, -3)
    nibabel.save(image, str(tmp_path / "v.nii"))
    stored = nifti.read(tmp_path / "v.nii")
    assert (stored.slope, stored.intercept) == (0.5, -3.0)
    assert np.array_equal(stored.values, VALUES)


def test_a_series_of_one_time_point_is_a_volume(tmp_path: Path) -> None:
    path = save(tmp_path / "v.nii", VALUES[..., np.newaxis, np.newaxis])
    assert nifti.read(path).values.shape == VALUES.shape


def test_the_name_does_not_matter(tmp_path: Path) -> None:
    save(tmp_path / "v.nii.gz", VALUES).rename(tmp_path / "v.nii")
    assert np.array_equal(nifti.read(tmp_path / "v.nii").values, VALUES)


def test_written_bytes_depend_on_the_array_alone(tmp_path: Path) -> None:
    first, second = tmp_path / "a.nii.gz", tmp_path / "deep" / "b.nii.gz"
    for path in (first, second):
        nifti.write(path, VALUES, AFFINE, "label")
    assert first.read_bytes() == second.read_bytes()
    assert first.read_bytes()[3:8] == bytes(5)  # no name among the flags, no time
    stored = nifti.read(first)
    assert np.array_equal(stored.values, VALUES)
    assert np.allclose(stored.ras, AFFINE)
    assert stored.intent == "label"
    image = nibabel.load(str(first))  # another reader agrees
    assert np.array_equal(np.asarray(image.dataobj), VALUES)
    assert image.header.get_xyzt_units()[0] == "mm"
    assert sorted(path.name for path in tmp_path.rglob("*.*")) == ["a.nii.gz", "b.nii.gz"]


def test_a_failed_write_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "a.nii.gz"
    nifti.write(path, VALUES, AFFINE)
    before = path.read_bytes()
    with pytest.raises(Exception, match="data dtype"):
        nifti.write(path, VALUES.astype("M8[s]"), AFFINE)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def _cut(count: int) -> Callable[[bytes], bytes]:
    return lambda data: data[:-count]


def _flip(position: int) -> Callable[[bytes], bytes]:
    return lambda data: data[:position] + bytes([data[position] ^ 255]) + data[position + 1:]


@pytest.mark.parametrize("name, change, message", [
    ("v.nii.gz", _cut(12), "truncated or damaged gzip file"),
    ("v.nii.gz", _cut(3), "truncated or damaged gzip file"),     # only its checksum is cut
    ("v.nii.gz", _flip(-6), "damaged gzip file .*CRC"),
    ("v.nii.gz", lambda data: data[:9], "truncated or damaged gzip file"),
    ("v.nii", _cut(1), r"truncated \(47 of 48 bytes of voxels\)"),
    ("v.nii", lambda data: b"", "empty file"),
    ("v.nii", lambda data: b"PK" + data[2:], "not a NIfTI file"),
    ("v.nii", lambda data: data[:100], "not a NIfTI file"),
    ("v.nii", lambda data: data[:344] + b"ni1\0" + data[348:], "not a NIfTI file"),
    ("v.nii", lambda data: b"\x1f\x8b" + data[2:], "truncated or damaged gzip file")])
def test_damaged_files(tmp_path: Path, name: str, change: Callable[[bytes], bytes],
                       message: str, capfd: pytest.CaptureFixture[str]) -> None:
    path = save(tmp_path / name, VALUES)
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(InputError, match=rf"{name}: .*{message}.*; (replace|convert) ") as error:
        nifti.read(path)
    assert "\n" not in str(error.value)
    assert capfd.readouterr() == ("", "")


def test_files_that_are_not_there(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none.nii"):
        with pytest.raises(InputError, match="cannot be read"):
            nifti.read(path)


COLOURS = np.zeros((2, 2, 2), [("R", "u1"), ("G", "u1"), ("B", "u1")])


@pytest.mark.parametrize("values, affine, message", [
    (VALUES, None, "no geometry"),
    (np.zeros((2, 3, 4, 5), np.int16), AFFINE, "array of 2x3x4x5, expected one three-dim"),
    (np.zeros((2, 3), np.int16), AFFINE, "array of 2x3, expected one three-dim"),
    (np.zeros((2, 3, 4), np.complex64), AFFINE, "voxels of type complex64"),
    (COLOURS, AFFINE, "one number per voxel")])
def test_other_contents(tmp_path: Path, values: np.ndarray, affine: object, message: str) -> None:
    path = save(tmp_path / "v.nii", values, affine)
    with pytest.raises(InputError, match=rf"v\.nii: .*{message}"):
        nifti.read(path)


def test_other_units(tmp_path: Path) -> None:
    image = nibabel.Nifti1Image(VALUES, AFFINE)
    image.header.set_xyzt_units("meter")
    nibabel.save(image, str(tmp_path / "v.nii"))
    with pytest.raises(InputError, match="lengths are in meter, expected mm"):
        nifti.read(tmp_path / "v.nii")


@settings(max_examples=150)
@given(st.lists(st.tuples(st.integers(0, 351), st.integers(0, 255)), min_size=1, max_size=4))
def test_any_damaged_header_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory,
                                               edits: list[tuple[int, int]]) -> None:
    path = tmp_path_factory.mktemp("fuzz") / "v.nii"
    data = bytearray(save(path, VALUES).read_bytes())
    for position, value in edits:
        data[position] = value
    path.write_bytes(data)
    try:
        assert nifti.read(path).values.ndim == 3
    except InputError as error:
        assert str(error).startswith(f"{path}: ") and "\n" not in str(error)


def test_gzip_of_two_members_is_one_file(tmp_path: Path) -> None:
    data = save(tmp_path / "v.nii", VALUES).read_bytes()
    (tmp_path / "w.nii.gz").write_bytes(gzip.compress(data[:360]) + gzip.compress(data[360:]))
    assert np.array_equal(nifti.read(tmp_path / "w.nii.gz").values, VALUES)
