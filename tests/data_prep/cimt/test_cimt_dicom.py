"""DICOM frames written here: values, the scale of ultrasound regions, and what is refused."""
from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from carotids import ROI, frame, write_carotids
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence

from data_prep.cimt import reader
from layerwise.errors import InputError

EXPLICIT, JPEG2000 = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.4.90"
ULTRASOUND = "1.2.840.10008.5.1.4.1.1.6.1"


def scale(box: tuple[int, int, int, int] = (0, 0, 120, 80), delta: tuple[float, float] =
          (0.0093, -0.0093), **tags: Any) -> Dataset:
    """An ultrasound region of a box (x, y, w, h) with cm per pixel across and down."""
    x, y, w, h = box
    region = Dataset()
    values = {"RegionSpatialFormat": 1, "RegionDataType": 1, "RegionFlags": 0,
              "RegionLocationMinX0": x, "RegionLocationMinY0": y, "RegionLocationMaxX1": x + w - 1,
              "RegionLocationMaxY1": y + h - 1, "PhysicalUnitsXDirection": 3,
              "PhysicalUnitsYDirection": 3, "PhysicalDeltaX": delta[0], "PhysicalDeltaY": delta[1],
              **tags}
    for name, value in values.items():
        setattr(region, name, value)
    return region


def write_dicom(path: Path, stored: np.ndarray, *scales: Dataset, syntax: str = EXPLICIT,
                **tags: Any) -> None:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = ULTRASOUND, "1.2.3"
    meta.TransferSyntaxUID = syntax
    dataset = FileDataset(str(path), {}, file_meta=meta, preamble=bytes(128))
    dataset.is_little_endian, dataset.is_implicit_VR = True, False
    bits = stored.dtype.itemsize * 8
    values = {"SOPClassUID": ULTRASOUND, "SOPInstanceUID": "1.2.3", "Modality": "US",
              "SamplesPerPixel": 3 if stored.ndim == 3 else 1, "PlanarConfiguration": 0,
              "PhotometricInterpretation": "RGB" if stored.ndim == 3 else "MONOCHROME2",
              "Rows": stored.shape[0], "Columns": stored.shape[1], "BitsAllocated": bits,
              "BitsStored": bits, "HighBit": bits - 1, "PixelRepresentation": 0,
              "PixelData": stored.astype(stored.dtype.newbyteorder("<")).tobytes(), **tags}
    for name, value in values.items():
        setattr(dataset, name, value)
    if scales:
        dataset.SequenceOfUltrasoundRegions = Sequence(scales)
    dataset.save_as(str(path), write_like_original=False)


@pytest.fixture()
def folder(tmp_path: Path) -> Path:
    """Carotids whose first frame is 00.dcm, to be written; no pixel size in the manifest."""
    folder = write_carotids(tmp_path / "carotids")
    manifest = folder / "manifest.csv"
    manifest.write_text(manifest.read_text().replace(",100,", ",,").replace("00.png", "00.dcm"))
    return folder


def opened(folder: Path, *arguments: Any, **tags: Any) -> reader.Annotated:
    write_dicom(folder / "00.dcm", *arguments, **tags)
    return reader.annotated(reader.read_regions(folder)[0])


def test_the_region_gives_the_pixel_size(folder: Path) -> None:
    found = opened(folder, frame(0), scale())
    assert (found.image == frame(0)).all()
    assert found.pixel_um == pytest.approx(93.0)


def test_of_several_regions_the_one_that_holds_the_roi(folder: Path) -> None:
    other, spectrum = scale((60, 0, 60, 80), (0.02, 0.02)), scale(RegionSpatialFormat=3)
    seconds = scale(PhysicalUnitsXDirection=4)
    left = scale((0, 0, 60, 80), (0.0071, 0.0071))
    assert opened(folder, frame(0), spectrum, seconds, other, left).pixel_um == pytest.approx(71.0)
    x, y, w, h = ROI
    assert opened(folder, frame(0), scale((x, y, w, h))).pixel_um == pytest.approx(93.0)
    with pytest.raises(InputError, match="its ROI lies in no ultrasound region with a scale"):
        opened(folder, frame(0), scale((x + 1, y, w, h)))


def test_values(folder: Path) -> None:
    assert (opened(folder, 255 - frame(0), scale(), PhotometricInterpretation="MONOCHROME1").image
            == frame(0)).all()
    deep = frame(0).astype(np.uint16) * 16 + 7
    assert (opened(folder, deep, scale(), BitsStored=12, HighBit=11).image == frame(0)).all()
    colours = np.random.default_rng(0).integers(0, 255, (80, 120, 3)).astype(np.uint8)
    expected = cv2.cvtColor(colours, cv2.COLOR_RGB2GRAY)
    assert (opened(folder, colours, scale()).image == expected).all()
    assert (opened(folder, colours, scale(), PhotometricInterpretation="YBR_FULL").image
            == colours[:, :, 0]).all()


def test_a_size_in_the_manifest_must_agree(folder: Path) -> None:
    manifest = folder / "manifest.csv"
    text = manifest.read_text()
    manifest.write_text(text.replace("s0,,", "s0,93.5,"))
    assert opened(folder, frame(0), scale()).pixel_um == pytest.approx(93.0)
    assert opened(folder, frame(0)).pixel_um == 93.5
    manifest.write_text(text.replace("s0,,", "s0,100,"))
    with pytest.raises(InputError, match="pixels of 93 micrometres, but 100 by pixel_um"):
        opened(folder, frame(0), scale())


@pytest.mark.parametrize("arguments, tags, message", [
    ((frame(0), scale(delta=(0.0093, 0.012))), {}, r"00\.dcm: pixels of 93x120 micrometres; resam"),
    ((frame(0), scale(delta=(0.0, 0.0))), {}, "pixels of 0x0 micrometres"),
    ((frame(0),), {}, r"no pixel size \(the file does not say it\)"),
    ((np.concatenate([frame(0)] * 4), scale()), {"NumberOfFrames": 4, "Rows": 80},
     "4 frames; export the one that was traced"),
    ((frame(0), scale()), {"PixelRepresentation": 1}, "pixels are signed MONOCHROME2"),
    ((frame(0), scale()), {"PhotometricInterpretation": "PALETTE COLOR"},
     "pixels are PALETTE COLOR; export"),
    ((frame(0), scale()), {"PixelData": b"\0\0"}, "damaged DICOM file"),
    ((frame(0), scale()), {"PhotometricInterpretation": "RGB"}, "damaged DICOM file"),
    ((frame(0), scale()), {"PhotometricInterpretation": "YBR_FULL"}, "damaged DICOM file"),
    ((frame(0), scale()), {"PhysicalDeltaX": 1}, None),     # outside a region it says nothing
])
def test_bad_files(folder: Path, arguments: tuple[Any, ...], tags: dict[str, Any],
                   message: str | None) -> None:
    if message is None:
        assert opened(folder, *arguments, **tags).pixel_um == pytest.approx(93.0)
        return
    with pytest.raises(InputError, match=message) as caught:
        opened(folder, *arguments, **tags)
    assert "\n" not in str(caught.value)


def test_a_file_that_ends_early(folder: Path) -> None:
    write_dicom(folder / "00.dcm", frame(0), scale())
    whole = (folder / "00.dcm").read_bytes()
    for length in (140, 400, len(whole) - 100):
        (folder / "00.dcm").write_bytes(whole[:length])
        with pytest.raises(InputError, match=r"00\.dcm: (damaged|pixels are)"):
            reader.annotated(reader.read_regions(folder)[0])
