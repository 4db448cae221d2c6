"""Both layouts of a folder of labelled frames, and what is refused."""
from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from data_prep.frames import reader
from layerwise.errors import InputError


def write(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), np.zeros((4, 6, 3), np.uint8))
    return path


def by_manifest(folder: Path) -> Path:
    for number in range(4):
        write(folder / "all" / f"{number}.png")
    (folder / "manifest.csv").write_text("image,label,group\n" + "".join(
        f"all/{number}.png,{'non' * (number % 2)}informative,video {number // 2}\n"
        for number in reversed(range(4))))
    return folder


def by_folders(folder: Path) -> Path:
    for number in range(4):
        write(folder / f"{'non' * (number % 2)}informative" / f"{number}.png")
    (folder / "videos.csv").write_text("frame,video,frame_in_sequence\n" + "".join(
        f"{number}{'.png' * (number > 1)},video {number // 2},7\n" for number in range(4)))
    return folder


@pytest.mark.parametrize("write_layout", [by_manifest, by_folders])
def test_layouts(tmp_path: Path, write_layout: object) -> None:
    folder = write_layout(tmp_path)  # type: ignore[operator]
    frames = reader.read_frames(folder)
    assert [(frame.case, frame.group, frame.split, frame.informative) for frame in frames] == [
        ("0", "video 0", "", True), ("1", "video 0", "", False),
        ("2", "video 1", "", True), ("3", "video 1", "", False)]
    assert all(frame.image_path.is_file() for frame in frames)


def test_a_given_split(tmp_path: Path) -> None:
    folder = by_manifest(tmp_path)
    lines = (folder / "manifest.csv").read_text().splitlines()
    (folder / "manifest.csv").write_text("\n".join([lines[0] + ",split"] + [
        line + (",test" if line.endswith("video 1") else ",train") for line in lines[1:]]))
    assert [frame.split for frame in reader.read_frames(folder)] == ["train"] * 2 + ["test"] * 2


@pytest.mark.parametrize("old, new, message", [
    ("noninformative", "blurred", r"manifest\.csv, line 2: label 'blurred', expected noninf"),
    ("noninformative", "", r"line 2: label ''"),
    ("all/3.png", "all/9.png", r"line 2: image 'all/9\.png' is missing"),
    ("all/3.png", "all/2.png", r"duplicate image .*2\.png"),
    ("label", "quality", "missing column label"),
    ("video 1", "", "has no group"),
    ("video 1", "video 0", "only one group"),
])
def test_bad_manifests(tmp_path: Path, old: str, new: str, message: str) -> None:
    table = by_manifest(tmp_path) / "manifest.csv"
    table.write_text(table.read_text().replace(old, new))
    with pytest.raises(InputError, match=message) as error:
        reader.read_frames(tmp_path)
    assert "\n" not in str(error.value)


def test_an_empty_manifest(tmp_path: Path) -> None:
    (tmp_path / "manifest.csv").write_text("image,label,group\n")
    with pytest.raises(InputError, match="lists no images"):
        reader.read_frames(tmp_path)


@pytest.mark.parametrize("harm, message", [
    (lambda folder: shutil.rmtree(folder / "noninformative"),
     "noninformative: no such folder; expected informative/, noninformative/ and a CSV, or manif"),
    (lambda folder: (folder / "informative" / "0.png").unlink(),
     "line 2: frame '0' is missing from .*noninformative and .*informative"),
    (lambda folder: write(folder / "noninformative" / "0.jpg"), "0.png: duplicate image"),
    (lambda folder: write(folder / "informative" / "5.png"), "5.png: frame has no group"),
    (lambda folder: (folder / "videos.csv").unlink(),
     r"no CSV file; expected manifest.csv \(image, label, group\) or one CSV"),
    (shutil.rmtree, "no such folder"),
])
def test_bad_folders(tmp_path: Path, harm: object, message: str) -> None:
    folder = by_folders(tmp_path / "colon")
    harm(folder)  # type: ignore[operator]
    with pytest.raises(InputError, match=message):
        reader.read_frames(folder)
