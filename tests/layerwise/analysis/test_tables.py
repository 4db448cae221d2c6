"""Tables: the paper's own rows, the layout, and the three formats."""
from __future__ import annotations

import csv
import io
from dataclasses import replace
from pathlib import Path

import pytest
from synthetic import write_curve_study, write_result

from layerwise.analysis.pair_tables import format_p
from layerwise.analysis.paper_values import FIG9_UM, PRINTED_POINTS, S4_P, SIGNIFICANT
from layerwise.analysis.systems import TEN_SYSTEMS, pairs
from layerwise.analysis.tables import table_i, table_ii, write_tables
from layerwise.analysis.textable import TextTable
from layerwise.contracts import read_scores, write_scores


def test_table_i_is_the_papers() -> None:
    rows = {row[0]: row[1:] for row in table_i().rows}
    assert list(rows) == ["data", "conv1", "pool1", "conv2", "pool2", "conv3", "conv4", "conv5",
                          "pool5", "fc6", "fc7", "fc8"]
    assert rows["data"] == ("input", "3x227x227", "N/A", "N/A", "N/A", "3x227x227")
    assert rows["conv1"] == ("convolution", "3x227x227", "11x11", "4", "0", "96x55x55")
    assert rows["pool5"] == ("max pooling", "256x13x13", "3x3", "2", "0", "256x6x6")
    assert rows["fc6"] == ("fully connected", "256x6x6", "6x6", "1", "0", "4096x1")
    assert rows["fc8"] == ("fully connected", "4096x1", "1x1", "1", "0", "Cx1")


def test_table_ii_is_the_papers() -> None:
    rows = {row[0]: row[1:] for row in table_ii().rows}
    assert rows["Fine-tuned AlexNet:only fc8"] == ("0.9", *["0"] * 7, "0.01", "0.95")
    assert rows["Fine-tuned AlexNet:conv4-fc8"] == ("0.9", *["0"] * 3, *["0.001"] * 4, "0.01",
                                                    "0.95")
    assert rows["AlexNet scratch"] == ("0.9", *["0.001"] * 8, "0.95")


def test_the_papers_values_are_complete() -> None:
    all_pairs = set(pairs(TEN_SYSTEMS))
    assert len(all_pairs) == 45
    for task, cells in SIGNIFICANT.items():
        assert set(cells) == all_pairs
        assert {point for cell in cells.values() for point in cell.points} \
            == set(PRINTED_POINTS[task])
    for interface in ("lumen_intima", "media_adventitia"):
        assert set(S4_P[interface]) == all_pairs
        assert list(FIG9_UM[interface]) == list(TEN_SYSTEMS)
    assert S4_P["lumen_intima"]["conv4", "conv5"] == ".5808"
    assert S4_P["media_adventitia"]["scratch-gaussian", "conv1"] == "<.05"
    assert S4_P["lumen_intima"]["handcrafted", "fc8"] == ".8148"
    assert FIG9_UM["media_adventitia"]["handcrafted"] == (106.62, 21.00)
    assert SIGNIFICANT["polyp"]["scratch-gaussian", "fc7"].points == (0.01,)
    assert SIGNIFICANT["pe"]["conv1", "fc6"].points == (3.0,)
    assert SIGNIFICANT["frames"]["handcrafted", "scratch-gaussian"].points == (0.15, 0.20)


@pytest.mark.parametrize(("p", "text"), [(0.00003, "<.0001"), (0.0004, "<.001"), (0.0638, ".0638"),
                                         (0.5, ".5000"), (1.0, "1")])
def test_p_values_in_the_papers_style(p: float, text: str) -> None:
    assert format_p(p) == text


def test_three_formats() -> None:
    table = TextTable("t", "A & B", ("x", "p<.05 | µ"), (("50%", "a, b"), ("−1", "2|3")),
                      "Note_1.", (("data", "phantom"),))
    assert table.markdown().splitlines()[2:6] == [
        "| x | p<.05 \\| µ |", "|---|---|", "| 50% | a, b |", "| −1 | 2\\|3 |"]
    assert list(csv.reader(io.StringIO(table.csv()))) == [
        ["x", "p<.05 | µ", "data"], ["50%", "a, b", "phantom"], ["−1", "2|3", "phantom"]]
    latex = table.latex()
    assert r"\caption{A \& B}" in latex
    assert r"  50\% & a, b \\" in latex and r"  $-$1 & 2|3 \\" in latex
    assert r"p$<$.05" in latex and r"Note\_1." in latex
    assert "<th>p&lt;.05 | µ</th>" in table.html()
    with pytest.raises(ValueError, match="cells"):
        TextTable("t", "", ("x",), (("1", "2"),))


