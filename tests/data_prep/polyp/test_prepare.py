"""The whole preparation on tiny frames with a detector that finds their ellipse."""
from __future__ import annotations

import hashlib
import shutil
import statistics
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import lmdb
import numpy as np
import pytest

from data_prep import cutting, inspection, lmdb_store, patches, proposals
from data_prep import prepare as common
from data_prep.polyp import phantom, prepare, reader, shape
from data_prep.polyp.prepare import RECIPE
from data_prep.recipe import Detection, Recipe
from data_prep.request import Request
from layerwise import contracts
from layerwise.errors import InputError, LayerwiseError

Make = Callable[..., Request]
SETS = ("train-100", "validation-100", "train-50", "validation-50", "train-25", "validation-25",
        "test")


def snapshot(folder: Path) -> dict[str, tuple[str, int]]:
    """Hash and time of change of every file."""
    return {path.relative_to(folder).as_posix():
            (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns)
            for path in folder.rglob("*") if path.is_file()}


def hashes(folder: Path) -> dict[str, str]:
    return {name: value for name, (value, _) in snapshot(folder).items() if name != "inputs.json"}


def groups_of(dataset: Path, name: str) -> set[str]:
    return {row.group for row in contracts.read_index(dataset / name / "index.csv")}


def split_by_hand(colon: Path) -> None:
    """Groups g2 and g7 are to be tested on."""
    table = colon / "groups.csv"
    lines = table.read_text().splitlines()
    table.write_text("\n".join([lines[0] + ",split"] + [
        line + (",test" if line.endswith(("g2", "g7")) else ",train") for line in lines[1:]]))


def test_everything_fits_together(colon: Path, request_for: Make) -> None:
    dataset = prepare.prepare(request_for(colon))
    assert dataset.name == "colon-mini"
    cases = contracts.read_cases(dataset / "cases.csv")
    candidates = contracts.read_candidates(dataset / "candidates.csv")
    assert [case.case for case in cases] == [f"{i:03d}" for i in range(24)]
    assert [case.lesions for case in cases] == [1, 1, 0] * 8
    assert len(candidates) == 8 * (3 + 3 + 2)
    assert sum(row.label for row in candidates) == 16
    sides = {case.group: case.split for case in cases}
    test_groups = {group for group, side in sides.items() if side == "test"}
    assert len(test_groups) == 4

    of_id = {row.candidate: row for row in candidates}
    for name in SETS:
        assert lmdb_store.check_set(dataset / name) > 0
        for row in contracts.read_index(dataset / name / "index.csv"):
            origin = of_id[row.candidate]
            assert (row.case, row.group, row.label) == (origin.case, origin.group, origin.label)
    assert groups_of(dataset, "test") == test_groups
    for percent in ("100", "50", "25"):
        train = contracts.read_index(dataset / f"train-{percent}" / "index.csv")
        validation = contracts.read_index(dataset / f"validation-{percent}" / "index.csv")
        assert len(train) % 4 == 0
        assert len(train) == 64 * int(percent) // 100
        assert len(validation) == 16 * int(percent) // 100
        for rows in (train, validation):
            assert 2 * sum(row.label for row in rows) == len(rows)
        train_groups, validation_groups = ({row.group for row in rows}
                                           for rows in (train, validation))
        assert not train_groups & validation_groups
        assert not (train_groups | validation_groups) & test_groups
    for kind in ("train", "validation"):
        assert groups_of(dataset, f"{kind}-25") <= groups_of(dataset, f"{kind}-50") \
            <= groups_of(dataset, f"{kind}-100")

    tested = contracts.read_index(dataset / "test" / "index.csv")
    expected = [(row.candidate, view.name) for row in candidates if row.group in test_groups
                for view in patches.test_augmentations(2)]
    assert [(row.candidate, row.augmentation) for row in tested] == expected


