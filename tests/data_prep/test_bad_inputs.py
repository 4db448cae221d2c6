"""Bad input to the preparation: one line that names the file, exit code 2, nothing half-written."""
from __future__ import annotations

import shutil
from collections import namedtuple
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import lmdb
import numpy as np
import pytest

from data_prep import lmdb_store
from data_prep import prepare as common
from data_prep.polyp import prepare, shape
from data_prep.request import Request
from layerwise.errors import InputError
from layerwise.locks import LOCK

Usage = namedtuple("Usage", "total used free")
Harm = Callable[[Path, Path, Any], None]


@dataclass(frozen=True)
class Bad:
    """What is done to the source folder, the data folder or the machine, and what is said."""

    name: str
    harm: Harm
    message: str  # regular expression


def _edit(name: str, change: Callable[[str], str]) -> Harm:
    def harm(source: Path, data: Path, patch: Any) -> None:
        (source / name).write_text(change((source / name).read_text()))
    return harm


def _write(name: str, make: Callable[[bytes], bytes]) -> Harm:
    def harm(source: Path, data: Path, patch: Any) -> None:
        (source / name).write_bytes(make((source / name).read_bytes()))
    return harm


def _remove(name: str) -> Harm:
    def harm(source: Path, data: Path, patch: Any) -> None:
        path = source / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    return harm


def _image(name: str, pixels: np.ndarray) -> Harm:
    def harm(source: Path, data: Path, patch: Any) -> None:
        assert cv2.imwrite(str(source / name), pixels)
    return harm


def _copy(origin: str, target: str) -> Harm:
    def harm(source: Path, data: Path, patch: Any) -> None:
        shutil.copy(source / origin, source / target)
    return harm


def _manifest(text: str) -> Harm:
    def harm(source: Path, data: Path, patch: Any) -> None:
        (source / "manifest.csv").write_text(text)
    return harm


def _empty(source: Path, data: Path, patch: Any) -> None:
    shutil.rmtree(source)
    source.mkdir()


def _gone(source: Path, data: Path, patch: Any) -> None:
    shutil.rmtree(source)


def _no_images(source: Path, data: Path, patch: Any) -> None:
    for path in (source / "frames").iterdir():
        path.unlink()


def _blind(source: Path, data: Path, patch: Any) -> None:
    patch.setattr(shape, "detect", lambda image, model: [])


def _all_hits(source: Path, data: Path, patch: Any) -> None:
    found = shape.Candidate(30.0, 16.0, 14.0, 12.0, 0.5)
    patch.setattr(shape, "detect",
                  lambda image, model: [found] if image[22, 37, 2] > 180 else [])


def _small_disk(source: Path, data: Path, patch: Any) -> None:
    patch.setattr(shutil, "disk_usage", lambda path: Usage(10 ** 9, 10 ** 9, 5000))


def _filling_disk(source: Path, data: Path, patch: Any) -> None:
    free = iter([10 ** 12, 10 ** 12, 0])
    patch.setattr(shutil, "disk_usage", lambda path: Usage(10 ** 12, 0, next(free)))

    def fail(store: lmdb.Environment, batch: object) -> None:
        raise lmdb.Error("mdb_txn_commit: Input/output error")
    patch.setattr(lmdb_store, "_put", fail)


def _full_for_csv(source: Path, data: Path, patch: Any) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device", "cases.csv")
    patch.setattr(common, "write_rows", fail)


def _file_for_data(source: Path, data: Path, patch: Any) -> None:
    data.write_text("a file")


def _file_for_dataset(source: Path, data: Path, patch: Any) -> None:
    (data / "polyp").mkdir(parents=True)
    (data / "polyp" / "colon-mini").write_text("a file")


def _users_folder(source: Path, data: Path, patch: Any) -> None:
    (data / "polyp" / "colon-mini" / "test").mkdir(parents=True)
    (data / "polyp" / "colon-mini" / "test" / "mine.txt").write_text("mine")


GREY = np.zeros((48, 64), np.uint8)
ROW = "frames/000.png,masks/000.png,g0"
OTHER = "frames/003.png,masks/003.png,g1"

