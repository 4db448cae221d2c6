"""The handcrafted system on a prepared data set made of numbers."""
from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from scored import auc, reverse

from data_prep.feature_table import write_features
from data_prep.forest import ForestSettings, fit
from data_prep.pe import handcrafted
from data_prep.pe.features import FEATURES
from layerwise.contracts import Case, VesselCandidate, write_rows
from layerwise.errors import InputError

SIDES = {"train-100": range(0, 6), "validation-100": range(6, 8), "train-50": range(0, 3),
         "validation-50": range(6, 7), "test": range(8, 12)}
PLACE = (0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.5)


def candidates_of(case: int, rng: np.random.Generator) -> list[VesselCandidate]:
    """Two emboli of two candidates each, and eight false positives, in random order."""
    lesions = [f"v{case:02d}:{1 + i // 2}" if i < 4 else "" for i in range(12)]
    return [VesselCandidate(f"v{case:02d}", f"p{case:02d}", f"v{case:02d}:c{place:02d}",
                            lesions[i], int(bool(lesions[i])), *PLACE)
            for place, i in enumerate(rng.permutation(12).tolist())]


@pytest.fixture()
def dataset(tmp_path: Path) -> Path:
    """12 volumes, 8 to learn from; the first ten features of an embolus are larger."""
    rng = np.random.default_rng(0)
    rows = {case: candidates_of(case, rng) for case in range(12)}
    write_rows(tmp_path / "cases.csv",
               [Case(f"v{case:02d}", f"p{case:02d}", "test" if case in SIDES["test"] else "train",
                     2) for case in rows], Case)
    every = [row for case in rows for row in rows[case]]
    write_rows(tmp_path / "candidates.csv", every, VesselCandidate)
    for name, cases in SIDES.items():
        write_rows(tmp_path / name / "candidates.csv",
                   [row for case in cases for row in rows[case]], VesselCandidate)
    values = rng.normal(0, 1, (len(every), len(FEATURES)))
    values[:, :10] += [[1.5 * row.label] for row in every]
    write_features(tmp_path / "detections" / "features.csv", FEATURES,
                   zip((row.candidate for row in every), values))
    return tmp_path


@pytest.fixture(autouse=True)
def _few_trees(monkeypatch: pytest.MonkeyPatch) -> None:
    def fit_few(values: np.ndarray, bags: Sequence[str], keys: Sequence[str], seed: int
                ) -> object:
        return fit(values, bags, keys, seed, ForestSettings(trees=40))
    monkeypatch.setattr(handcrafted.forest, "fit", fit_few)


def test_every_test_candidate_is_scored_in_order(dataset: Path) -> None:
    scores = handcrafted.scores(dataset, 100, seed=0)
    assert [row.case for row in scores] == [f"v{case:02d}" for case in range(8, 12)
                                            for _ in range(12)]
    assert sum(row.label for row in scores) == 16
    assert {bool(row.lesion) == (row.label == 1) for row in scores} == {True}
    assert all(sum(row.probabilities) == pytest.approx(1) for row in scores)
    assert auc(scores) > 0.9


def test_the_same_seed_gives_the_same_scores(dataset: Path) -> None:
    first = handcrafted.scores(dataset, 100, seed=3)
    assert first == handcrafted.scores(dataset, 100, seed=3)
    assert first != handcrafted.scores(dataset, 100, seed=4)


def test_a_fraction_learns_from_its_own_pools(dataset: Path) -> None:
    reduced = handcrafted.scores(dataset, 50, seed=0)
    assert reduced != handcrafted.scores(dataset, 100, seed=0)
    (dataset / "train-100" / "candidates.csv").unlink()
    assert handcrafted.scores(dataset, 50, seed=0) == reduced
    with pytest.raises(InputError, match="train-100/candidates.csv: no such file"):
        handcrafted.scores(dataset, 100, seed=0)


def test_the_order_of_the_pool_changes_nothing(dataset: Path) -> None:
    first = handcrafted.scores(dataset, 100, seed=0)
    for name in ("train-100/candidates.csv", "detections/features.csv"):
        reverse(dataset / name)
    assert handcrafted.scores(dataset, 100, seed=0) == first


def drop(name: str, keep: Callable[[str], bool]) -> Callable[[Path], None]:
    def change(dataset: Path) -> None:
        header, *lines = (dataset / name).read_text().splitlines()
        (dataset / name).write_text("\n".join([header, *filter(keep, lines)]) + "\n")
    return change


def leak(dataset: Path) -> None:
    (dataset / "train-100" / "candidates.csv").write_bytes(
        (dataset / "test" / "candidates.csv").read_bytes())


@pytest.mark.parametrize("change, message", [
    (drop("detections/features.csv", lambda line: not line.startswith("v02:c05")),
     r"features.csv: no row for candidate v02:c05 \(1 missing\)"),
    (drop("detections/features.csv", lambda line: not line.startswith("v09")),
     r"no row for candidate v09:c00 \(12 missing\)"),
    (drop("candidates.csv", lambda line: line[:3] < "v08"), "no candidates in the test cases"),
    (leak, "case v08 is in the test split and in train-100"),
    (lambda dataset: [drop(f"{side}-100/candidates.csv", lambda line: ",1," not in line)(dataset)
                      for side in ("train", "validation")], "hold 0 positive and 64 negative")],
    ids=["training features", "test features", "no test", "leak", "one class"])
def test_unusable_data_sets(dataset: Path, change: Callable[[Path], object], message: str) -> None:
    change(dataset)
    with pytest.raises(InputError, match=message):
        handcrafted.scores(dataset, 100, seed=0)
