"""The intima-media data set: three classes of patches to train on, whole regions to test on."""
from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import lmdb
import numpy as np
import pytest
from carotids import ROI, frame, write_carotids

from data_prep import prepare as common
from data_prep import splits
from data_prep.cimt import phantom, prepare
from data_prep.cimt.prepare import RECIPE
from data_prep.code import closure
from data_prep.request import Request
from layerwise import contracts, regions
from layerwise.contracts import PixelCandidate
from layerwise.errors import InputError
from layerwise.profiles import Sizes, profile_named

SETS = ["train-100", "validation-100", "train-10", "validation-10"]


@pytest.fixture()
def carotids(tmp_path: Path) -> Path:
    return write_carotids(tmp_path / "carotids")


@pytest.fixture()
def wanted(tmp_path: Path) -> Callable[..., Request]:
    def make(source: Path | None, **changes: object) -> Request:
        profile = replace(profile_named("mini"), batch_size=6,
                          sizes={"cimt": Sizes(60, 1, 30, 4, 2)})
        return replace(Request(source, tmp_path / "data", profile, fractions=(1.0, 0.1)),
                       **changes)  # type: ignore[arg-type]
    return make


def test_everything_fits_together(carotids: Path, wanted: Callable[..., Request],
                                  capsys: pytest.CaptureFixture[str]) -> None:
    dataset = prepare.prepare(wanted(carotids))
    cases = contracts.read_cases(dataset / "cases.csv")
    assert [case.case for case in cases] == [f"{number:02d}" for number in range(8)]
    assert {case.lesions for case in cases} == {2}
    sides = {case.group: case.split for case in cases}
    assert Counter(sides.values()) == {"train": 2, "test": 2}
    candidates = contracts.read_candidates(dataset / "candidates.csv")
    assert type(candidates[0]) is PixelCandidate
    assert Counter(row.label for row in candidates) == {0: 80, 1: 80, 2: 80}
    counts = {}
    for name in SETS:
        rows = contracts.read_index(dataset / name / "index.csv")
        assert {sides[row.group] for row in rows} == {"train"}
        counts[name] = Counter(row.label for row in rows)
        assert len({row.candidate for row in rows}) == len(rows)
    assert counts == {"train-100": {0: 16, 1: 16, 2: 16}, "validation-100": {0: 4, 1: 4, 2: 4},
                      "train-10": {0: 2, 1: 2, 2: 2}, "validation-10": {0: 1, 1: 1, 2: 1}}
    facts = contracts.json_or_empty(dataset / "source.json")
    assert facts["sets"]["train-100"]["positive"] == 32
    assert facts["stand_in"] == "carotids frames"
    assert facts["sets"]["test"]["regions"] == 4
    assert "lesions hit" not in capsys.readouterr().out


def test_patches_are_cut_out_of_the_whole_frame(carotids: Path, wanted: Callable[..., Request]
                                                ) -> None:
    from caffe.proto import caffe_pb2

    dataset = prepare.prepare(wanted(carotids))
    pixels = {row.candidate: row for row in
              contracts.read_candidates(dataset / "train-100" / "candidates.csv")}
    with lmdb.open(str(dataset / "train-100" / "lmdb"), readonly=True, lock=False) as store, \
            store.begin() as transaction:
        for row in contracts.read_index(dataset / "train-100" / "index.csv"):
            datum = caffe_pb2.Datum.FromString(transaction.get(row.key.encode()))
            stored = np.frombuffer(datum.data, np.uint8).reshape(3, 227, 227)
            at = pixels[row.candidate]
            assert isinstance(at, PixelCandidate)
            patch = regions.cut_patch(frame(int(row.case)), at.x, at.y, 32)
            assert (stored == patch).all() and datum.label == row.label == at.label
            assert row.augmentation == "centre"


