"""The task of your own images: its row, its AUC, its networks, its curves by class."""
from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from layerwise.analysis.collect import collect
from layerwise.analysis.curves import curve_figures, draw_curves
from layerwise.analysis.figures import draw_figures
from layerwise.analysis.operating import operating_table
from layerwise.analysis.report import write_report
from layerwise.analysis.style import figure_style
from layerwise.analysis.tables import write_tables
from layerwise.contracts import Case, Score, write_rows, write_scores
from layerwise.errors import InputError
from layerwise.generate import committed
from layerwise.ranking import class_log_odds, lesion_log_odds
from layerwise.runs import write_json
from layerwise.score import auc
from layerwise.tasks import TASKS, task_named

CLASSES = ("well", "mild", "severe")


def probabilities(rng: np.random.Generator, count: int, classes: int) -> np.ndarray:
    raw = np.exp(rng.normal(0, 2, (count, classes)))
    return np.asarray(raw / raw.sum(axis=1, keepdims=True))


def test_its_classes_come_from_the_images() -> None:
    task = task_named("own", CLASSES)
    assert task.classes == CLASSES and task.last_layer == "fc8_own" and "own" not in TASKS
    assert task_named("polyp", CLASSES).classes == ("background", "polyp")
    with pytest.raises(InputError, match="and own for your own images"):
        task_named("mine")


@given(seed=st.integers(0, 100), classes=st.integers(3, 5))
def test_the_auc_is_the_mean_of_each_class_against_the_rest(seed: int, classes: int) -> None:
    rng = np.random.default_rng(seed)
    values, labels = probabilities(rng, 60, classes), rng.integers(0, classes, 60)
    found = [roc_auc_score(labels == label, values[:, label]) for label in range(classes)
             if 0 < np.sum(labels == label) < 60]
    assert auc(labels, values, "one-vs-rest") == pytest.approx(np.mean(found))


@given(seed=st.integers(0, 100))
def test_of_two_classes_it_is_the_auc_of_all_tasks(seed: int) -> None:
    rng = np.random.default_rng(seed)
    values, labels = probabilities(rng, 30, 2), np.arange(30) % 2
    assert auc(labels, values, "one-vs-rest") == auc(labels, values)
    assert np.array_equal(class_log_odds(values, 1), lesion_log_odds(values))


def test_absent_classes_are_left_out_and_one_class_alone_has_no_auc() -> None:
    values = probabilities(np.random.default_rng(0), 20, 4)
    labels = np.arange(20) % 2
    expected = np.mean([roc_auc_score(labels == one, values[:, one] / (1 - values[:, one]))
                        for one in (0, 1)])
    assert auc(labels, values, "one-vs-rest") == pytest.approx(expected)
    with pytest.raises(ValueError, match="all labels are the same"):
        auc(np.ones(20, int), values, "one-vs-rest")


def test_the_generator_makes_its_networks_as_for_the_four_tasks() -> None:
    files = committed(task_named("own", CLASSES))
    assert len(files) == len(committed(TASKS["polyp"])) == 23
    text = files[Path("prototxt/own/conv4_train_val.prototxt")]
    assert 'name: "fc8_own"' in text and "num_output: 3" in text


def write_runs(root: Path, classes: tuple[str, ...], seed: int = 0) -> Path:
    """Scores of three depths on 24 cases of 8 groups, the deeper the better."""
    folder, rng = root / "own" / "scans-mini", np.random.default_rng(seed)
    cases = [Case(f"c{i:02d}", f"p{i % 8}", "test" if i < 24 else "train", int(i % 3 > 0))
             for i in range(48)]
    for strength, init in enumerate(("fc8", "conv4", "conv1")):
        run = folder / init / "100" / "1"
        run.mkdir(parents=True)
        rows = []
        for i, case in enumerate(cases[:24]):
            label = i % len(classes)
            raw = np.exp(rng.normal(0, 1, len(classes)) + strength * np.eye(len(classes))[label])
            rows.append(Score(case.case, case.group, case.case, case.case if label else "", label,
                              tuple(float(value) for value in raw / raw.sum())))
        write_scores(run / "scores.csv", rows, classes)
        write_json(run / "config.json", {
            "task": "own", "dataset": "scans-mini", "init": init, "fraction": 100, "seed": 1,
            "classes": list(classes), "stand_in_data": None, "stand_in_weights": None})
        (run / "log.csv").write_text("iteration,epoch,lr,loss,validation_auc,seconds\n"
                                     "0,0,0.001,,0.5,0\n2,1,0.001,0.6,0.8,1\n")
    write_rows(folder / "cases.csv", cases, Case)
    return root


def test_many_classes_are_a_study_each(tmp_path: Path) -> None:
    studies = collect([write_runs(tmp_path, CLASSES)])
    assert [one.dataset for one in studies] == [f"scans-mini/{name}" for name in CLASSES]
    for study in studies:
        assert study.task.classes == ("rest", study.dataset.split("/")[1])
        assert study.marks is not None
        assert (study.marks.lesions, study.marks.cases) == (8, 16)


def test_two_classes_are_one_study(tmp_path: Path) -> None:
    study, = collect([write_runs(tmp_path, ("well", "ill"))])
    assert study.dataset == "scans-mini" and study.task.classes == ("well", "ill")


def test_figures_tables_and_report(tmp_path: Path) -> None:
    root = write_runs(tmp_path / "runs", CLASSES)
    drawn = {path.relative_to(tmp_path).as_posix() for path in
             draw_figures([root], tmp_path / "out", "wilson")}
    assert "out/own/scans-mini/severe/depths.png" in drawn
    assert "out/own/scans-mini/mild/fig10.pdf" in drawn and len(drawn) == 12
    texts = {path.name: path.read_text() for path in write_tables([root], tmp_path / "out")
             if "severe" in str(path)}
    assert "higher sensitivity to severe at" in texts["pairs.md"]
    assert "**Sensitivity to severe [95% interval], group bootstrap**" \
        in texts["operating-points.md"]
    study = collect([root])[2]
    with figure_style():
        figure = draw_curves(curve_figures(study.task)[0], study,
                             operating_table(study))
    assert "\nsensitivity to severe; bars: 95%, group bootstrap" in figure.texts[-1].get_text()
    pages = write_report([root], tmp_path / "out", "wilson")
    assert "severe against the rest" in pages[2].read_text()
