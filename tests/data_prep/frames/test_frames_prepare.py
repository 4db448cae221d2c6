"""The frame task's data set, from labelled frames to crops, and its reductions by frames."""
from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import lmdb
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_prep import prepare as common
from data_prep import recall, splits
from data_prep.frames import crops, phantom, prepare, reader
from data_prep.frames.prepare import RECIPE
from data_prep.request import Request
from layerwise import contracts, score
from layerwise.contracts import Candidate
from layerwise.errors import InputError
from layerwise.profiles import Sizes, profile_named

GROUPS, FRAMES = 6, 10
FRACTIONS = (1.0, 0.1, 0.05, 0.01)
SETS = [f"{kind}-{percent}" for percent in (100, 10, 5, 1) for kind in ("train", "validation")]


@pytest.fixture(scope="module")
def colon(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """60 frames of 6 videos: noise, every other one smooth and noninformative."""
    folder = tmp_path_factory.mktemp("source") / "colon"
    (folder / "all").mkdir(parents=True)
    lines = ["image,label,group"]
    for number in range(GROUPS * FRAMES):
        image = np.random.default_rng(number).integers(0, 255, (240, 260, 3)).astype(np.uint8)
        if number % 2:
            image = cv2.blur(image, (9, 9))
        assert cv2.imwrite(str(folder / "all" / f"{number:02d}.png"), image)
        label = "non" * (number % 2) + "informative"
        lines.append(f"all/{number:02d}.png,{label},g{number // FRAMES}")
    (folder / "manifest.csv").write_text("\n".join(lines))
    return folder


@pytest.fixture()
def wanted(tmp_path: Path) -> Callable[..., Request]:
    def make(source: Path | None, patches: int = 80, batch: int = 4) -> Request:
        profile = replace(profile_named("mini"), batch_size=batch,
                          sizes={"frames": Sizes(patches, 3, 1, 4, 4)})
        return Request(source, tmp_path / "data", profile, fractions=FRACTIONS)
    return make


def test_everything_fits_together(colon: Path, wanted: Callable[..., Request],
                                  capsys: pytest.CaptureFixture[str]) -> None:
    dataset = prepare.prepare(wanted(colon))
    cases = contracts.read_cases(dataset / "cases.csv")
    candidates = contracts.read_candidates(dataset / "candidates.csv")
    assert type(candidates[0]) is Candidate
    assert [row.candidate for row in candidates] == [f"{i:02d}" for i in range(60)]
    assert [(row.label, row.lesion) for row in candidates[:2]] == [(1, "00"), (0, "")]
    assert [case.lesions for case in cases] == [1, 0] * 30
    sides = {case.group: case.split for case in cases}
    assert Counter(sides.values()) == {"train": 3, "test": 3}
    index = {name: contracts.read_index(dataset / name / "index.csv") for name in [*SETS, "test"]}
    for name, rows in index.items():
        assert {sides[row.group] for row in rows} == {"test" if name == "test" else "train"}
        assert 2 * sum(row.label for row in rows) == len(rows)
    assert {name: len(rows) for name, rows in index.items()} == {
        "train-100": 64, "validation-100": 16, "train-10": 4, "validation-10": 2, "train-5": 4,
        "validation-5": 2, "train-1": 4, "validation-1": 2, "test": 90}
    assert [row.augmentation for row in index["test"][:3]] == ["c000", "c001", "c002"]
    assert {row.augmentation for row in index["train-100"]} <= set(crops.TRAINING_VIEWS)
    assert "lesions hit" not in capsys.readouterr().out


def test_reduced_sets_are_nested_and_balanced(colon: Path, wanted: Callable[..., Request]) -> None:
    dataset = prepare.prepare(wanted(colon))
    pools = {name: contracts.read_candidates(dataset / name / "candidates.csv") for name in SETS}
    assert {name: Counter(row.label for row in rows) for name, rows in pools.items()} == {
        "train-100": {0: 10, 1: 10}, "validation-100": {0: 5, 1: 5},
        **{name: {0: 1, 1: 1} for name in SETS[2:]}}
    for kind in ("train", "validation"):
        for larger, smaller in ((100, 10), (10, 5), (5, 1)):
            assert set(pools[f"{kind}-{smaller}"]) <= set(pools[f"{kind}-{larger}"])


def test_pixels_are_those_of_the_frame(colon: Path, wanted: Callable[..., Request]) -> None:
    from caffe.proto import caffe_pb2

    dataset = prepare.prepare(wanted(colon))
    index = contracts.read_index(dataset / "train-10" / "index.csv")
    with lmdb.open(str(dataset / "train-10" / "lmdb"), readonly=True, lock=False) as store, \
            store.begin() as transaction:
        for row in index:
            datum = caffe_pb2.Datum.FromString(transaction.get(row.key.encode()))
            image = cv2.imread(str(colon / "all" / f"{row.case}.png"))
            x, y = crops.place(row.case, row.augmentation, 260, 240)
            stored = np.frombuffer(datum.data, np.uint8).reshape(3, 227, 227)
            assert (stored == image[y:y + 227, x:x + 227].transpose(2, 0, 1)).all()
            assert datum.label == row.label == 1 - int(row.case) % 2


def test_a_frames_probability_is_the_mean_over_its_crops(colon: Path,
                                                         wanted: Callable[..., Request]) -> None:
    dataset = prepare.prepare(wanted(colon))
    rows = score.checked_index(dataset / "test")
    tested = contracts.read_candidates(dataset / "test" / "candidates.csv")
    informative = np.random.default_rng(0).random(len(rows))
    scores = score.average(rows, [row.key for row in rows],
                           np.stack([1 - informative, informative], 1), tested)
    assert [row.case for row in scores] == [row.case for row in tested]
    np.testing.assert_allclose([row.probabilities[1] for row in scores],
                               informative.reshape(-1, 3).mean(1))


def test_a_set_has_a_batch_even_of_one_percent(colon: Path, wanted: Callable[..., Request]
                                               ) -> None:
    dataset = prepare.prepare(wanted(colon, patches=800, batch=32))
    sizes = {name: len(contracts.read_index(dataset / name / "index.csv")) for name in SETS}
    # The last three have one frame of each class, which have 20 crops.
    assert sizes == {"train-100": 384, "validation-100": 160, "train-10": 32, "validation-10": 16,
                     "train-5": 32, "validation-5": 8, "train-1": 32, "validation-1": 2}


def test_the_phantom_is_rendered_and_named(colon: Path, wanted: Callable[..., Request]) -> None:
    def write(folder: Path, settings: phantom.PhantomSettings, seed: int, jobs: int) -> None:
        assert (settings.videos, settings.frames_per_video) == (4, 4)
        (folder / "all").symlink_to(colon / "all")
        (folder / "manifest.csv").write_text((colon / "manifest.csv").read_text())
    recipe = replace(RECIPE, phantom=replace(RECIPE.phantom, write=write))
    dataset = common.prepare(recipe, wanted(None))
    assert dataset.name == "phantom-mini"
    assert contracts.json_or_empty(dataset / "source.json")["stand_in"] == "phantom"


def test_what_stands_in_is_told(colon: Path, tmp_path: Path) -> None:
    assert RECIPE.origin(colon) == "colon frames"
    (tmp_path / "origin.json").write_text('{"stand_in": "semi-synthetic frames: made"}')
    assert RECIPE.origin(tmp_path) == "semi-synthetic frames: made"


def test_small_frames_are_refused_before_anything_is_made(colon: Path, tmp_path: Path,
                                                          wanted: Callable[..., Request]) -> None:
    (tmp_path / "all").mkdir()
    for path in (colon / "all").iterdir():
        (tmp_path / "all" / path.name).symlink_to(path)
    (tmp_path / "all" / "07.png").unlink()
    assert cv2.imwrite(str(tmp_path / "all" / "07.png"), np.zeros((200, 260, 3), np.uint8))
    (tmp_path / "manifest.csv").write_text((colon / "manifest.csv").read_text())
    with pytest.raises(InputError, match=r"07\.png: 260x200 pixels; .* at least 227x227"):
        prepare.prepare(wanted(tmp_path))
    assert not list((tmp_path / "data").rglob("*.csv"))


def test_there_is_nothing_to_miss(colon: Path) -> None:
    """The frame is the candidate: all informative ones are reached, beside the others."""
    found, shares = recall.recall_table(RECIPE, reader.read_frames(colon))
    assert (found, shares) == (30, {"1": {"recall": 1.0, "false_positives": 0.5}})


def frames_of(groups: int, per_group: int, informative: int) -> list[Candidate]:
    return [Candidate(f"{g}_{i}", f"g{g}", f"{g}_{i}", f"{g}_{i}" if i < informative else "",
                      int(i < informative)) for g in range(groups) for i in range(per_group)]


@given(groups=st.integers(2, 12), sizes=st.tuples(st.integers(1, 60), st.integers(1, 60)),
       seed=st.integers(0, 5))
def test_reductions_by_frames(groups: int, sizes: tuple[int, int], seed: int) -> None:
    informative, others = sizes
    rows = frames_of(groups, informative + others, informative)
    order = splits.training_order({f"g{g}": "both" for g in range(groups)}, seed)
    pools = [splits.pools(rows, order, "case", fraction, seed) for fraction in FRACTIONS]
    for side in (0, 1):
        full = Counter(row.label for row in pools[0][side])
        for fraction, larger, smaller in zip(FRACTIONS[1:], pools, pools[1:]):
            reduced = Counter(row.label for row in smaller[side])
            expected = max(1, int(fraction * min(full.values()) + 0.5))
            assert reduced == {0: expected, 1: expected}
            assert set(smaller[side]) <= set(larger[side])
    assert sorted(row.case for side in pools[0] for row in side) == sorted(r.case for r in rows)
    assert not {row.group for row in pools[0][0]} & {row.group for row in pools[0][1]}


def test_the_papers_numbers_of_frames() -> None:
    """2,000 balanced training frames of 10 videos, 80% to train on: 10%, 5% and 1% of them."""
    rows = frames_of(10, 200, 100)
    order = splits.training_order({f"g{g}": "both" for g in range(10)}, 1)
    sizes = [tuple(map(len, splits.pools(rows, order, "case", fraction, 1)))
             for fraction in FRACTIONS]
    assert sizes == [(1600, 400), (160, 40), (80, 20), (16, 4)]


def test_seeds_reduce_to_other_frames() -> None:
    rows = frames_of(4, 40, 20)
    order = [f"g{g}" for g in range(4)]
    kept = {frozenset(row.case for row in splits.pools(rows, order, "case", 0.1, seed)[0])
            for seed in range(6)}
    assert len(kept) == 6