def test_pixels_are_those_of_the_frame(colon: Path, request_for: Make) -> None:
    from caffe.proto import caffe_pb2

    dataset = prepare.prepare(request_for(colon))
    boxes = {row.candidate: (row.x, row.y, row.w, row.h)
             for row in contracts.read_candidates(dataset / "candidates.csv")}
    views = {view.name: view for view in patches.AUGMENTATIONS}
    index = contracts.read_index(dataset / "train-50" / "index.csv")
    with lmdb.open(str(dataset / "train-50" / "lmdb"), readonly=True, lock=False) as store, \
            store.begin() as transaction:
        for row in index:
            datum = caffe_pb2.Datum.FromString(transaction.get(row.key.encode()))
            image = cv2.imread(str(colon / "frames" / f"{row.case}.png"))
            patch = patches.extract(image, boxes[row.candidate], views[row.augmentation])
            stored = np.frombuffer(datum.data, np.uint8).reshape(3, 227, 227)
            assert (stored == patch.transpose(2, 0, 1)).all()
            assert datum.label == row.label


def test_summary(colon: Path, request_for: Make, capsys: pytest.CaptureFixture[str]) -> None:
    dataset = prepare.prepare(request_for(colon, test_fraction=0.25))
    summary = contracts.json_or_empty(dataset / "source.json")
    assert (summary["task"], summary["dataset"], summary["seed"]) == \
        ("polyp", "colon-mini-test25", 1)
    assert summary["stand_in"].endswith(" frames")
    assert summary["counts"]["test"] == {"groups": 2, "frames": 6, "lesions": 4, "candidates": 16,
                                         "positive_candidates": 4}
    assert summary["counts"]["train"]["frames"] == 18
    assert summary["recall_by_candidates_per_case"]["test"]["1"] == \
        {"recall": 1.0, "false_positives": 2 / 6}
    assert set(summary["sets"]) == set(SETS)
    assert summary["sets"]["train-100"]["patches"] == 64
    for name in ("cases.csv", "candidates.csv"):
        assert summary["sha256"][name] == hashlib.sha256((dataset / name).read_bytes()).hexdigest()
    printed = capsys.readouterr().out
    assert "stand-in" in printed
    assert "test: 2 groups, 6 frames, 4 lesions, 16 candidates" in printed


def test_the_same_request_gives_the_same_bytes(colon: Path, request_for: Make, tmp_path: Path
                                               ) -> None:
    one = prepare.prepare(request_for(colon, data=tmp_path / "one"))
    two = prepare.prepare(request_for(colon, data=tmp_path / "two", jobs=2))
    assert hashes(one) == hashes(two)
    assert "train-100/lmdb/data.mdb" in hashes(one)


def test_a_seed_changes_split_and_draw(colon: Path, request_for: Make, tmp_path: Path) -> None:
    datasets = [prepare.prepare(request_for(colon, seed=seed, data=tmp_path / str(seed)))
                for seed in range(4)]
    assert len({frozenset(groups_of(dataset, "test")) for dataset in datasets}) > 1
    assert len({hashes(dataset)["train-100/index.csv"] for dataset in datasets}) == 4


