"""The handcrafted system on sharp and blurred textures of several videos."""
from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from scored import auc, reverse

from data_prep.feature_table import write_features
from data_prep.frames import handcrafted
from data_prep.frames.features import FEATURES, features
from layerwise.contracts import Candidate, Case, write_rows
from layerwise.errors import InputError

VIDEOS, FRAMES, TESTED = 6, 8, 4   # from video 4 on they are tested
SIDES = {"train-100": range(0, 3), "validation-100": range(3, 4), "test": range(4, 6)}


def frame(video: int, number: int) -> np.ndarray:
    """A video has its texture, contrast and brightness; odd frames are blurred, more or less."""
    rng = np.random.default_rng([video, number])
    noise = rng.standard_normal((240, 256, 3)).astype(np.float32)
    image = cv2.GaussianBlur(noise, (0, 0), 0.8 + 0.1 * video)
    if number % 2:
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(1.5, 3))
    image *= (18 + 2 * video) / noise.std()
    return np.clip(image * 3 + 90 + 10 * video, 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def values() -> dict[str, np.ndarray]:
    return {f"v{video}_{number}": features(frame(video, number))
            for video in range(VIDEOS) for number in range(FRAMES)}


@pytest.fixture()
def dataset(tmp_path: Path, values: dict[str, np.ndarray]) -> Path:
    """As prepared; of train-1 and validation-1 there is a frame of each class."""
    rows = [Candidate(name, name[:2], name, name if int(name[-1]) % 2 == 0 else "",
                      1 - int(name[-1]) % 2) for name in values]
    write_rows(tmp_path / "cases.csv",
               [Case(row.case, row.group, "test" if int(row.group[1]) >= TESTED else "train",
                     row.label) for row in rows], Case)
    write_rows(tmp_path / "candidates.csv", rows, Candidate)
    for name, videos in SIDES.items():
        write_rows(tmp_path / name / "candidates.csv",
                   [row for row in rows if int(row.group[1]) in videos], Candidate)
    for name, video in (("train-1", "v0"), ("validation-1", "v3")):
        write_rows(tmp_path / name / "candidates.csv",
                   [row for row in rows if row.group == video][:2], Candidate)
    write_features(tmp_path / "detections" / "features.csv", FEATURES, values.items())
    return tmp_path


@pytest.fixture(autouse=True)
def _few_trees(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handcrafted, "TREES", 40)


def test_sharp_and_blurred_frames_of_other_videos(dataset: Path) -> None:
    scores = handcrafted.scores(dataset, 100, seed=0)
    assert [row.case for row in scores] == [f"v{video}_{number}" for video in (4, 5)
                                            for number in range(FRAMES)]
    assert [row.label for row in scores] == [1, 0] * FRAMES
    assert all(sum(row.probabilities) == pytest.approx(1) for row in scores)
    assert auc(scores) > 0.95


def test_a_few_frames_are_enough_to_be_trained_on(dataset: Path) -> None:
    assert auc(handcrafted.scores(dataset, 1, seed=0)) > 0.8


def test_shuffled_labels_teach_nothing(dataset: Path, values: dict[str, np.ndarray]) -> None:
    """The separation comes from the features and not from the rows' order or names."""
    mixed = dict(zip(values, np.random.default_rng(2).permutation(list(values.values()))))
    write_features(dataset / "detections" / "features.csv", FEATURES, mixed.items())
    assert 0.1 < auc(handcrafted.scores(dataset, 100, seed=0)) < 0.9


def test_the_same_seed_gives_the_same_scores(dataset: Path) -> None:
    first = handcrafted.scores(dataset, 100, seed=3)
    assert first == handcrafted.scores(dataset, 100, seed=3)
    assert first != handcrafted.scores(dataset, 100, seed=4)


def test_the_order_of_rows_changes_nothing(dataset: Path) -> None:
    first = handcrafted.scores(dataset, 100, seed=0)
    for name in ("train-100/candidates.csv", "validation-100/candidates.csv",
                 "detections/features.csv"):
        reverse(dataset / name)
    assert handcrafted.scores(dataset, 100, seed=0) == first


@pytest.mark.parametrize("name", ["v1_3", "v5_0"], ids=["trained on", "tested"])
def test_a_frame_without_features(dataset: Path, values: dict[str, np.ndarray], name: str) -> None:
    write_features(dataset / "detections" / "features.csv", FEATURES,
                   [(key, row) for key, row in values.items() if key != name])
    with pytest.raises(InputError, match=rf"features\.csv: no row for candidate {name} \(1 miss"):
        handcrafted.scores(dataset, 100, seed=0)


def test_features_of_another_version(dataset: Path, values: dict[str, np.ndarray]) -> None:
    write_features(dataset / "detections" / "features.csv", FEATURES[1:],
                   [(key, row[1:]) for key, row in values.items()])
    with pytest.raises(InputError, match=r"features\.csv.*global_from_0"):
        handcrafted.scores(dataset, 100, seed=0)
