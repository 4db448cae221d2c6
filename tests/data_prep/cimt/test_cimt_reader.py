"""Folders of carotid frames: what is read, the default ROI, and what is refused."""
from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from carotids import HEADER, HEIGHT, ROI, WIDTH, frame, write_carotids, write_lines

from data_prep.cimt import reader
from layerwise.errors import InputError


@pytest.fixture()
def folder(tmp_path: Path) -> Path:
    return write_carotids(tmp_path / "carotids")


def first(folder: Path) -> reader.Annotated:
    return reader.annotated(reader.read_regions(folder)[0])


def replace_manifest(folder: Path, old: str, new: str, count: int = -1) -> None:
    manifest = folder / "manifest.csv"
    text = manifest.read_text()
    assert old in text
    manifest.write_text(text.replace(old, new, count))


def test_what_is_read(folder: Path) -> None:
    regions = reader.read_regions(folder)
    assert [region.case for region in regions] == [f"{number:02d}" for number in range(8)]
    assert regions[3] == reader.Region("03", "s1", "", folder / "03.png", folder / "03.json",
                                       ROI, 100.0)
    opened = reader.annotated(regions[3])
    assert (opened.image == frame(3)).all()
    assert (opened.roi, opened.pixel_um) == (ROI, 100.0)
    columns = np.arange(10, 50)
    np.testing.assert_allclose(opened.lines, [18 + columns * 4 / 119, 26 + columns * 4 / 119])


def test_colour_becomes_luminance(folder: Path) -> None:
    colours = np.random.default_rng(0).integers(0, 255, (HEIGHT, WIDTH, 3)).astype(np.uint8)
    assert cv2.imwrite(str(folder / "00.png"), colours)
    expected = colours @ np.array([0.114, 0.587, 0.299])      # B, G, R
    assert np.abs(first(folder).image - expected).max() <= 1


def test_a_default_roi_has_the_lines_in_its_middle(folder: Path) -> None:
    replace_manifest(folder, ",".join(map(str, ROI)), ",,,")
    assert cv2.imwrite(str(folder / "00.png"), frame(0, 140, 120))
    write_lines(folder / "00.json", [[3.2, 50], [120, 50]], [[5.5, 61], [117.4, 61]])
    opened = first(folder)
    # Columns 6 to 117 have both lines: 112, so 10 are left on each side; rows 50 and 61 about 55.5.
    assert opened.roi == (16, 26, 92, 60)
    assert opened.lines.shape == (2, 92)
    write_lines(folder / "00.json", [[0, 8], [139, 8]], [[0, 12], [139, 12]])
    assert first(folder).roi == (24, 0, 92, 60)     # held within the frame


def test_a_roi_of_any_size(folder: Path) -> None:
    replace_manifest(folder, ",".join(map(str, ROI)), "0,10,120,25")
    assert first(folder).lines.shape == (2, 120)
    replace_manifest(folder, "0,10,120,25", "100,17,8,16")
    np.testing.assert_allclose(first(folder).lines[0], 18 + np.arange(100, 108) * 4 / 119)


def test_mask_and_polyline_are_alike(folder: Path) -> None:
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[20:31] = 1
    assert cv2.imwrite(str(folder / "mask.png"), mask)
    replace_manifest(folder, "00.json", "mask.png")
    assert (first(folder).lines == [[19.5]] * 1 + [[30.5]]).all()


def add_column(folder: Path, name: str, values: list[str]) -> None:
    manifest = folder / "manifest.csv"
    header, *rows = manifest.read_text().splitlines()
    manifest.write_text("\n".join([f"{header},{name}", *map(",".join, zip(rows, values))]))


def test_a_given_split(folder: Path) -> None:
    add_column(folder, "split", ["train"] * 4 + ["test"] * 4)
    assert [region.split for region in reader.read_regions(folder)] == ["train"] * 4 + ["test"] * 4


