"""Figures: which are drawn, the same bytes twice, axes, legends, stand-ins and fallbacks shown."""
from __future__ import annotations

import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from synthetic import write_boundary_study, write_curve_study, write_log, write_result

from layerwise import cli
from layerwise.analysis.boundary_figures import read_example
from layerwise.analysis.collect import collect
from layerwise.analysis.convergence_figure import draw_convergence, draw_training
from layerwise.analysis.curves import CURVE_FIGURES, draw_curves, mean_curve
from layerwise.analysis.figures import draw_figures, figures_of
from layerwise.analysis.froc import Froc
from layerwise.analysis.intervals import BARS, METHODS
from layerwise.analysis.operating import operating_table
from layerwise.analysis.report import write_report
from layerwise.analysis.style import figure_style
from layerwise.analysis.systems import SYSTEMS
from layerwise.contracts import Score, read_scores, write_scores
from layerwise.errors import InputError
from layerwise.runs import EXAMPLE
from layerwise.tasks import TASKS


def example_arrays() -> dict[str, np.ndarray]:
    lines = np.full((2, 12), 3.0)
    return {"roi": np.zeros((8, 12), np.uint8), "confidence": np.zeros((2, 8, 12)),
            "steps": lines, "snakes": lines, "truth": lines}


def test_every_figure_with_results_twice_the_same(results: Path, tmp_path: Path) -> None:
    np.savez(results / "cimt/phantom/conv1/100/0" / EXAMPLE, **example_arrays())
    first = draw_figures([results], tmp_path / "one")
    second = draw_figures([results], tmp_path / "two")
    names = {str(path.relative_to(tmp_path / "one")) for path in first}
    assert names == {f"{folder}/phantom/{name}.{kind}" for kind in ("pdf", "png")
                     for folder, figures in (("polyp", ("fig2a", "fig2b", "fig10")),
                                             ("frames", ("fig6a", "fig6b", "fig10")),
                                             ("cimt", ("fig8", "fig9a", "fig9b", "fig10")))
                     for name in figures}
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]
    assert b"CreationDate" not in first[0].read_bytes()


def test_figure_2a_is_the_papers(results: Path) -> None:
    study = collect([results])[0]
    with figure_style():
        figure = draw_curves(CURVE_FIGURES[0], study, operating_table(study))
        axes = figure.axes[0]
        assert axes.get_xscale() == "log"
        assert axes.get_xlim() == pytest.approx((1e-4, 1e1))
        assert (axes.get_xlabel(), axes.get_ylabel()) == ("False Positives Per Frame",
                                                          "Sensitivity")
        assert [text.get_text() for text in figure.legends[0].get_texts()] == [
            "Fine-tuned AlexNet:only fc8", "Fine-tuned AlexNet:fc7-fc8",
            "Fine-tuned AlexNet:conv4-fc8", "Fine-tuned AlexNet:conv1-fc8", "AlexNet scratch",
            "hand-crafted method"]
        caption = figure.texts[-1].get_text()
    assert "data: phantom (stand-in) · source weights: distilled stand-in" in caption
    assert "bars: 95%, group bootstrap over 12 videos with lesions" in caption
    assert "each thin" in caption


def test_bars_are_the_bootstraps_however_many_groups(tmp_path: Path) -> None:
    """The paper's model stays too narrow with many groups; it is drawn only when asked for."""
    write_curve_study(tmp_path, "polyp", groups=25, per_group=12, inits=("fc8",))
    study = collect([tmp_path])[0]
    assert study.evidence_groups == 25
    table = operating_table(study)
    with figure_style():
        drawn, asked = (draw_curves(CURVE_FIGURES[0], study, table, *method).texts[-1].get_text()
                        for method in ((), ("idca",)))
    assert "bars: 95%, group bootstrap over 25 videos with lesions" in drawn
    assert "bars: 95%, candidate-analysis model" in asked


def test_the_command_offers_every_method() -> None:
    option = next(one for one in cli.figures.params if one.name == "method")
    assert set(option.type.choices) == set(METHODS) and option.default == BARS


