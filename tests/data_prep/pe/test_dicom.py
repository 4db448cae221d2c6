"""DICOM series written here, in any order and orientation, and one line for every bad one."""
from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pydicom
import pytest
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate
from scipy.spatial.transform import Rotation

from data_prep.pe import volume
from layerwise.errors import InputError

CT_STORAGE = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT, RLE, JPEG_LOSSLESS = \
    "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.70"
ROW_MM, COLUMN_MM, SLICE_MM = 0.8, 0.7, 1.5
ORIGIN = np.array([12.0, -34.0, 56.0])
AXIAL = np.eye(3)


def chest(depth: int = 4) -> np.ndarray:
    """(slices, rows, columns) HU, no two alike."""
    return (np.arange(depth * 5 * 6, dtype=np.int16) * 14 - 1000).reshape(depth, 5, 6)


def write_slice(path: Path, stored: np.ndarray, syntax: str = EXPLICIT, **tags: Any) -> None:
    """One CT slice; a tag of None is left out."""
    path.parent.mkdir(parents=True, exist_ok=True)
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = CT_STORAGE, "1.2.3.4"
    meta.TransferSyntaxUID = syntax
    dataset = FileDataset(str(path), {}, file_meta=meta, preamble=bytes(128))
    dataset.is_little_endian, dataset.is_implicit_VR = True, False
    values = {
        "SOPClassUID": CT_STORAGE, "SOPInstanceUID": "1.2.3.4", "SeriesInstanceUID": "1.2.3",
        "Modality": "CT", "SamplesPerPixel": 1, "PhotometricInterpretation": "MONOCHROME2",
        "Rows": stored.shape[0], "Columns": stored.shape[1], "BitsAllocated": 16, "BitsStored": 16,
        "HighBit": 15, "PixelRepresentation": int(stored.dtype == np.int16),
        "PixelSpacing": [ROW_MM, COLUMN_MM], "RescaleSlope": 1, "RescaleIntercept": -1024,
        "PixelData": stored.astype(stored.dtype.newbyteorder("<")).tobytes(), **tags}
    for name, value in values.items():
        if value is not None:
            setattr(dataset, name, value)
    if syntax in (RLE, JPEG_LOSSLESS):
        dataset["PixelData"].is_undefined_length = True
    dataset.save_as(str(path), write_like_original=False)


def write_series(folder: Path, hu: np.ndarray, axes: np.ndarray = AXIAL,
                 names: Sequence[int] = (), **tags: Any) -> Path:
    """`hu` (slices, rows, columns); `axes` has the row, column and slice direction as columns.

    Slice number k is the file `names[k]` and also has that InstanceNumber.
    """
    for number, (plane, name) in enumerate(zip(hu, names or range(len(hu)))):
        write_slice(folder / f"{name:03d}.dcm", (plane + 1024).astype(np.uint16), **{
            "ImagePositionPatient": list((ORIGIN + axes[:, 2] * number * SLICE_MM).round(6)),
            "ImageOrientationPatient": list(axes[:, :2].T.ravel().round(6)),
            "InstanceNumber": name, **tags})
    return folder


def as_nifti(path: Path, hu: np.ndarray, axes: np.ndarray) -> Path:
    """The same array with its indices (column, row, slice) and its map to RAS."""
    affine = np.eye(4)
    affine[:3, :3] = axes * [COLUMN_MM, ROW_MM, SLICE_MM]
    affine[:3, 3] = ORIGIN
    affine[:2] *= -1
    nibabel.save(nibabel.Nifti1Image(hu.transpose(2, 1, 0), affine), str(path))
    return path


def test_an_axial_series_is_read_as_it_is(tmp_path: Path) -> None:
    found, grid = volume.read_on_grid(write_series(tmp_path, chest()))
    assert np.array_equal(found.hu, chest())
    assert found.hu.flags.c_contiguous
    assert found.spacing_mm == pytest.approx((SLICE_MM, ROW_MM, COLUMN_MM))
    assert np.allclose(grid.affine[:3, 3], ORIGIN)


def test_names_and_numbers_do_not_order_the_slices(tmp_path: Path) -> None:
    for names in itertools.permutations(range(4)):
        folder = write_series(tmp_path / "".join(map(str, names)), chest(), names=names)
        assert np.array_equal(volume.read_volume(folder).hu, chest())


def test_slices_may_run_to_the_feet(tmp_path: Path) -> None:
    # The slices lie the other way; along the normal, which is what counts, their order is ours.
    folder = write_series(tmp_path, chest(), AXIAL * [1, 1, -1])
    assert np.array_equal(volume.read_volume(folder).hu, chest()[::-1])


SIGNED_AXES = [np.eye(3)[:, list(order)] * signs for order in itertools.permutations(range(3))
               for signs in itertools.product((1.0, -1.0), repeat=3)]


