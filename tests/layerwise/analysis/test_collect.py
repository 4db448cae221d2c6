"""Finding runs, and refusing files that contradict their place."""
from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from synthetic import write_boundary_study, write_curve_study

from layerwise.analysis.collect import collect
from layerwise.errors import InputError


@pytest.fixture
def study_root(tmp_path: Path) -> Path:
    return write_curve_study(tmp_path / "runs", "polyp", groups=3, per_group=4,
                             inits=("fc8", "scratch-gaussian"))


def test_all_runs_are_found_in_the_papers_order(results: Path) -> None:
    studies = collect([results])
    assert [study.task.name for study in studies] == ["polyp", "frames", "cimt"]
    polyp = studies[0]
    assert [(run.fraction, run.seed) for run in polyp.runs if run.init == "conv1"] == [
        (100, 0), (100, 1), (50, 0), (50, 1), (25, 0), (25, 1)]
    assert polyp.inits()[:2] == ["fc8", "fc7"]
    assert polyp.test_groups == 12
    assert polyp.stand_ins() == "data: phantom (stand-in) · source weights: distilled stand-in"


def test_real_data_are_not_called_a_stand_in(study_root: Path) -> None:
    for path in study_root.rglob("config.json"):
        content = json.loads(path.read_text())
        path.write_text(json.dumps({**content, "stand_in_data": None, "stand_in_weights": None}))
    assert collect([study_root])[0].stand_ins() == "data: phantom"


@pytest.mark.parametrize(("ended_by", "best", "auc", "signs"), [
    ("iterations", 400, 0.8, "‡"), ("iterations", 350, 0.6, ""), ("patience", 400, 0.8, ""),
    ("patience", 300, 0.59, "§"), ("iterations", 400, float("-inf"), "‡§")])
def test_how_training_ended_is_noticed(study_root: Path, ended_by: str, best: int, auc: float,
                                       signs: str) -> None:
    path = study_root / "polyp/phantom/fc8/100/0/result.json"
    path.write_text(json.dumps({"ended_by": ended_by, "iterations": 400, "best_iteration": best,
                                "best_auc": auc}))
    study = collect([study_root])[0]
    assert study.signs("fc8") == signs
    assert study.signs("scratch-gaussian") == ""        # it has no result.json
    path.write_text('{"ended_by": "iterations"}')
    with pytest.raises(InputError, match=r"result\.json: key iterations is missing"):
        collect([study_root])


def test_all_fractions_share_one_test_set(study_root: Path) -> None:
    replace_text("scores.csv", "-0,", "-x,")(study_root / "polyp/phantom/scratch-gaussian/25/0")
    with pytest.raises(InputError, match="scratch-gaussian/25/0: scores.csv holds other"):
        collect([study_root])


def test_fractions_may_have_other_training_data(study_root: Path) -> None:
    change_config(data_sha256="less")(study_root / "polyp/phantom/scratch-gaussian/25/0")
    assert len(collect([study_root])[0].runs) == 4


def test_every_frame_must_be_scored(tmp_path: Path) -> None:
    write_curve_study(tmp_path, "frames", groups=3, per_group=4, inits=("fc8",))
    path = tmp_path / "frames/phantom/fc8/100/0/scores.csv"
    path.write_text("\n".join(path.read_text().splitlines()[:-1]) + "\n")
    with pytest.raises(InputError, match="g02c003 has no score"):
        collect([tmp_path])


def test_different_training_is_said(study_root: Path) -> None:
    one, other = (study_root / "polyp/phantom" / init / "100/0"
                  for init in ("fc8", "scratch-gaussian"))
    shared = {"batch_size": 16, "mean_bgr": [104.0, 117.0, 123.0], "patience": 0}
    change_config(iterations=40, **shared)(one)
    change_config(iterations=80, **shared)(other)
    study = collect([study_root])[0]
    assert study.stand_ins().endswith(" · runs differ in iterations (40, 80)")
    assert "differ" not in study.stand_ins(study.of("fc8"))
    change_config(mean_bgr=[104.5, 117.0, 123.0], patience=20)(one)
    assert collect([study_root])[0].stand_ins().endswith(
        " · runs differ in mean_bgr (104/117/123, 104.5/117/123), iterations (40, 80), "
        "patience (0, 20)")


def test_a_run_without_scores_is_missing(study_root: Path) -> None:
    (study_root / "polyp/phantom/fc8/100/0/scores.csv").unlink()
    study = collect([study_root])[0]
    assert study.missing == ("fc8/100/0",)
    assert "fc8" not in study.inits()