@pytest.fixture(scope="module")
def tables(results: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with all tables of the made-up results."""
    out = tmp_path_factory.mktemp("tables")
    written = write_tables([results], out)
    assert sorted(written) == sorted(path for path in out.rglob("*") if path.is_file())
    return out


def test_all_tables_are_written(tables: Path) -> None:
    names = {str(path.relative_to(tables)) for path in tables.rglob("*")}
    assert {"tables-I-II.md", "table-II.csv", "polyp/phantom/operating-points.md",
            "polyp/phantom/operating-idca.csv", "polyp/phantom/pairs.tex",
            "polyp/phantom/table-S1.csv", "frames/phantom/table-S3-bootstrap.csv",
            "frames/phantom/auc.csv", "cimt/phantom/fig9.csv",
            "cimt/phantom/table-S4-lumen_intima.csv"} <= names
    rows = list(csv.DictReader((tables / "polyp/phantom/operating-wilson.csv").open()))
    conv1 = [row for row in rows if row["system"].endswith("conv1-fc8")
             and row["training data"] == "100%"]
    assert [row["seed"] for row in conv1] == ["0", "1", "mean"]
    assert list(rows[0])[3:] == ["0.001 FP/frame °", "0.01 FP/frame °", "0.1 FP/frame",
                                 "1 FP/frame", "data", "source weights"]
    text = (tables / "polyp/phantom/operating-points.md").read_text()
    assert "stand-in" in text and "12 groups" in text
    assert "At 0.001 FP/frame it allows no false positive at all" in text
    assert "Every candidate is one mark, several of one lesion are several" in text
    numbers = list(csv.DictReader((tables / "polyp/phantom/table-S1-numbers.csv").open()))
    assert len(numbers) == 45 * 4
    triangle = list(csv.reader((tables / "polyp/phantom/table-S1.csv").open()))
    assert len(triangle) == 10 and [len(row) for row in triangle] == [12] * 10
    assert triangle[1][2:10] == [""] * 8
    text = (tables / "polyp/phantom/pairs.md").read_text()
    assert "smallest attainable p 0.00049" in text          # twelve groups: 2^-11
    assert "the 90 comparisons at the table's points and over the 90 at the others" in text
    assert text.count("may still be too narrow") == 2       # under the bootstrap and the numbers
    assert "°: the test set allows fewer than 5 false positives at 0.001, 0.01" in text
    text = (tables / "cimt/phantom/table-S4.md").read_text()
    assert "Takes the 132 regions as independent, though they come from 11 subjects" in text
    assert "paired t-test over subjects' means, after Holm" in text


def test_the_papers_rule_is_held_against_the_paired_test(tables: Path) -> None:
    numbers = list(csv.DictReader((tables / "polyp/phantom/table-S1-numbers.csv").open()))
    apart = [row for row in numbers if row["bars apart"] == "1"]
    shared = sum(float(row["p"]) < 0.05 for row in apart)
    assert shared > 0
    assert {row["row method"] for row in numbers} <= {"bootstrap", "wilson", "bootstrap+wilson"}
    text = (tables / "polyp/phantom/pairs.md").read_text()
    assert {row["point"] for row in apart} == {"0.1", "1"}      # 300 frames do not resolve less
    assert (f". Of 90 comparisons at resolved points {len(apart)} are apart, of which {shared} "
            "have a paired p < .05 uncorrected") in text
    assert "Bars: group bootstrap. Of" in text
    assert "The paper's bars assume independent candidates" in text


def test_a_bar_of_another_method_is_named(tmp_path: Path) -> None:
    """A system that detects nothing in any resample has Wilson's bar."""
    write_curve_study(tmp_path / "runs", "polyp", groups=8, per_group=10, inits=("fc8", "conv1"))
    path = tmp_path / "runs/polyp/phantom/fc8/100/0/scores.csv"
    rows, classes = read_scores(path)
    write_scores(path, [replace(row, probabilities=(0.9, 0.1) if row.lesion else (0.1, 0.9))
                        for row in rows], classes)
    write_tables([tmp_path / "runs"], tmp_path / "out")
    text = (tmp_path / "out/polyp/phantom/pairs.md").read_text()
    assert "Bars: group bootstrap; Wilson interval instead (bootstrap: all resamples agree): " \
        "FT:only fc8 at 0.001, FT:only fc8 at 0.01, FT:only fc8 at 0.1, FT:only fc8 at 1. Of 2" \
        in text


def test_a_table_that_cannot_reject_says_so(tmp_path: Path) -> None:
    """Six groups: 2^-5 times three points times three pairs is .28."""
    write_curve_study(tmp_path / "runs", "frames", groups=6, per_group=30,
                      inits=("fc8", "conv1", "scratch-gaussian"))
    write_tables([tmp_path / "runs"], tmp_path / "out")
    folder = tmp_path / "out/frames/phantom"
    rows = list(csv.reader((folder / "table-S3-bootstrap.csv").open()))
    numbers = {(row["row"], row["column"], row["point"]): row for row in csv.DictReader(
        (folder / "table-S3-numbers.csv").open())}
    assert numbers["conv1", "fc8", "0.1"]["p Holm"] != numbers["conv1", "fc8", "0.1"]["p"]
    p = float(numbers["conv1", "fc8", "0.1"]["p"])
    assert rows[1][1].startswith(f"0.1: {format_p(p)}+, 0.15: ")
    text = (folder / "pairs.md").read_text()
    assert "n.s." not in text.split("p uncorrected**")[1].split("**Table")[0]
    assert ("After Holm over 9 comparisons this cannot be decided with 6 groups (smallest "
            "attainable corrected p = .2812)") in text


def test_how_training_ended_is_marked(tmp_path: Path) -> None:
    write_curve_study(tmp_path / "runs", "polyp", seeds=2, groups=6, per_group=20,
                      inits=("fc8", "conv1"))
    write_result(tmp_path / "runs/polyp/phantom/fc8/100/0", best_auc=0.5)
    run = tmp_path / "runs/polyp/phantom/conv1/100/1"
    write_result(run, best_iteration=400)
    write_tables([tmp_path / "runs"], tmp_path / "out")
    folder = tmp_path / "out/polyp/phantom"
    for name in ("operating-bootstrap", "auc"):
        marked = [(row["system"], row["seed"]) for row in csv.DictReader(
            (folder / f"{name}.csv").open()) if row["system"][-1] in "‡§"]
        assert marked == [*(("Fine-tuned AlexNet:only fc8 §", seed) for seed in ("0", "mean")),
                          *(("Fine-tuned AlexNet:conv1-fc8 ‡", seed) for seed in ("1", "mean"))]
    text = (folder / "operating-points.md").read_text()
    assert text.count("‡: may not have finished improving") == 4
    assert text.count("§: near chance in validation (its best AUC is below 0.6)") == 4
    assert r"conv1-fc8 \ddag{}" in (folder / "operating-points.tex").read_text()
    assert r"only fc8 \S{}" in (folder / "operating-points.tex").read_text()
    text = (folder / "pairs.md").read_text()
    assert "‡ may not have finished improving (its best validation was the last): FT:conv1-" \
        "fc8. § near chance in validation (its best AUC is below 0.6): FT:only fc8." in text


def test_source_weights_stand_beside_those_who_have_them(tables: Path) -> None:
    """Scratch and handcrafted started from nothing."""
    folder = tables / "polyp/phantom"
    for name in ("auc", "operating-idca", "operating-bootstrap"):
        weights = {row["system"]: row["source weights"]
                   for row in csv.DictReader((folder / f"{name}.csv").open())}
        assert weights == {system: "" if "scratch" in system or "hand" in system
                           else "distilled stand-in" for system in weights}
    weights = {(row["row"], row["column"]): row["source weights"] for row in csv.DictReader(
        (folder / "table-S1-numbers.csv").open())}
    assert weights["handcrafted", "scratch-gaussian"] == ""
    assert weights["handcrafted", "conv1"] == "distilled stand-in"


def test_no_number_is_parted_from_its_stand_in(tables: Path) -> None:
    """Every table of every file says what data it comes from; the paper's own say that."""
    written = list(tables.glob("*/phantom/*"))
    assert len(written) > 20
    for path in written:
        text = path.read_text()
        if path.suffix == ".csv":
            data = {row["data"] for row in csv.DictReader(io.StringIO(text))}
            assert data == ({"the paper's"} if path.stem.endswith("paper")
                            else {"phantom (stand-in)"}), path
        else:
            mark = "**Table" if path.suffix == ".md" else r"\begin{table}"
            tables = text.split(mark)[1:] if "pairs" in path.stem or "S4" in path.stem else [text]
            for table in tables:
                assert "stand-in" in table or "the paper's" in table, (path, table[:80])