@pytest.mark.parametrize("degrees", [0.0, 15.0])
def test_every_orientation_reads_as_the_nifti_of_the_same_array(tmp_path: Path,
                                                               degrees: float) -> None:
    turn = Rotation.from_euler("zyx", [degrees, -degrees, degrees / 2], degrees=True).as_matrix()
    for number, signed in enumerate(SIGNED_AXES):
        axes = turn @ signed
        series, grid = volume.read_on_grid(write_series(tmp_path / str(number), chest(), axes))
        other, other_grid = volume.read_on_grid(
            as_nifti(tmp_path / f"{number}.nii", chest(), axes))
        assert np.array_equal(series.hu, other.hu)
        assert series.spacing_mm == pytest.approx(other.spacing_mm, abs=1e-5)
        assert np.allclose(grid.affine, other_grid.affine, atol=1e-4)


def test_every_slice_has_its_own_rescaling(tmp_path: Path) -> None:
    planes = [np.array([[-500, 20], [0, 1]], np.int16), np.array([[100, 200], [0, 3]], np.int16)]
    for number, (slope, intercept) in enumerate([(2, 10), (0.5, -1024)]):
        write_slice(tmp_path / f"{number}", planes[number], RescaleSlope=slope,
                    RescaleIntercept=intercept, ImagePositionPatient=[0, 0, number],
                    ImageOrientationPatient=[1, 0, 0, 0, 1, 0])
    assert volume.read_volume(tmp_path).hu.tolist() == \
        [[[-990, 50], [10, 12]], [[-974, -924], [-1024, -1022]]]