BAD = (
    Bad("missing mask", _remove("masks/004.png"), r"masks/004\.png: mask is missing"),
    Bad("no masks", _remove("masks"), "masks: no such folder"),
    Bad("missing frame", _remove("frames/004.png"), r"groups\.csv, line 6: frame '004' is missing"),
    Bad("size mismatch", _image("masks/004.png", GREY[:, 1:]),
        r"masks/004\.png: mask is 63x48 pixels but 004\.png is 64x48"),
    Bad("no folder", _gone, "colon: no such folder"),
    Bad("empty folder", _empty, "colon/frames: no such folder"),
    Bad("no images", _no_images, "frames: no images"),
    Bad("truncated PNG", _write("frames/004.png", lambda data: data[:-30]),
        r"frames/004\.png: truncated PNG"),
    Bad("truncated mask", _write("masks/004.png", lambda data: data[:60]),
        r"masks/004\.png: truncated PNG"),
    Bad("damaged PNG", _write("frames/004.png", lambda data: data[:99] + b"?" + data[100:]),
        r"frames/004\.png: damaged PNG"),
    Bad("unreadable image", _write("frames/004.png", lambda data: b"<html>not found</html>"),
        r"frames/004\.png: not a PNG, JPEG or TIFF file"),
    Bad("empty file", _write("frames/004.png", lambda data: b""), r"frames/004\.png: empty file"),
    Bad("no CSV", _remove("groups.csv"), "colon: no CSV file"),
    Bad("several CSVs", _copy("groups.csv", "more.csv"), "colon: several CSV files"),
    Bad("unknown column", _edit("groups.csv", lambda text: text.replace("\n", ",1\n").replace(
        "group,1", "group,colour")), r"groups\.csv: unknown column colour"),
    Bad("no group column", _edit("groups.csv", lambda text: text.replace("group", "grp", 1)),
        r"groups\.csv: expected the column frame and exactly one of"),
    Bad("frame without a line", _edit("groups.csv", lambda text: text.replace("004,g1\n", "")),
        r"frames/004\.png: frame has no group"),
    Bad("frame without a group", _edit("groups.csv", lambda text: text.replace("004,g1", "004,")),
        r"groups\.csv: 004\.png has no group"),
    Bad("short line", _edit("groups.csv", lambda text: text.replace("004,g1", "004")),
        r"groups\.csv, line 6: 1 fields, expected 2"),
    Bad("not text", _write("groups.csv", lambda data: b"\xff\xfe\x00"), r"groups\.csv: not a UTF"),
    Bad("one group only", _edit("groups.csv", lambda text: "frame,group\n" + "\n".join(
        f"{i:03d},g" for i in range(24))), r"groups\.csv: only one group \(g\)"),
    Bad("duplicate image", _edit("groups.csv", lambda text: text + "004,g1\n"),
        r"groups\.csv: duplicate image .*004\.png"),
    Bad("duplicate name", _copy("frames/004.png", "frames/004.jpg"),
        r"frames/004\.png: duplicate image, 004\.jpg has the same name"),
    Bad("same image in two groups", _copy("frames/000.png", "frames/004.png"),
        r"frames/004\.png: duplicate image, the same file as 000\.png of group g0"),
    Bad("manifest without a column", _manifest("image,group\nframes/000.png,a\n"),
        r"manifest\.csv: missing column mask"),
    Bad("manifest with an unknown column", _manifest(f"image,mask,group,age\n{ROW},50\n"),
        r"manifest\.csv: unknown column age"),
    Bad("manifest without rows", _manifest("image,mask,group\n"), r"manifest\.csv: lists no"),
    Bad("empty manifest", _manifest(""), r"manifest\.csv: empty"),
    Bad("manifest with a missing mask", _manifest("image,mask,group\nframes/000.png,gone.png,a\n"),
        r"manifest\.csv, line 2: mask 'gone\.png' is missing"),
    Bad("manifest with a duplicate image", _manifest(f"image,mask,group\n{ROW}\n{ROW}\n{OTHER}\n"),
        r"manifest\.csv: duplicate image .*000\.png"),
    Bad("manifest with an unknown split",
        _manifest(f"image,mask,group,split\n{ROW},train\n{OTHER},validation\n"),
        r"manifest\.csv: column split must hold both train and test"),
    Bad("manifest with half a split",
        _manifest(f"image,mask,group,split\n{ROW},train\n{OTHER},\n"), "found '', 'train'"),
    Bad("group on both sides", _manifest(
        f"image,mask,group,split\n{ROW},train\nframes/001.png,masks/001.png,g0,test\n"
        f"{OTHER},test\n"),
        r"manifest\.csv: group g0 is on two sides"),
    Bad("no candidates", _blind, "colon: no candidates in any of 24 frames"),
    Bad("no negative candidates", _all_hits, "colon: the test groups do not have both"),
    Bad("too few frames", _manifest(
        "image,mask,group\n" + "\n".join(f"frames/{i:03d}.png,masks/{i:03d}.png,g{i // 12}"
                                         for i in range(24))), "colon: only 2 of 2 groups"),
    Bad("full disk", _small_disk, r"colon-mini: disk full, 0\.\d\d GB needed but 0\.00 GB free"),
    Bad("disk that fills up", _filling_disk, r"colon-mini: disk full, .* needed and 0\.00 GB free"),
    Bad("disk full for a CSV", _full_for_csv, r"cases\.csv: No space left on device; free some"),
    Bad("data folder is a file", _file_for_data, "data.*: Not a directory"),
    Bad("dataset is a file", _file_for_dataset, "colon-mini: (File exists|Not a directory)"),
    Bad("folder of the user in the way", _users_folder, "colon-mini/test: in the way"),
)


@pytest.mark.parametrize("bad", BAD, ids=lambda bad: bad.name)
def test_bad_input(bad: Bad, colon: Path, request_for: Callable[..., Request],
                   monkeypatch: Any) -> None:
    request = request_for(colon)
    with monkeypatch.context() as patch:
        patch.setattr(shape, "detect", shape.detect)
        bad.harm(colon, request.data, patch)
        with pytest.raises(InputError, match=bad.message) as error:
            prepare.prepare(request)
    assert error.value.exit_code == 2
    assert "\n" not in str(error.value)
    dataset = request.data / "polyp" / "colon-mini"
    if not dataset.is_dir():
        return
    assert not (dataset / "source.json").exists()
    left = {path.name for path in dataset.iterdir()}
    # Complete intermediate results may stay; sets of patches and partial files may not.
    assert left <= {LOCK, "inputs.json", "models", "detections", "cases.csv", "candidates.csv"} \
        | ({"test"} if bad.harm is _users_folder else set())
    assert all((path / "seal.json").is_file() for path in dataset.glob("detections"))