@pytest.mark.parametrize("harm, message", [
    (lambda folder: (folder / "manifest.csv").unlink(), r"manifest\.csv: no such file"),
    (lambda folder: (folder / "manifest.csv").write_text(HEADER), "lists no images"),
    (lambda folder: replace_manifest(folder, "pixel_um", "pixel"), "unknown column pixel"),
    (lambda folder: replace_manifest(folder, "lines,", "lin,"), "missing column lines"),
    (lambda folder: replace_manifest(folder, "02.png", "x.png"),
     r"line 4: image 'x\.png' is missing; no such file"),
    (lambda folder: replace_manifest(folder, "02.json", ""), "line 4: lines '' is missing"),
    (lambda folder: replace_manifest(folder, "02.png", "03.png"), "duplicate image"),
    (lambda folder: replace_manifest(folder, "s1", ""), r"02\.png has no group"),
    (lambda folder: replace_manifest(folder, ",100,", ",0.1,", 1),
     "line 2: pixel size 0.1; expected the side of a pixel in micrometres, 5 to 1000"),
    (lambda folder: replace_manifest(folder, ",100,", ",-100,", 1), "pixel size -100"),
    (lambda folder: replace_manifest(folder, ",100,", ",nan,", 1), "pixel size nan"),
    (lambda folder: replace_manifest(folder, ",100,", ",0,1 mm,", 1), "9 fields, expected 8"),
    (lambda folder: replace_manifest(folder, ",40,30", ",40,", 1), "must be given all or none"),
    (lambda folder: replace_manifest(folder, ",40,30", ",40.5,30", 1),
     "line 2: ROI 10,8,40.5,30, expected whole numbers"),
    (lambda folder: add_column(folder, "split", ["train", "test"] * 4),
     "group s0 is on two sides of the split"),
])
def test_bad_manifests(folder: Path, harm: Callable[[Path], None], message: str) -> None:
    harm(folder)
    with pytest.raises(InputError, match=message) as caught:
        reader.read_regions(folder)
    assert "\n" not in str(caught.value)


def lines(upper: list[list[float]], lower: list[list[float]]) -> Callable[[Path], object]:
    return lambda folder: write_lines(folder / "00.json", upper, lower)


def roi(text: str) -> Callable[[Path], None]:
    return lambda folder: replace_manifest(folder, ",".join(map(str, ROI)), text)


FLAT = [[0, 26], [119, 26]]


@pytest.mark.parametrize("harm, message", [
    (lambda folder: (folder / "00.png").write_bytes(b"GIF"), r"00\.png: not a PNG, JPEG or TIFF"),
    (lines([[11, 18], [119, 18]], FLAT),
     r"00\.json: a line spans columns 11 to 119, the ROI 10 to 49; trace further or choose"),
    (lines([[0, 18], [48.9, 18]], FLAT), "a line spans columns 0 to 48.9, the ROI 10 to 49"),
    (lines([[0, 18], [20, 25], [30, 27], [119, 27]], FLAT),
     "the lines touch or cross at column 25; the lumen-intima interface lies above"),
    (lines(FLAT, [[0, 18], [119, 18]]), "the lines touch or cross at column 10"),
    (lines([[0, 7.9], [119, 7.9]], FLAT), r"leaves the ROI \(rows 8 to 37\) at column 10"),
    (lines([[0, 18], [119, 18]], [[0, 20], [119, 70]]), r"leaves the ROI \(rows 8 to 37\)"),
    (roi("90,8,40,30"), r"00\.png: ROI 90,8,40,30 reaches outside the frame of 120x80 pixels"),
    (roi("10,-1,40,30"), "reaches outside"),
    (roi("10,8,40,7"), "ROI of 40x7 pixels; it must have 8 at least"),
    (lambda folder: (roi(",,,")(folder), lines([[30, 18], [119, 18]], FLAT)(folder)),
     r"00\.json: lines over 90 columns of a frame of 120x80, too few for the default ROI of 92x60"),
    (lambda folder: replace_manifest(folder, ",100,", ",,"),
     r"00\.png: no pixel size \(the file does not say it\); give pixel_um in manifest\.csv"),
])
def test_bad_regions(folder: Path, harm: Callable[[Path], None], message: str) -> None:
    harm(folder)
    with pytest.raises(InputError, match=message) as caught:
        first(folder)
    assert "\n" not in str(caught.value)