def test_a_data_set_without_any_scores_is_left_out(study_root: Path, tmp_path: Path) -> None:
    shutil.copytree(study_root / "polyp/phantom", study_root / "polyp/other")
    for path in (study_root / "polyp/other").rglob("scores.csv"):
        path.unlink()
    assert [study.dataset for study in collect([study_root])] == ["phantom"]
    with pytest.raises(InputError, match="no runs found"):
        collect([study_root / "polyp/other"])


def test_two_folders_are_put_together(study_root: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(study_root, other)
    shutil.rmtree(study_root / "polyp/phantom/fc8")
    shutil.rmtree(other / "polyp/phantom/scratch-gaussian")
    assert collect([study_root, other])[0].inits() == ["fc8", "scratch-gaussian"]
    cases = other / "polyp/phantom/cases.csv"
    cases.write_text(cases.read_text() + "more,g99,test,0\n")
    with pytest.raises(InputError, match="differs from the cases.csv"):
        collect([study_root, other])


def test_the_same_run_twice(study_root: Path, tmp_path: Path) -> None:
    shutil.copytree(study_root, tmp_path / "copy")
    with pytest.raises(InputError, match="the same run is also in"):
        collect([study_root, tmp_path / "copy"])


def change_config(**changes: object) -> Callable[[Path], None]:
    def change(run: Path) -> None:
        content = json.loads((run / "config.json").read_text())
        content.update(changes)
        (run / "config.json").write_text(json.dumps(
            {key: value for key, value in content.items() if value != "REMOVED"}))
    return change


def replace_text(name: str, old: str, new: str) -> Callable[[Path], None]:
    def change(run: Path) -> None:
        text = (run / name).read_text()
        assert old in text
        (run / name).write_text(text.replace(old, new, 1))
    return change


@pytest.mark.parametrize(("damage", "message"), [
    (lambda run: (run / "config.json").unlink(), "config.json: no such file"),
    (lambda run: (run / "config.json").write_text("{"), "not a JSON file"),
    (lambda run: (run / "config.json").write_text("[]"), "expected a JSON object"),
    (change_config(seed="0"), "seed is '0', which is of the wrong type"),
    (change_config(seed=True), "wrong type"),
    (change_config(fraction=50), "the folder says '100'"),
    (change_config(task="pe"), "the folder says 'polyp'"),
    (change_config(stand_in_data="REMOVED"), "key stand_in_data is missing"),
    (replace_text("scores.csv", "p_polyp", "p_embolism"), "classes background, embolism"),
    (replace_text("scores.csv", "case,", "kase,"), "columns must be"),
    (replace_text("scores.csv", "g00,", "g01,"), "cases.csv says g00"),
    (lambda run: (run.parents[2] / "cases.csv").unlink(), "cases.csv: no such file"),
    (replace_text("scores.csv", "-0,", "-x,"), "scratch-gaussian.*other candidates.*fc8/100/0"),
    (lambda run: (run / "scores.csv").write_text("\n".join(
        (run / "scores.csv").read_text().splitlines()[:-1]) + "\n"), "same test set"),
    (replace_text("scores.csv", ",,0,", ",,1,"), "label 1 and lesion ''"),
    (change_config(test_sha256="other"), "scratch-gaussian.*names another test set.*fc8/100/0"),
    (change_config(data_sha256="other"), "scratch-gaussian.*names other data.*fc8/100/0"),
    (lambda run: run.parents[1].rename(run.parents[2] / "fc9"), "unknown system|the folder says"),
])
def test_contradictions(study_root: Path, damage: Callable[[Path], None], message: str) -> None:
    damage(study_root / "polyp/phantom/fc8/100/0")
    with pytest.raises(InputError, match=message):
        collect([study_root])


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such folder"):
        collect([tmp_path / "none"])
    with pytest.raises(InputError, match="no runs found"):
        collect([tmp_path])


@pytest.mark.parametrize(("damage", "message"), [
    (replace_text("boundary.csv", "lumen_intima", "lumen"), "unknown interface 'lumen'"),
    (replace_text("boundary.csv", ",lumen_intima,", ",lumen_intima,-"), "expected a distance"),
    (replace_text("boundary.csv", "g00c001", "g00c000"), "occurs twice"),
    (replace_text("boundary.csv", "g00c000", "other"), "no test case"),
    (lambda run: (run / "boundary.csv").write_text("case,group,interface,error_um\n"),
     r"lumen_intima of g00c000 is missing \(264 rows in all\)"),
])
def test_boundary_errors_are_checked(tmp_path: Path, damage: Callable[[Path], None],
                                     message: str) -> None:
    write_boundary_study(tmp_path, ("fc8",))
    damage(tmp_path / "cimt/phantom/fc8/100/0")
    with pytest.raises(InputError, match=message):
        collect([tmp_path])