def padded_patch(image: np.ndarray, x: int, y: int, side: int) -> np.ndarray:
    """The same by other means: repeat the border, cut out an odd square, enlarge."""
    padded = np.pad(image, side, mode="edge")
    square = padded[y + side - side // 2:y + side + side // 2 + 1,
                    x + side - side // 2:x + side + side // 2 + 1]
    assert square.shape == (side, side)
    return cv2.resize(square, (227, 227), interpolation=cv2.INTER_LINEAR)


@pytest.mark.parametrize("x, y", [(60, 40), (0, 0), (119, 79), (3, 70)])
def test_a_patch_at_the_border_of_the_frame(x: int, y: int) -> None:
    image = cv2.GaussianBlur(frame(0), (0, 0), 3)
    row = PixelCandidate("a", "g", "c", "", 0, x, y)
    patch = prepare.Cut(33)(image, row, "centre")
    assert patch.shape == (227, 227, 3) and patch.dtype == np.uint8
    assert (patch[..., 0] == patch[..., 1]).all() and (patch[..., 0] == patch[..., 2]).all()
    inner = slice(8, -8)        # at the square's own border one sees beyond it, the other does not
    difference = patch[inner, inner, 0].astype(int) - padded_patch(image, x, y, 33)[inner, inner]
    assert np.abs(difference).max() <= 1
    assert abs(int(patch[113, 113, 0]) - int(image[y, x])) <= 1      # the pixel in the middle


def test_regions_to_test(carotids: Path, wanted: Callable[..., Request]) -> None:
    dataset = prepare.prepare(wanted(carotids))
    cases = {case.case: case for case in contracts.read_cases(dataset / "cases.csv")
             if case.split == "test"}
    found = regions.read_regions(dataset / "test" / "regions.h5")
    assert [region.case for region in found] == sorted(cases)
    (x, y, w, h), margin = ROI, regions.margin_for(32)
    for region in found:
        image = frame(int(region.case))
        assert region.group == cases[region.case].group
        assert (region.pixel_um, region.margin, region.patch_side) == (100.0, margin, 32)
        assert (region.roi == image[y:y + h, x:x + w]).all()
        assert (region.image == np.pad(image, margin, mode="edge")[y:y + h + 2 * margin,
                                                                      x:x + w + 2 * margin]).all()
        columns = np.arange(x, x + w)
        np.testing.assert_allclose(region.truth, [10 + columns * 4 / 119, 18 + columns * 4 / 119])
        # A patch is the same whether cut for training or for testing.
        for column, row in ((0, 0), (w - 1, h - 1), (5, 17)):
            pixel = PixelCandidate("a", "g", "c", "", 0, x + column, y + row)
            trained = prepare.Cut(32)(image, pixel, "centre")
            tested = regions.cut_patch(region.image, margin + column, margin + row, 32)
            assert (trained[..., 0] == tested).all()


def test_another_patch_side_is_another_data_set(carotids: Path, wanted: Callable[..., Request]
                                                ) -> None:
    dataset = prepare.prepare(wanted(carotids, patch_side=48))
    assert dataset.name == "carotids-mini-patch48"
    region = regions.read_regions(dataset / "test" / "regions.h5")[0]
    assert (region.patch_side, region.margin) == (48, regions.margin_for(48))
    assert contracts.json_or_empty(dataset / "source.json")["made_from"]["patch_side"] == 48
    for side in (7, 228):
        with pytest.raises(InputError, match=f"patch side {side}; expected 8 to 227"):
            wanted(carotids, patch_side=side)


def contents(dataset: Path) -> dict[str, str]:
    return {name: facts["content_sha256"]
            for name, facts in contracts.json_or_empty(dataset / "source.json")["sets"].items()}


def test_made_once_and_alike_and_again_when_the_manifest_changes(
        carotids: Path, wanted: Callable[..., Request], tmp_path: Path) -> None:
    dataset = prepare.prepare(wanted(carotids))
    first = contents(dataset)
    made = (dataset / "test" / "regions.h5").stat().st_ino
    prepare.prepare(wanted(carotids))
    assert (dataset / "test" / "regions.h5").stat().st_ino == made
    assert contents(prepare.prepare(wanted(carotids, data=tmp_path / "two", jobs=2))) == first
    manifest = carotids / "manifest.csv"
    manifest.write_text(manifest.read_text().replace(",100,", ",99,"))
    again = contents(prepare.prepare(wanted(carotids)))
    # The patches are the same, but the regions, with another pixel size, are learnt from too.
    assert again["test"] != first["test"] and again["train-100"] != first["train-100"]


def test_a_lost_test_set_comes_back_alone(carotids: Path, wanted: Callable[..., Request]) -> None:
    dataset = prepare.prepare(wanted(carotids))
    first, index = contents(dataset), (dataset / "train-100" / "index.csv").stat().st_ino
    (dataset / "test" / "regions.h5").write_bytes(b"cut short")
    prepare.prepare(wanted(carotids))
    assert contents(dataset) == first
    assert len(regions.read_regions(dataset / "test" / "regions.h5")) == 4
    assert (dataset / "train-100" / "index.csv").stat().st_ino == index


def test_bad_lines_are_told_before_anything_is_made(carotids: Path, tmp_path: Path,
                                                    wanted: Callable[..., Request]) -> None:
    (carotids / "05.json").write_text((carotids / "05.json").read_text().replace("26", "17"))
    with pytest.raises(InputError, match=r"05\.json: the lines touch or cross"):
        prepare.prepare(wanted(carotids))
    assert not list((tmp_path / "data").rglob("*.csv"))


def test_the_same_frame_in_two_groups(carotids: Path, wanted: Callable[..., Request]) -> None:
    assert cv2.imwrite(str(carotids / "07.png"), frame(0))
    with pytest.raises(InputError, match="duplicate image"):
        prepare.prepare(wanted(carotids))


def test_the_phantom_of_a_profile(wanted: Callable[..., Request], tmp_path: Path) -> None:
    def write(folder: Path, settings: phantom.PhantomSettings, seed: int, jobs: int) -> None:
        assert (settings.subjects, settings.regions_per_subject) == (4, 2)
        write_carotids(folder)
    recipe = replace(RECIPE, phantom=replace(RECIPE.phantom, write=write))
    assert common.prepare(recipe, wanted(None)).name == "phantom-mini"


def test_one_subject_suffices_to_train() -> None:
    """10% of the paper's 12 training subjects: one to train on, one to validate on."""
    order = [f"s{number:02d}" for number in range(12)]
    assert splits.reduced(order, 0.1) == (["s00"], ["s01"])
    train, validation = splits.reduced(order, 1.0)
    assert (len(train), len(validation)) == (9, 3)


def test_what_a_change_makes_again() -> None:
    made_by = {module.__name__ for module in closure(*RECIPE.code)}
    assert {f"data_prep.cimt.{name}" for name in ("dicom", "interfaces", "pixels", "reader")} \
        | {"layerwise.regions", "data_prep.manifest"} <= made_by
    rendered_by = {module.__name__ for module in closure(*RECIPE.phantom.code)}
    assert {f"data_prep.cimt.{name}" for name in ("phantom", "tissue", "ultrasound")} <= rendered_by
    assert "data_prep.cimt.pixels" not in rendered_by


def test_the_papers_split_of_subjects() -> None:
    """11 of 23 subjects to test: 132 regions, and 144 to train."""
    kind_of = {f"s{number:02d}": "both" for number in range(23)}
    assert len(splits.draw_test(kind_of, 0.48, 1)) == 11
