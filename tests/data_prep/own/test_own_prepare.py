"""Your own images from a table to patches."""
from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import lmdb
import numpy as np
import pytest

from data_prep.own import prepare, views
from data_prep.patches import PATCH_PX
from data_prep.request import Request
from layerwise import contracts, score
from layerwise.contracts import BoxCandidate
from layerwise.errors import InputError
from layerwise.profiles import Sizes, profile_named

CLASSES = ("normal", "benign", "malignant")


def write_images(folder: Path, groups: int = 26, each: int = 2, boxes: bool = False) -> Path:
    """Small images of many sizes; a group has one class, normal is the most frequent."""
    folder.mkdir(parents=True)
    lines = ["path,label,group" + (",x,y,w,h" if boxes else "")]
    for number in range(groups * each):
        group = number // each
        label = CLASSES[max(0, group % 4 - 1)]
        pixels = np.random.default_rng(number).integers(0, 255, (20 + group, 30, 3))
        assert cv2.imwrite(str(folder / f"{number:03d}.png"), pixels.astype(np.uint8))
        lines.append(f"{number:03d}.png,{label},p{group}" + (",4,5,8.5,9" if boxes else ""))
    (folder / "manifest.csv").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_images(tmp_path_factory.mktemp("source") / "scans")


@pytest.fixture()
def wanted(tmp_path: Path) -> Callable[..., Request]:
    def make(source: Path | None, **changes: object) -> Request:
        profile = replace(profile_named("mini"), batch_size=4,
                          sizes={"own": Sizes(120, 3, 10_000)})
        return replace(Request(source, tmp_path / "data", profile), **changes)  # type: ignore
    return make


def test_everything_fits_together(images: Path, wanted: Callable[..., Request],
                                  capsys: pytest.CaptureFixture[str]) -> None:
    dataset = prepare.prepare(wanted(images))
    assert dataset.name == "scans-mini" and dataset.parent.name == "own"
    cases = contracts.read_cases(dataset / "cases.csv")
    candidates = contracts.read_candidates(dataset / "candidates.csv")
    assert type(candidates[0]) is BoxCandidate and len(candidates) == len(cases) == 52
    assert (candidates[1].w, candidates[1].h) == (30, 20)
    assert {row.label for row in candidates} == {0, 1, 2}
    sides = {case.group: case.split for case in cases}
    index = {path.parent.name: contracts.read_index(path) for path in dataset.glob("*/index.csv")}
    assert len(index) == 7
    for name, rows in index.items():
        assert {sides[row.group] for row in rows} == {"test" if name == "test" else "train"}
        counts = Counter(row.label for row in rows)
        if name != "test":
            assert max(counts.values()) - min(counts.values()) <= 1
    groups = {name: {row.group for row in rows} for name, rows in index.items()}
    assert groups["train-25"] < groups["train-50"] < groups["train-100"]
    assert groups["validation-25"] <= groups["validation-100"]
    assert len(groups["validation-100"]) == 4
    assert not groups["train-100"] & groups["validation-100"]
    assert [row.augmentation for row in index["test"][:3]] == list(views.ALL.test[:3])
    summary = json.loads((dataset / "source.json").read_text())
    assert summary["stand_in"] is None
    assert any("class benign has 12 images" in line for line in summary["warnings"])
    printed = capsys.readouterr().out
    assert "lesions" not in printed
    assert [line for line in printed.splitlines() if line.startswith("  class")] == [
        "  class normal (negative), images in groups: training 10 in 5, validation 4 in 2, "
        "test 14 in 7",
        "  class benign, images in groups: training 4 in 2, validation 2 in 1, test 6 in 3",
        "  class malignant, images in groups: training 4 in 2, validation 2 in 1, test 6 in 3"]
    assert "warning: class benign has 12 images" in printed and "stand-in" not in printed
    before = {path: path.stat().st_mtime_ns for path in dataset.rglob("*")}
    prepare.prepare(wanted(images))
    assert {path: path.stat().st_mtime_ns for path in dataset.rglob("*")} == before
    assert "warning: class benign has 12 images" in capsys.readouterr().out   # said again