def test_a_second_time_nothing_happens(colon: Path, request_for: Make,
                                       monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = prepare.prepare(request_for(colon))
    before = snapshot(dataset)
    monkeypatch.setattr(cutting, "cut_all", lambda *_: pytest.fail("cut again"))
    monkeypatch.setattr(proposals, "detect_all", lambda *_: pytest.fail("detected again"))
    monkeypatch.setattr(inspection, "ordered_map", lambda *_: pytest.fail("read again"))
    assert prepare.prepare(request_for(colon)) == dataset
    assert snapshot(dataset) == before


@pytest.mark.parametrize("harm", ["train-50/lmdb/data.mdb", "candidates.csv", "test/seal.json",
                                  "source.json", "validation-25/index.csv"])
def test_what_was_damaged_is_made_again(colon: Path, request_for: Make, harm: str) -> None:
    dataset = prepare.prepare(request_for(colon))
    before = snapshot(dataset)
    (dataset / harm).write_bytes(b"damaged")
    if harm.endswith("seal.json"):
        shutil.rmtree(dataset / "test")
    prepare.prepare(request_for(colon))
    after = snapshot(dataset)
    assert {name: value for name, (value, _) in after.items()} == \
        {name: value for name, (value, _) in before.items()}
    untouched = [name for name in before if name.startswith("train-100/")]
    assert untouched
    assert all(after[name] == before[name] for name in untouched)


def test_another_split_leaves_no_set_of_the_old(colon: Path, request_for: Make) -> None:
    prepare.prepare(request_for(colon))
    split_by_hand(colon)
    dataset = prepare.prepare(request_for(colon, fractions=(1.0,)))
    assert {path.parent.name for path in dataset.glob("*/index.csv")} == \
        {"train-100", "validation-100", "test"}
    assert set(contracts.json_or_empty(dataset / "source.json")["sets"]) == \
        {"train-100", "validation-100", "test"}


def test_further_fractions_are_added_to_what_is_there(colon: Path, request_for: Make) -> None:
    dataset = prepare.prepare(request_for(colon, fractions=(1.0,)))
    before = snapshot(dataset)
    prepare.prepare(request_for(colon, fractions=(0.5,)))
    after = snapshot(dataset)
    assert after["train-100/lmdb/data.mdb"] == before["train-100/lmdb/data.mdb"]
    summary = contracts.json_or_empty(dataset / "source.json")
    assert {"train-100", "train-50"} <= set(summary["sets"])


@pytest.mark.parametrize("error", [LayerwiseError("a worker died"), KeyboardInterrupt()])
def test_an_interrupted_build_looks_unfinished_and_is_resumed(
        colon: Path, request_for: Make, monkeypatch: pytest.MonkeyPatch, error: BaseException
        ) -> None:
    with monkeypatch.context() as patch:
        extract, count = patches.extract, iter(range(10 ** 6))

        def interrupted(*args: object) -> np.ndarray:
            if next(count) == 80:
                raise error
            return extract(*args)  # type: ignore[arg-type]
        patch.setattr(patches, "extract", interrupted)
        with pytest.raises(type(error)):
            prepare.prepare(request_for(colon))
    dataset = request_for(colon).data / "polyp" / "colon-mini"
    assert not (dataset / "source.json").exists()
    finished = {path.parent.name for path in dataset.glob("*/seal.json")}
    assert finished == {"detections", "models", "test"}
    assert {path.name for path in dataset.iterdir()} == \
        finished | {".lock", "inputs.json", "cases.csv", "candidates.csv"}
    before = snapshot(dataset / "test")
    prepare.prepare(request_for(colon))
    assert (dataset / "source.json").exists()
    assert snapshot(dataset / "test") == before


def test_a_finished_data_set_is_unfinished_while_it_is_made_anew(
        colon: Path, request_for: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = prepare.prepare(request_for(colon))

    def interrupted(*_: object) -> np.ndarray:
        raise KeyboardInterrupt
    monkeypatch.setattr(patches, "extract", interrupted)
    split_by_hand(colon)
    with pytest.raises(KeyboardInterrupt):
        prepare.prepare(request_for(colon))
    assert not (dataset / "source.json").exists()
    assert not list(dataset.glob("*/index.csv"))


def test_a_killed_worker_leaves_nothing_half_written(
        colon: Path, request_for: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    import os
    import signal
    parent = os.getpid()

    def killed(*_: object) -> np.ndarray:
        assert os.getpid() != parent
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError
    monkeypatch.setattr(patches, "extract", killed)
    with pytest.raises(LayerwiseError, match="test: a worker process died"):
        prepare.prepare(request_for(colon, jobs=2))
    dataset = request_for(colon).data / "polyp" / "colon-mini"
    assert sorted(path.name for path in dataset.iterdir()) == \
        [".lock", "candidates.csv", "cases.csv", "detections", "inputs.json", "models"]


def test_a_given_split_is_kept(colon: Path, request_for: Make) -> None:
    split_by_hand(colon)
    dataset = prepare.prepare(request_for(colon))
    assert groups_of(dataset, "test") == {"g2", "g7"}


def test_few_candidates_give_the_largest_balanced_set(
        colon: Path, request_for: Make, capsys: pytest.CaptureFixture[str]) -> None:
    request = request_for(colon)
    sizes = replace(request.profile.sizes["polyp"], patches=4000)
    wanted = replace(request.profile, sizes={"polyp": sizes})
    dataset = prepare.prepare(replace(request, profile=wanted, fractions=(0.25,)))
    # A quarter of four training groups is one; at least two are used, one for each side. Each has
    # two positive candidates in 120 views, and as many negatives are drawn.
    assert len(contracts.read_index(dataset / "train-25" / "index.csv")) == 480
    assert "train-25: 480 of 800 patches" in capsys.readouterr().out


def test_without_a_source_the_phantom_is_rendered_once(colon: Path, request_for: Make) -> None:
    rendered = []

    def write_phantom(folder: Path, settings: phantom.PhantomSettings, seed: int, jobs: int
                      ) -> None:
        rendered.append((settings.videos, settings.frames_per_video, seed))
        lines = ["image,mask,group"]
        for frame in reader.read_frames(colon):
            shutil.copytree(colon / "frames", folder / "frames", dirs_exist_ok=True)
            shutil.copytree(colon / "masks", folder / "masks", dirs_exist_ok=True)
            lines.append(f"frames/{frame.case}.png,masks/{frame.case}.png,{frame.group}")
        (folder / "manifest.csv").write_text("\n".join(lines))
    recipe = replace(RECIPE, phantom=replace(RECIPE.phantom, write=write_phantom))
    dataset = common.prepare(recipe, request_for(None))
    common.prepare(recipe, request_for(None))
    profile = request_for(None).profile
    sizes = profile.sizes["polyp"]
    assert rendered == [(sizes.phantom_groups, sizes.phantom_cases, 1)]
    assert dataset.name == "phantom-mini"
    assert contracts.json_or_empty(dataset / "source.json")["stand_in"] == "phantom"
    assert common.prepare(recipe, request_for(None, seed=3)).name == "phantom-mini-seed3"
    assert [seed for _, _, seed in rendered] == [1, 3]


def test_another_detector_makes_the_candidates_again(colon: Path, request_for: Make,
                                                     monkeypatch: pytest.MonkeyPatch) -> None:
    prepare.prepare(request_for(colon))
    detected = []
    detect_all = proposals.detect_all

    def detect(recipe: Recipe, frames: list[reader.Frame], *rest: int) -> list[Detection]:
        detected.append(len(frames))
        return detect_all(recipe, frames, *rest)
    monkeypatch.setattr(proposals, "detect_all", detect)
    common.prepare(replace(RECIPE, code=(*RECIPE.code, statistics)), request_for(colon))
    assert detected == [24]


@pytest.mark.parametrize("changes", [
    {"seed": -1}, {"jobs": 0}, {"test_fraction": 0.0}, {"test_fraction": 1.0}, {"fractions": ()},
    {"fractions": (1.5,)}, {"fractions": (0.0,)}, {"fractions": (0.5, 0.501)}])
def test_requests_out_of_range(request_for: Make, changes: dict[str, object]) -> None:
    with pytest.raises(InputError, match=r"expected|same"):
        request_for(None, **changes)


def test_no_group_meets_a_model_that_has_seen_it(colon: Path, request_for: Make,
                                                 monkeypatch: pytest.MonkeyPatch) -> None:
    met = []

    def detect_all(recipe: Recipe, frames: list[reader.Frame], keep: int, jobs: int,
                   models: dict[str, Path]) -> list[Detection]:
        met.extend((frame.group, shape.read_model(models[frame.group])) for frame in frames)
        return [recipe.detect(frame, keep, models[frame.group]) for frame in frames]
    monkeypatch.setattr(proposals, "detect_all", detect_all)
    dataset = prepare.prepare(request_for(colon))
    cases = contracts.read_cases(dataset / "cases.csv")
    training = {case.group for case in cases if case.split == "train"}
    assert {group for group, _ in met} == {case.group for case in cases}
    for group, learnt in met:
        assert group not in learnt and set(learnt) <= training
        assert len(learnt) == (2 if group in training else 4)


def test_another_split_needs_other_models(colon: Path, request_for: Make) -> None:
    first = contracts.json_or_empty(prepare.prepare(request_for(colon)) / "models" / "seal.json")
    split_by_hand(colon)
    dataset = prepare.prepare(request_for(colon))
    assert contracts.json_or_empty(dataset / "models" / "seal.json") != first
    assert (dataset / "models" / "test").read_text().split() == \
        ["g0", "g1", "g3", "g4", "g5", "g6"]


def test_too_few_groups_with_polyps_to_learn_from(colon: Path, request_for: Make) -> None:
    for path in (colon / "masks").iterdir():
        if int(path.stem) // 3 not in (0, 2, 7):
            path.write_bytes((colon / "masks" / "002.png").read_bytes())
    split_by_hand(colon)
    with pytest.raises(InputError, match="only 1 of 6 training groups"):
        prepare.prepare(request_for(colon))
