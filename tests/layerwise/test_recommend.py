"""`layerwise recommend own` from images to a depth, with real trainings of narrow networks."""
from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tiny
from own_images import layerwise, one_thread, training_options, write_images

from layerwise import session
from layerwise.errors import InputError
from layerwise.plan import Setting
from layerwise.recommend import FINE_TUNED, YARDSTICK
from layerwise.runs import Run, read_json
from layerwise.score import auc
from layerwise.session import Wanted
from layerwise.validation import Judged, read_validation, write_validation


@pytest.fixture(scope="module")
def place(narrow_table: None, forks: None, tmp_path_factory: pytest.TempPathFactory
          ) -> Iterator[Path]:
    """Images, and source weights of narrow networks."""
    root = tmp_path_factory.mktemp("own")
    tiny.write_weights(root / "random.caffemodel")
    write_images(root / "scans")
    with one_thread():
        yield root


@pytest.fixture(scope="module")
def advised(place: Path) -> str:
    """What the command prints."""
    done = command(place)
    assert done.exit_code == 0, done.stderr
    return str(done.stdout)


def command(place: Path, *more: str):
    return layerwise("recommend", "own", "--images", place / "scans",
                     *training_options(place, place / "random.caffemodel"), *more)


def advice(place: Path) -> dict:
    return json.loads((place / "runs/figures/own/scans-mini/recommendation.json").read_text())


def runs(place: Path) -> Path:
    return place / "runs/own/scans-mini"


def test_it_says_how_deep_what_it_cost_and_what_it_does_not_know(place: Path, advised: str) -> None:
    found = advice(place)
    chosen = found["search"]["chosen"]
    assert f"effective depth: {chosen} (tune " in advised
    assert "AUC on the validation set [95%, bootstrap over groups, " in advised
    assert f"cost: {found['cost']['trained']} networks trained, " in advised
    assert "of the work of the 9 of a whole sweep; 2 more for the learning curve" in advised
    assert f"test set, not used in choosing: {chosen} has AUC" in advised
    assert "source weights: random.caffemodel, not bvlc_alexnet (stand-in)" in advised
    assert ("UNDECIDED" in advised) == bool(found["search"]["doubts"])
    assert (place / "runs/figures/own/scans-mini/recommendation.png").stat().st_size > 10_000
    # 26 groups: 13 to test on, 13 to learn from, of which every third from the second validates.
    assert found["search"]["groups"] == 4 and "only 4 validation groups" in advised