def test_captions_name_runs_to_be_read_with_care(tmp_path: Path) -> None:
    write_curve_study(tmp_path, "frames", groups=6, per_group=10,
                      inits=("conv1", "scratch-gaussian"))
    write_boundary_study(tmp_path, ("conv1",))
    write_result(tmp_path / "frames/phantom/scratch-gaussian/10/0", best_auc=0.43)
    write_result(tmp_path / "frames/phantom/scratch-gaussian/100/0", best_auc=0.43)
    for task in ("frames", "cimt"):
        write_result(tmp_path / task / "phantom/conv1/100/0", best_iteration=400)
    captions = {}
    with figure_style():
        for study in collect([tmp_path]):
            table = operating_table(study)
            captions |= {f"{study.task.name} {name}": " ".join(figure.texts[-1].get_text().split())
                         for name, figure in figures_of(study, table)}
    still = "‡ may not have finished improving (its best validation was the last): FT:conv1-fc8"
    near_chance = "§ near chance in validation (its best AUC is below 0.6): AlexNet scratch"
    assert all(still in caption for caption in captions.values()) and len(captions) == 6
    assert f"{near_chance}, AlexNet scratch at 10%" in captions["frames fig6b"]
    assert f"{near_chance}" in captions["frames fig10"] and "10%" not in captions["frames fig10"]


def test_no_bar_is_cut_off(results: Path) -> None:
    """The paper's axis starts at 0.5; a bar that reaches lower lowers it."""
    study = collect([results])[1]
    spec = next(one for one in CURVE_FIGURES if one.name == "fig6a")
    table = operating_table(study)
    lows = [table[key].mean("bootstrap", point).low for key in spec.systems()
            for point in table[key].points]
    with figure_style():
        bottom, top = draw_curves(spec, study, table).axes[0].get_ylim()
    assert bottom <= min(lows) < 0.5 and top == 1.0


def test_a_degenerate_model_is_named_in_the_figure(tmp_path: Path) -> None:
    write_curve_study(tmp_path, "polyp", groups=6, per_group=15, inits=("fc8", "conv1"))
    path = tmp_path / "polyp/phantom/conv1/100/0/scores.csv"
    rows, _ = read_scores(path)
    write_scores(path, [Score(row.case, row.group, row.candidate, row.lesion, row.label,
                              (0.1, 0.9) if row.lesion else (0.9, 0.1)) for row in rows],
                 ("background", "polyp"))
    study = collect([tmp_path])[0]
    with figure_style():
        figure = draw_curves(CURVE_FIGURES[0], study, operating_table(study), "idca")
        caption = " ".join(figure.texts[-1].get_text().split())
    assert ("group bootstrap instead (idca: the scores of the two classes do not overlap, or are "
            "all equal): FT:conv1-fc8 at 0.001") in caption
    assert "fewer than 5 false positives allowed at 0.001, 0.01: not resolved" in caption
    assert "markers lie on the fitted model, lines are step curves" in caption


def test_no_runs_no_figure(tmp_path: Path) -> None:
    write_curve_study(tmp_path, "polyp", groups=3, per_group=5, inits=("conv3",))
    (tmp_path / "polyp/phantom/conv3/100/0/log.csv").unlink()
    study = collect([tmp_path])[0]
    with figure_style():
        assert list(figures_of(study, operating_table(study))) == []


@pytest.mark.parametrize("evaluation", ["froc", "roc"])
def test_a_further_task_has_figures_without_rows_of_its_own(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch, evaluation: str) -> None:
    like = "polyp" if evaluation == "froc" else "frames"
    monkeypatch.setitem(TASKS, "tb", replace(TASKS[like], name="tb", title="Nodules",
                                             fractions=(1.0, 0.5)))
    write_curve_study(tmp_path, "tb", groups=6, per_group=8, inits=("conv1", "fc8"))
    study = collect([tmp_path])[0]
    with figure_style():
        drawn = dict(figures_of(study, operating_table(study)))
    assert set(drawn) == {"depths", "fractions", "fig10"}
    assert len(drawn["fractions"].axes) == 2
    assert drawn["depths"].axes[0].get_xlabel() == (
        "False Positives Per Frame" if evaluation == "froc" else "1−specificity")
    page, = write_report([tmp_path], tmp_path / "out")
    assert "Nodules: phantom" in page.read_text() and "Less training data" in page.read_text()


def test_figures_on_less_data_need_less_data(tmp_path: Path) -> None:
    write_curve_study(tmp_path, "polyp", groups=3, per_group=5, inits=("conv1", "fc8"))
    with figure_style():
        assert CURVE_FIGURES[1].drawable(collect([tmp_path])[0])
        for fraction in ("50", "25"):
            shutil.rmtree(tmp_path / "polyp/phantom/conv1" / fraction)
        study = collect([tmp_path])[0]
        names = [name for name, _ in figures_of(study, operating_table(study))]
    assert names == ["fig2a", "fig10"]