def test_patches_are_the_images_stretched(images: Path, wanted: Callable[..., Request]) -> None:
    dataset = prepare.prepare(wanted(images, fractions=(1.0,)))
    rows = contracts.read_index(dataset / "test" / "index.csv")
    patches, _ = next(score.batches(dataset / "test" / "lmdb", 3))
    original = cv2.imread(str(images / f"{rows[0].case}.png"))
    height, width = original.shape[:2]
    patch = patches[0].transpose(1, 2, 0)
    assert patch.shape == (PATCH_PX, PATCH_PX, 3)
    for y, x in ((0, 0), (height - 1, 0), (height // 2, width // 2), (height - 1, width - 1)):
        inside = (int((y + 0.5) / height * PATCH_PX), int((x + 0.5) / width * PATCH_PX))
        assert np.abs(patch[inside].astype(int) - original[y, x]).max() < 40


def test_a_new_label_or_negative_class_makes_new_sets(tmp_path: Path,
                                                      wanted: Callable[..., Request]) -> None:
    folder = write_images(tmp_path / "scans")
    dataset = prepare.prepare(wanted(folder, fractions=(1.0,)))
    first = (dataset / "candidates.csv").read_text()
    other = prepare.prepare(wanted(folder, fractions=(1.0,), negative="benign"))
    assert other.name == "scans-mini-negative_benign"
    second = (other / "candidates.csv").read_text()
    manifest = (folder / "manifest.csv").read_text()
    (folder / "manifest.csv").write_text(manifest.replace("000.png,normal", "000.png,benign"))
    prepare.prepare(wanted(folder, fractions=(1.0,)))
    third = (dataset / "candidates.csv").read_text()
    assert len({first, second, third}) == 3
    assert contracts.read_candidates(dataset / "candidates.csv")[0].label == 1


def test_smaller_training_sets_hold_every_class(tmp_path: Path,
                                                wanted: Callable[..., Request]) -> None:
    """28 groups: 14 to train and validate, of which a quarter is 4, 2 of them to train on."""
    folder = write_images(tmp_path / "scans", groups=28)
    table = (folder / "manifest.csv").read_text().splitlines()
    for number in range(0, 56, 2):                         # a fourth class in groups of its own
        if number // 2 % 4 == 0:
            for i in (number + 1, number + 2):
                table[i] = table[i].replace("normal", "odd")
    (folder / "manifest.csv").write_text("\n".join(table) + "\n")
    dataset = prepare.prepare(wanted(folder, fractions=(1.0, 0.25)))
    rows = contracts.read_index(dataset / "train-25" / "index.csv")
    assert {row.label for row in rows} == {0, 1, 2, 3} and len({row.group for row in rows}) == 4


def test_files_that_are_not_read_are_named_every_time(
        tmp_path: Path, wanted: Callable[..., Request], capsys: pytest.CaptureFixture[str]) -> None:
    flat = write_images(tmp_path / "flat")
    for line in (flat / "manifest.csv").read_text().splitlines()[1:]:
        name, label, group = line.split(",")
        (tmp_path / "scans" / label / group).mkdir(parents=True, exist_ok=True)
        (flat / name).rename(tmp_path / "scans" / label / group / name)
    prepare.prepare(wanted(tmp_path / "scans"))
    assert "not read" not in capsys.readouterr().out
    note = tmp_path / "scans" / "normal" / "p0" / "notes.heic"
    note.write_bytes(b"")
    prepare.prepare(wanted(tmp_path / "scans"))
    assert f"warning: 1 files beside the images were not read, {note} the" \
        in capsys.readouterr().out
    note.unlink()
    prepare.prepare(wanted(tmp_path / "scans"))
    assert "not read" not in capsys.readouterr().out


def test_another_folder_of_the_same_name_does_not_replace_the_first(
        tmp_path: Path, images: Path, wanted: Callable[..., Request]) -> None:
    dataset = prepare.prepare(wanted(images))
    before = (dataset / "source.json").read_bytes()
    other = write_images(tmp_path / "other" / images.name, groups=24)
    with pytest.raises(InputError, match=f"holds what was made of {images}, other images than in "
                                         f"{other}: choose another --data folder"):
        prepare.prepare(wanted(other))
    assert (dataset / "source.json").read_bytes() == before


def test_boxes_and_upright_views(tmp_path: Path, wanted: Callable[..., Request]) -> None:
    folder = write_images(tmp_path / "boxed", boxes=True)
    dataset = prepare.prepare(wanted(folder / "manifest.csv", fractions=(1.0,), upright=True))
    assert dataset.name == "boxed-mini-upright"
    row = contracts.read_candidates(dataset / "candidates.csv")[0]
    assert isinstance(row, BoxCandidate) and (row.x, row.y, row.w, row.h) == (4, 5, 8.5, 9)
    used = {one.augmentation for one in contracts.read_index(dataset / "train-100" / "index.csv")}
    assert used <= set(views.UPRIGHT.training) and len(views.UPRIGHT.training) == 15
    with lmdb.open(str(dataset / "test" / "lmdb"), readonly=True, lock=False) as env:
        assert env.stat()["entries"] == len(contracts.read_index(dataset / "test" / "index.csv"))


def test_regions_are_counted_beside_their_images(
        tmp_path: Path, wanted: Callable[..., Request], capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_images(tmp_path / "boxed", boxes=True)
    with (folder / "manifest.csv").open("a") as table:
        table.write("".join(f"{number:03d}.png,benign,p{number // 2},1,1,6,6\n"
                            for number in range(52)))
    prepare.prepare(wanted(folder, fractions=(0.5,), negative="malignant"))
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("  class")]
    assert lines[0].startswith("  class malignant (negative), images in groups: training ")
    assert lines[1] == ("  class benign, images in groups: training 18 (22 regions) in 9, "
                        "validation 8 (10 regions) in 4, test 26 (32 regions) in 13")


def test_a_box_outside_the_image(tmp_path: Path, wanted: Callable[..., Request]) -> None:
    folder = write_images(tmp_path / "boxed", boxes=True)
    table = folder / "manifest.csv"
    table.write_text(table.read_text().replace("000.png,normal,p0,4,", "000.png,normal,p0,30,"))
    with pytest.raises(InputError, match="000.png: box 30, 5, 8.5, 9 lies outside the image"):
        prepare.prepare(wanted(folder))


def test_the_same_file_in_two_groups_is_refused(tmp_path: Path, wanted: Callable[..., Request]
                                                ) -> None:
    folder = write_images(tmp_path / "scans")
    (folder / "000.png").write_bytes((folder / "051.png").read_bytes())
    with pytest.raises(InputError, match="duplicate image, the same file as 000.png of group p0"):
        prepare.prepare(wanted(folder))


def test_without_images_there_is_nothing(wanted: Callable[..., Request]) -> None:
    with pytest.raises(InputError, match="task own has no phantom"):
        prepare.prepare(wanted(None))


def test_all_views_are_different_and_the_first_is_the_plain_box() -> None:
    for table, count in ((views.ALL, 120), (views.UPRIGHT, 15)):
        assert len(set(table.training)) == count and table.test[0] == "s1.0_centre_r0"
    image = np.random.default_rng(0).integers(0, 255, (50, 40, 3)).astype(np.uint8)
    row = BoxCandidate("c", "g", "c", "", 0, 5.0, 5.0, 30.0, 40.0, 0.0)
    cuts = {views.cut(image, row, name).tobytes() for name in views.ALL.training}
    assert len(cuts) == 120