def test_what_is_certain_is_said_before_anything_is_trained(
        place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from layerwise import recommend

    def search(*_: object) -> None:
        raise InputError("not trained yet")

    monkeypatch.setattr(recommend, "search", search)
    done = command(place, "--fractions", "20,25,50")
    assert done.stderr.splitlines()[-1] == "layerwise: not trained yet"
    assert done.stdout.splitlines()[-3:] == [
        "beforehand: 4 validation groups hold well, the rarest; a verdict takes 6, and 3 training "
        "runs of each depth (--seeds), of which there is 1",
        "  it will be UNDECIDED whatever the networks do; what would change that: more groups with "
        "well (about 18 to train and validate on), and --seeds 1,2,3",
        "learning curve without 20%: no fewer training groups than the next larger set"]


def test_no_more_networks_are_trained_than_that_takes(place: Path, advised: str) -> None:
    found = advice(place)
    tried = [one["name"] for one in found["search"]["measured"]]
    assert tried == list(FINE_TUNED[:len(tried)]) == ["fc8", "fc7", "fc6"]
    trained = {path.parent.relative_to(runs(place)).as_posix()
               for path in runs(place).glob("*/*/*/result.json")}
    assert trained == {*(f"{name}/100/1" for name in tried),
                       *(f"{found['search']['chosen']}/{part}/1" for part in (50, 25))}
    assert found["cost"]["trained"] == 3 and found["cost"]["curve_trained"] == 2
    assert 0 < found["cost"]["work"] < found["cost"]["sweep_work"]
    scored = list(runs(place).glob("*/*/*/scores.csv"))
    assert scored == [runs(place) / found["search"]["chosen"] / "100/1/scores.csv"]


def test_the_auc_is_that_of_the_training(place: Path, advised: str) -> None:
    for one in advice(place)["search"]["measured"]:
        folder = runs(place) / one["name"] / "100/1"
        judged = read_validation(folder)
        assert judged is not None and judged.name == YARDSTICK
        assert auc(judged.labels, judged.probabilities) == pytest.approx(one["auc"])
        assert read_json(folder / "result.json")["best_auc"] == pytest.approx(one["auc"], abs=1e-9)


def test_less_data_is_judged_on_the_same_patches(place: Path, advised: str) -> None:
    found = advice(place)
    assert [point["fraction"] for point in found["curve"]] == [25, 50, 100]
    groups = [point["groups"] for point in found["curve"]]
    assert groups == sorted(groups) and groups[0] < groups[-1]
    whole, part = (read_validation(runs(place) / found["search"]["chosen"] / name / "1")
                   for name in ("100", "25"))
    assert whole is not None and part is not None
    assert np.array_equal(whole.keys, part.keys) and np.array_equal(whole.groups, part.groups)
    assert not np.array_equal(whole.probabilities, part.probabilities)


def test_the_recommended_network_is_exported(place: Path, advised: str, tmp_path: Path) -> None:
    done = layerwise("export", runs(place), "--out", tmp_path / "model")
    assert done.exit_code == 0, done.stderr
    chosen = advice(place)["search"]["chosen"]
    assert read_json(tmp_path / "model/model.json")["depth"] == chosen
    assert "(on validation-100 AUC " in (tmp_path / "model/MODEL_CARD.md").read_text()
    (tmp_path / "r/own/scans-mini").mkdir(parents=True)
    (tmp_path / "r/own/scans-mini/cases.csv").write_text("")
    done = layerwise("export", tmp_path / "r/own/scans-mini", "--out", tmp_path / "other")
    assert done.exit_code == 2 and "let `layerwise recommend` choose" in done.stderr


def test_a_sweep_goes_on_from_there_and_draws(place: Path, advised: str) -> None:
    done = layerwise("sweep", "own", "--images", place / "scans", "--depths", "fc8,fc7",
                     *training_options(place, place / "random.caffemodel"))
    assert done.exit_code == 0, done.stderr
    assert "fc7 100% seed 1: scored" in done.stdout
    figures = {path.name for path in (place / "runs/figures/own/scans-mini").iterdir()}
    assert {"depths.png", "report.html", "pairs.md"} <= figures and "claims.md" not in figures


def test_again_it_says_the_same_and_trains_nothing(place: Path, advised: str) -> None:
    before = {path: path.stat().st_mtime_ns for path in runs(place).rglob("*.caffemodel")}
    again = command(place)
    assert again.exit_code == 0 and {
        path: path.stat().st_mtime_ns for path in runs(place).rglob("*.caffemodel")} == before
    ours = [line for line in advised.splitlines() if "[" in line]
    assert [line for line in again.stdout.splitlines() if "[" in line] == ours


def test_where_smaller_training_sets_cannot_be_made_it_says_why(
        place: Path, advised: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from layerwise import recommend

    def make(wanted: Wanted) -> tuple[Setting, list[Run]]:
        if wanted.fractions != (100,):
            raise InputError("train-25: only 0 balanced patches")
        return session.make(wanted)

    monkeypatch.setattr(recommend, "make", make)
    done = command(place)
    assert done.exit_code == 0, done.stderr
    assert "more data: unknown, no smaller training sets (train-25: only 0 bal" in done.stdout
    assert "for the learning curve" not in done.stdout


@pytest.mark.parametrize("arguments, message", [
    (["own"], "task own: name your images by --images"),
    (["own", "--images", "nowhere"], "nowhere: no such file or folder"),
    (["polyp", "--negative", "x"], "--negative is for task own"),
    (["polyp", "--upright"], "--upright is for task own"),
    (["own", "--fractions", "0"], "'0' is no list of different integers"),
])
def test_mistakes_are_one_line(arguments: list[str], message: str, tmp_path: Path) -> None:
    done = layerwise("recommend", *arguments, "--data", tmp_path / "d", "--runs", tmp_path / "r")
    assert done.exit_code == 2 and done.stderr.startswith("layerwise: ")
    assert message in done.stderr and len(done.stderr.splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_validation_h5_survives_a_round_trip(tmp_path: Path) -> None:
    judged = Judged("validation-100", np.array(["00000000", "00000001"]),
                    np.array(["Müller", "b"]), np.array([0, 1]), np.array([[0.25, 0.75], [1, 0]]))
    write_validation(tmp_path, judged)
    found = read_validation(tmp_path)
    assert found is not None and found.name == judged.name
    assert found.groups.tolist() == ["Müller", "b"] and found.labels.tolist() == [0, 1]
    assert np.array_equal(found.probabilities, judged.probabilities)
    assert read_validation(tmp_path / "empty") is None
