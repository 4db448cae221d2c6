"""Both folder layouts and every file format."""
from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from data_prep.polyp import candidates, reader
from layerwise.errors import InputError


def write(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), pixels)


def disc() -> np.ndarray:
    mask = np.zeros((40, 60), np.uint8)
    mask[10:30, 20:44] = 255
    return mask


def manifest_folder(folder: Path, suffix: str = ".png", header: str = "image,mask,group",
                    extra: tuple[str, ...] = ("", "")) -> Path:
    lines = [header]
    for number in range(2):
        write(folder / "a" / f"{number}{suffix}", np.full((40, 60, 3), 20 + number, np.uint8))
        write(folder / "m" / f"{number}.png", disc())
        lines.append(f"a/{number}{suffix},m/{number}.png,video {number}{extra[number]}")
    (folder / "manifest.csv").write_text("\n".join(lines) + "\n")
    return folder


def test_manifest(tmp_path: Path) -> None:
    folder = manifest_folder(tmp_path)
    frames = reader.read_frames(folder)
    assert frames == [
        reader.Frame("0", "video 0", folder / "a" / "0.png", folder / "m" / "0.png"),
        reader.Frame("1", "video 1", folder / "a" / "1.png", folder / "m" / "1.png")]
    assert reader.load_mask(frames[0]).sum() == 20 * 24


def test_manifest_with_a_split(tmp_path: Path) -> None:
    folder = manifest_folder(tmp_path, header="image,mask,group,split", extra=(",test", ",train"))
    assert [frame.split for frame in reader.read_frames(folder)] == ["test", "train"]


def with_kinds(folder: Path, pixels: np.ndarray) -> Path:
    """The first of two frames has a map of kinds."""
    write(folder / "k.png", pixels)
    return manifest_folder(folder, header="image,mask,group,kinds", extra=(",k.png", ","))


def test_a_manifest_with_maps_of_kinds(tmp_path: Path) -> None:
    first, second = reader.read_frames(with_kinds(tmp_path, disc() // 255 * 3))
    kinds = reader.load_kinds(first, disc() > 0)
    assert kinds is not None and (kinds == disc() // 255 * 3).all()
    assert second.kinds_path is None and reader.load_kinds(second, disc() > 0) is None


@pytest.mark.parametrize("pixels, message", [
    (disc()[:-1], "the size of the mask"), (np.dstack([disc() // 255] * 3), "one channel"),
    (disc() // 255 * 4, "0 and 1 .specular., 2 .lumen., 3 .vessel.")])
def test_other_maps_of_kinds_are_refused(tmp_path: Path, pixels: np.ndarray, message: str) -> None:
    frame = reader.read_frames(with_kinds(tmp_path, pixels))[0]
    with pytest.raises(InputError, match=f"k.png: .*{message}"):
        candidates.inspect(frame)


def test_images_in_several_folders_are_told_apart(tmp_path: Path) -> None:
    for name in ("v1", "v2"):
        write(tmp_path / name / "0.png", np.zeros((4, 4, 3), np.uint8))
        write(tmp_path / name / "0_mask.png", np.zeros((4, 4), np.uint8))
    (tmp_path / "manifest.csv").write_text(
        "image,mask,group\nv2/0.png,v2/0_mask.png,2\nv1/0.png,v1/0_mask.png,1\n")
    assert [frame.case for frame in reader.read_frames(tmp_path)] == ["v1/0", "v2/0"]


@pytest.mark.parametrize("column", ["group", "video", "sequence", "patient"])
@pytest.mark.parametrize("names", [("1", "2"), ("1.png", "2.png")])
def test_two_folders_and_a_table(tmp_path: Path, column: str, names: tuple[str, str]) -> None:
    for number in (1, 2):
        write(tmp_path / "frames" / f"{number}.png", np.zeros((40, 60, 3), np.uint8))
        write(tmp_path / "masks" / f"{number}.tif", disc())
    (tmp_path / "masks" / "notes.txt").write_text("ignored")
    (tmp_path / "groups.csv").write_text(
        f"frame,{column},frame_in_sequence\n{names[1]},b,1\n{names[0]},a,1\n")
    frames = reader.read_frames(tmp_path)
    assert [(frame.case, frame.group) for frame in frames] == [("1", "a"), ("2", "b")]
    assert frames[0].mask_path == tmp_path / "masks" / "1.tif"


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".jpeg", ".tif", ".tiff", ".PNG"])
def test_formats(tmp_path: Path, suffix: str) -> None:
    frame = reader.read_frames(manifest_folder(tmp_path, suffix))[1]
    image = reader.load_image(frame)
    assert image.shape == (40, 60, 3)
    assert image.dtype == np.uint8
    assert np.abs(image.astype(int) - 21).max() <= 1


def test_sixteen_bit_frames_and_masks(tmp_path: Path) -> None:
    folder = manifest_folder(tmp_path)
    write(folder / "a" / "0.png", np.full((40, 60), 40 * 257, np.uint16))
    write(folder / "m" / "0.png", disc().astype(np.uint16))
    frame = reader.read_frames(folder)[0]
    assert (reader.load_image(frame) == 40).all()
    assert reader.load_mask(frame).sum() == 20 * 24


def test_a_jpeg_mask_has_no_fringe(tmp_path: Path) -> None:
    folder = manifest_folder(tmp_path)
    assert cv2.imwrite(str(folder / "m" / "0.jpg"), disc(), [cv2.IMWRITE_JPEG_QUALITY, 60])
    stored = cv2.imread(str(folder / "m" / "0.jpg"), cv2.IMREAD_UNCHANGED)
    frame = reader.Frame("0", "g", folder / "a" / "0.png", folder / "m" / "0.jpg")
    assert (stored > 0).sum() > 20 * 24  # compression did leave a fringe
    assert (reader.load_mask(frame) == (disc() > 0)).all()


def test_an_empty_mask_is_a_frame_without_a_polyp(tmp_path: Path) -> None:
    folder = manifest_folder(tmp_path)
    write(folder / "m" / "0.png", np.zeros((40, 60), np.uint8))
    assert not reader.load_mask(reader.read_frames(folder)[0]).any()


def test_sizes_must_agree(tmp_path: Path) -> None:
    frame = reader.read_frames(manifest_folder(tmp_path))[0]
    reader.check_sizes(frame, np.zeros((40, 60, 3)), np.zeros((40, 60)))
    with pytest.raises(InputError, match=r"0\.png: mask is 59x40 pixels but 0\.png is 60x40"):
        reader.check_sizes(frame, np.zeros((40, 60, 3)), np.zeros((40, 59)))
