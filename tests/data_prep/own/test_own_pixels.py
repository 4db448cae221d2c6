"""Grey, colour, 8 and 16 bits, and DICOM with and without a window."""
from __future__ import annotations

import struct
from pathlib import Path

import cv2
import numpy as np
import pytest
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from data_prep.own.pixels import load
from layerwise.errors import InputError

RAMP = np.arange(16, dtype=np.uint16).reshape(4, 4) * 273      # 0..4095


def write_dicom(path: Path, values: np.ndarray, kind: str = "MONOCHROME2", bits: int = 12,
                **tags: object) -> Path:
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = meta.MediaStorageSOPInstanceUID = "1.2.3"
    dataset = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.is_little_endian, dataset.is_implicit_VR = True, False
    dataset.Rows, dataset.Columns = values.shape[:2]
    dataset.SamplesPerPixel = 1 if values.ndim == 2 else 3
    dataset.PhotometricInterpretation = kind
    dataset.BitsAllocated = 8 * values.dtype.itemsize
    dataset.BitsStored, dataset.HighBit = bits, bits - 1
    dataset.PixelRepresentation = int(values.dtype.kind == "i")
    if values.ndim == 3:
        dataset.PlanarConfiguration = 0
    for name, value in tags.items():
        setattr(dataset, name, value)
    dataset.PixelData = values.tobytes()
    dataset.save_as(str(path), write_like_original=False)
    return path


def grey(image: np.ndarray) -> list[int]:
    assert image.dtype == np.uint8 and np.ptp(image, axis=2).max() == 0
    return [int(value) for value in image[:, :, 0].ravel()]


def test_ordinary_files(tmp_path: Path) -> None:
    colour = np.random.default_rng(0).integers(0, 255, (5, 7, 3)).astype(np.uint8)
    cv2.imwrite(str(tmp_path / "c.png"), colour)
    assert np.array_equal(load(tmp_path / "c.png"), colour)
    cv2.imwrite(str(tmp_path / "g.png"), np.array([[0, 257, 65535]], np.uint16))
    assert grey(load(tmp_path / "g.png")) == [0, 1, 255]


def test_the_full_range_where_there_is_no_window(tmp_path: Path) -> None:
    assert grey(load(write_dicom(tmp_path / "a.dcm", RAMP))) == list(range(0, 256, 17))
    half = write_dicom(tmp_path / "b.dcm", RAMP // 2)          # not stretched to its own maximum
    assert max(grey(load(half))) == 127


def test_a_window_in_rescaled_values(tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "w.dcm", RAMP, RescaleSlope=1, RescaleIntercept=-1024,
                       WindowCenter=[50, 300], WindowWidth=[401, 1500])
    expected = np.clip((RAMP.astype(float) - 1024 - 49.5) / 400 + 0.5, 0, 1) * 255   # PS3.3
    assert np.abs(np.array(grey(load(path))) - expected.ravel()).max() <= 0.51


def test_signed_values_and_inversion(tmp_path: Path) -> None:
    signed = np.array([[-2048, 0, 2047]], np.int16)
    assert grey(load(write_dicom(tmp_path / "s.dcm", signed))) == [0, 128, 255]
    inverted = write_dicom(tmp_path / "i.dcm", signed, "MONOCHROME1")
    assert grey(load(inverted)) == [255, 127, 0]


def test_an_empty_window_counts_as_none(tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "e.dcm", RAMP, WindowCenter="", WindowWidth="")
    assert grey(load(path)) == list(range(0, 256, 17))


def test_colour(tmp_path: Path) -> None:
    rgb = np.array([[[255, 0, 0], [0, 128, 7]]], np.uint8)
    image = load(write_dicom(tmp_path / "c.dcm", rgb, "RGB", 8))
    assert image.tolist() == [[[0, 0, 255], [7, 128, 0]]]


def test_only_the_pages_of_a_tiff_count(tmp_path: Path) -> None:
    path, image = tmp_path / "m.tif", np.arange(35, dtype=np.uint8).reshape(5, 7)
    assert cv2.imwritemulti(str(path), [image, image + 1, image + 2])
    with pytest.raises(InputError, match="m.tif: 3 pages; export the pages you labelled"):
        load(path)
    # NewSubfileType: from one of several pages to a reduced image.
    page, thumbnail = (b"\xfe\0\4\0\1\0\0\0" + kind + b"\0\0\0" for kind in (b"\2", b"\1"))
    first, second, third, rest = path.read_bytes().split(page)
    path.write_bytes(first + page + second + thumbnail + third + thumbnail + rest)
    assert grey(load(path)) == list(range(35))
    assert cv2.imwrite(str(path), image) and grey(load(path)) == list(range(35))


@pytest.mark.parametrize("order, signature", [
    ("<", b"II*\0"), (">", b"MM\0*"), ("<", b"II+\0"), (">", b"MM\0+")])
def test_pages_in_every_kind_of_tiff(tmp_path: Path, order: str, signature: bytes) -> None:
    """Directories without an entry, the last beyond the end."""
    if b"+" in signature:
        data = struct.pack(order + "HHQQQQQQ", 8, 0, 16, 0, 32, 0, 2 ** 64 - 1, 0)
    else:
        data = struct.pack(order + "IHIHI", 8, 0, 14, 0, 2 ** 32 - 1)
    (tmp_path / "t.tif").write_bytes(signature + data)
    with pytest.raises(InputError, match="t.tif: 2 pages"):
        load(tmp_path / "t.tif")


def test_dicom_without_its_suffix(tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "a.dcm", RAMP).rename(tmp_path / "a.png")
    assert grey(load(path)) == list(range(0, 256, 17))


def test_files_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "t.dcm").write_bytes(b"no DICOM at all")
    with pytest.raises(InputError, match="t.dcm: not a DICOM file"):
        load(tmp_path / "t.dcm")
    path = write_dicom(tmp_path / "cut.dcm", RAMP)
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(InputError, match="cut.dcm: "):
        load(path)
    with pytest.raises(InputError, match="m.dcm: 2 frames"):
        load(write_dicom(tmp_path / "m.dcm", np.vstack([RAMP, RAMP]), NumberOfFrames=2))
    with pytest.raises(InputError, match=r"b.dcm: pixels cannot be decoded \(int too large"):
        load(write_dicom(tmp_path / "b.dcm", RAMP, bits=5000))
    frames = write_dicom(tmp_path / "f.dcm", RAMP, NumberOfFrames=1)
    frames.write_bytes(frames.read_bytes().replace(b"\x28\0\x08\0IS", b"\x28\0\x08\0I?"))
    with pytest.raises(InputError, match=r"f.dcm: damaged DICOM file \(Unknown Value"):
        load(frames)
    with pytest.raises(InputError, match="colours are PALETTE COLOR"):
        load(write_dicom(tmp_path / "p.dcm", RAMP, "PALETTE COLOR"))