def test_styles_differ_without_colour() -> None:
    """Curves of one figure differ in line or marker, and no two colours are alike in grey too."""
    for spec in CURVE_FIGURES:
        systems = [SYSTEMS[init] for init in dict.fromkeys(init for init, _ in spec.systems())]
        assert len({(str(one.line), one.marker) for one in systems}) == len(systems)
        assert len({one.marker for one in systems}) == len(systems)
        assert len({str(one.line) for one in systems}) == len(systems)
        assert len({to_rgb(one.colour) for one in systems}) == len(systems)


def test_mean_curve_by_hand() -> None:
    one = Froc(np.array([np.inf, 0.9, 0.5]), np.array([0.0, 0.0, 1.0]), np.array([0.0, 0.5, 1.0]),
               2, 2)
    two = Froc(np.array([np.inf, 0.9]), np.array([0.0, 0.5]), np.array([0.0, 1.0]), 2, 2)
    rates, values = mean_curve([one, two])
    assert rates.tolist() == [0.0, 0.5, 1.0]
    assert values.tolist() == [0.25, 0.75, 1.0]


def test_nan_is_visible_in_the_convergence_figure(tmp_path: Path) -> None:
    write_curve_study(tmp_path, "polyp", groups=3, per_group=5, inits=("conv1",))
    log = tmp_path / "polyp/phantom/conv1/100/0/log.csv"
    write_log(log, 0.9, 0.1, seed=0)
    log.write_text(log.read_text() + "410,1.3,0.001,nan,nan,205\n")
    study = collect([tmp_path])[0]
    with figure_style():
        figure = draw_convergence(study)
        crosses = [line for line in figure.axes[0].lines if line.get_marker() == "x"]
        assert [line.get_xdata().tolist() for line in crosses] == [[410]]
        assert "gave no AUC (NaN)" in figure.texts[-1].get_text()
        assert figure.axes[0].get_xscale() == "log"


def test_labels_of_the_convergence_figure_stand_apart(tmp_path: Path) -> None:
    """20 to 80 mini-batches: within one decade Matplotlib would label 2, 3, 4 and 6 x 10 too."""
    write_curve_study(tmp_path, "polyp", groups=3, per_group=5, inits=("conv1",))
    log = tmp_path / "polyp/phantom/conv1/100/0/log.csv"
    log.write_text("iteration,epoch,lr,loss,validation_auc,seconds\n" + "".join(
        f"{20 * i},0,0.001,0.5,0.7,{i}\n" for i in range(1, 5)))
    with figure_style():
        figure = draw_convergence(collect([tmp_path])[0])
        renderer = FigureCanvasAgg(figure).get_renderer()
        axis = figure.axes[0].xaxis
        labels = [tick.label1 for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks())]
        figure.draw(renderer)
        boxes = sorted((label.get_window_extent(renderer) for label in labels
                        if label.get_text() and label.get_visible()), key=lambda box: box.x0)
    assert len(boxes) >= 2
    assert all(right.x0 - left.x1 > 4 for left, right in zip(boxes, boxes[1:]))   # pixels: a digit


@pytest.mark.parametrize("change", [{"truth": np.zeros((2, 5))}, {"roi": np.zeros((0, 0))},
                                    {"confidence": None}])
def test_examples_are_checked(tmp_path: Path, change: dict[str, np.ndarray | None]) -> None:
    arrays = {**example_arrays(), **change}
    np.savez(tmp_path / "e.npz", **{k: v for k, v in arrays.items() if v is not None})
    with pytest.raises(InputError, match="e.npz"):
        read_example(tmp_path / "e.npz")


def test_one_failing_seed_is_a_cross(tmp_path: Path) -> None:
    write_curve_study(tmp_path, "polyp", seeds=2, groups=3, per_group=5, inits=("conv1",))
    log = tmp_path / "polyp/phantom/conv1/100/1/log.csv"
    log.write_text(re.sub(r"(?m)^390,(.*),[0-9.]+,([0-9.]+)$", r"390,\1,nan,\2", log.read_text()))
    assert ",nan," in log.read_text()
    with figure_style():
        figure = draw_convergence(collect([tmp_path])[0])
    crosses = [line for line in figure.axes[0].lines if line.get_marker() == "x"]
    assert [line.get_xdata().tolist() for line in crosses] == [[390]]
    mean = next(line for line in figure.axes[0].lines if line.get_label() == "FT:conv1-fc8")
    assert np.isnan(mean.get_ydata()[mean.get_xdata() == 390]).all()
    thin = [line for line in figure.axes[0].lines if line.get_linewidth() == 0.4]
    assert len(thin) == 2


def test_training_curves_name_the_stand_ins(results: Path) -> None:
    with figure_style():
        figure = draw_training(collect([results])[0])
    assert "phantom (stand-in)" in figure.texts[-1].get_text()