@pytest.mark.parametrize("dtype, padding", [(np.uint16, 63536), (np.int16, -2000)])
def test_padding_is_air(tmp_path: Path, dtype: type, padding: int) -> None:
    stored = (chest() // 2 + 1024).astype(dtype)
    stored[:, 0, 0] = padding
    for number, plane in enumerate(stored):
        write_slice(tmp_path / str(number), plane, PixelPaddingValue=padding,
                    ImagePositionPatient=[0, 0, number],
                    ImageOrientationPatient=[1, 0, 0, 0, 1, 0])
    expected = chest() // 2
    expected[:, 0, 0] = -1024
    assert np.array_equal(volume.read_volume(tmp_path).hu, expected)


def _rle(plane: np.ndarray) -> bytes:
    """One frame of 16 bits in RLE (PS3.5 annex G): high bytes, low bytes, all as literal runs."""
    segments = []
    for shift in (8, 0):
        data = ((plane >> shift) & 255).astype(np.uint8).tobytes()
        runs = bytes([len(data) - 1]) + data
        segments.append(runs + bytes(len(runs) % 2))
    header = np.zeros(16, "<u4")
    header[:3] = 2, 64, 64 + len(segments[0])
    return header.tobytes() + b"".join(segments)


def test_a_compression_that_pydicom_knows(tmp_path: Path) -> None:
    for number, plane in enumerate(chest()):
        stored = (plane + 1024).astype(np.uint16)
        write_slice(tmp_path / str(number), stored, RLE, PixelData=encapsulate([_rle(stored)]),
                    ImagePositionPatient=[0, 0, number],
                    ImageOrientationPatient=[1, 0, 0, 0, 1, 0])
    assert np.array_equal(volume.read_volume(tmp_path).hu, chest())


def test_the_directory_and_hidden_files_are_no_slices(tmp_path: Path) -> None:
    folder = write_series(tmp_path, chest())
    (folder / "DICOMDIR").write_text("x")
    (folder / ".DS_Store").write_text("x")
    assert np.array_equal(volume.read_volume(folder).hu, chest())


Harm = Callable[[Path], None]


def _slice_at(name: str, position: Sequence[float] = (12.0, -34.0, 56.0), width: int = 6,
              **tags: Any) -> Harm:
    """Write a slice in place of, or beside, the others."""
    def harm(folder: Path) -> None:
        write_slice(folder / name, np.full((5, width), 1024, np.uint16), **{
            "ImagePositionPatient": list(position),
            "ImageOrientationPatient": [1, 0, 0, 0, 1, 0], **tags})
    return harm


def _bytes(name: str, change: Callable[[bytes], bytes]) -> Harm:
    def harm(folder: Path) -> None:
        data = (folder / name).read_bytes() if (folder / name).exists() else b""
        (folder / name).write_bytes(change(data))
    return harm


def _without(*names: str) -> Harm:
    def harm(folder: Path) -> None:
        for name in names:
            (folder / name).unlink()
    return harm


def _tilted(folder: Path) -> None:
    for number in range(6):
        _slice_at(f"{number:03d}.dcm", (12.0, -34.0 + 0.4 * number, 56.0 + 1.5 * number))(folder)


BAD: list[tuple[str, Harm, str]] = [
    ("missing slice", _without("003.dcm"),
     r"series: missing slices \(3\.00 mm between 002\.dcm and 004\.dcm, elsewhere 1\.50 mm\)"),
    ("uneven", _slice_at("003.dcm", (12, -34, 56 + 3.9)),
     r"series: unevenly spaced slices \(2\.10"),
    ("duplicate", _slice_at("copy.dcm", (12, -34, 59)),
     r"series: duplicate slice \(002\.dcm and copy\.dcm lie"),
    ("gantry tilt", _tilted, r"series: gantry tilt \(slices are stacked 14\.9 degrees"),
    ("two series", _slice_at("scout.dcm", SeriesInstanceUID="1.2.9"),
     r"series: mixed series \(2 of them"),
    ("other size", _slice_at("x.dcm", width=7),
     r"series: mixed series \(000\.dcm and x\.dcm differ in Columns\)"),
    ("other spacing", _slice_at("x.dcm", PixelSpacing=[0.8, 0.8]), "differ in PixelSpacing"),
    ("other orientation", _slice_at("x.dcm", ImageOrientationPatient=[1, 0, 0, 0, 0, -1]),
     "differ in ImageOrientationPatient"),
    ("MR", _slice_at("x.dcm", Modality="MR"), r"x\.dcm: Modality is 'MR', expected CT"),
    ("colour", _slice_at("x.dcm", SamplesPerPixel=3), r"x\.dcm: SamplesPerPixel is '3'"),
    ("inverted", _slice_at("x.dcm", PhotometricInterpretation="MONOCHROME1"),
     r"x\.dcm: PhotometricInterpretation is 'MONOCHROME1', expected MONOCHROME2"),
    ("multi-frame", _slice_at("x.dcm", NumberOfFrames=4), r"x\.dcm: NumberOfFrames is '4'"),
    ("dual energy", _slice_at("x.dcm", RescaleType="Z_EFF"), r"x\.dcm: RescaleType is 'Z_EFF'"),
    ("no position", _slice_at("x.dcm", ImagePositionPatient=None),
     r"x\.dcm: no usable ImagePositionPatient"),
    ("no slope", _slice_at("x.dcm", RescaleSlope=None), r"x\.dcm: no usable RescaleSlope"),
    ("no spacing", _slice_at("x.dcm", PixelSpacing=None), r"x\.dcm: no usable PixelSpacing"),
    ("text", _bytes("notes.txt", lambda _: b"x" * 400), r"notes\.txt: not a DICOM file"),
    ("empty file", _bytes("000.dcm", lambda _: b""), r"000\.dcm: (not a|damaged) DICOM file"),
    ("cut pixels", _bytes("000.dcm", lambda data: data[:-7]), r"000\.dcm: damaged DICOM file"),
    ("cut header", _bytes("000.dcm", lambda data: data[:-150]), r"000\.dcm: "),
    ("garbled modality", _bytes("000.dcm", lambda data: data.replace(b"`\0CS", b"`\0C?")),
     r"000\.dcm: damaged DICOM file \(Unknown Value"),
    ("garbled series", _bytes("000.dcm", lambda data: data.replace(b"\x0e\0UI", b"\x0e\0U?")),
     r"000\.dcm: damaged DICOM file \(Unknown Value"),
    ("sub-folder", lambda folder: (folder / "more").mkdir(), "more: a folder within a DICOM"),
    ("one slice", _without(*(f"{number:03d}.dcm" for number in range(1, 6))), "series: 1 slices"),
    ("JPEG lossless", _slice_at("000.dcm", syntax=JPEG_LOSSLESS,
                                PixelData=encapsulate([b"\xff\xd8\xff\xd9"])),
     r"000\.dcm: pixels in JPEG Lossless.* cannot be decoded here; decompress"),
    ("unknown compression", _bytes("000.dcm", lambda data: data.replace(b"8.1.2.1", b"8.1.2.9")),
     r"000\.dcm: pixels in .* cannot be decoded here; decompress")]


@pytest.mark.parametrize("harm, message", [row[1:] for row in BAD], ids=[row[0] for row in BAD])
def test_bad_series(tmp_path: Path, harm: Harm, message: str,
                    capfd: pytest.CaptureFixture[str]) -> None:
    folder = write_series(tmp_path / "series", chest(6))
    assert volume.read_volume(folder).hu.shape == (6, 5, 6)
    harm(folder)
    with pytest.raises(InputError, match=message) as error:
        volume.read_volume(folder)
    assert "\n" not in str(error.value)
    assert str(error.value).startswith(str(folder))
    assert capfd.readouterr() == ("", "")


def test_values_without_rescaling_are_no_hounsfield_units(tmp_path: Path) -> None:
    folder = write_series(tmp_path, chest(), RescaleIntercept=0)
    with pytest.raises(InputError, match="values from 24 to .* rescale intercept missing"):
        volume.read_volume(folder)


def test_the_series_of_the_test_are_ct(tmp_path: Path) -> None:
    dataset = pydicom.dcmread(str(write_series(tmp_path, chest()) / "001.dcm"))
    assert dataset.SOPClassUID.name == "CT Image Storage"
    assert dataset.pixel_array.shape == (5, 6)
