"""Pairwise comparison: Holm, the paper's rule, paired bootstrap, paired tests."""
from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import ttest_1samp, ttest_rel
from synthetic import write_boundary_study, write_curve_study

from layerwise.analysis.boundary_error import errors_um
from layerwise.analysis.collect import collect
from layerwise.analysis.compare import (
    compare_curves,
    compare_errors,
    holm,
    mean_errors_um,
    resample,
    spread_um,
)
from layerwise.analysis.operating import operating_table


def test_holm_by_hand() -> None:
    # sorted .01 .02 .03 .04 times 4 3 2 1 = .04 .06 .06 .04, then never falling
    assert holm([0.04, 0.01, 0.03, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def test_curves_are_compared_pair_by_pair(results: Path) -> None:
    study = collect([results])[0]
    table = operating_table(study)
    pairs = compare_curves(study, table, resample(study, (0.1, 1.0), resamples=4000))
    assert len(pairs) == 45 * 2
    by_key = {(pair.row, pair.column, pair.point): pair for pair in pairs}
    strong = by_key["conv1", "fc8", 0.1]
    assert strong.bars_apart and strong.bars_sign == 1 and strong.difference > 0.3
    assert strong.low < strong.difference < strong.high
    worse = by_key["handcrafted", "conv1", 0.1]
    assert worse.bars_sign == -1 and worse.holm_sign <= 0
    near = by_key["conv4", "conv5", 0.1]
    assert not near.bars_apart and near.holm_sign == 0
    assert all(pair.p_holm >= pair.p >= 2 ** -11 for pair in pairs)     # twelve groups
    assert all(pair.low <= pair.difference <= pair.high for pair in pairs)


def test_systems_with_equal_scores_do_not_differ(tmp_path: Path) -> None:
    """The same groups are drawn for both: their difference is nothing in every resample."""
    write_curve_study(tmp_path, "polyp", groups=8, per_group=10, inits=("fc8", "fc7"))
    runs = tmp_path / "polyp/phantom"
    shutil.copy(runs / "fc8/100/0/scores.csv", runs / "fc7/100/0/scores.csv")
    study = collect([tmp_path])[0]
    resampled = resample(study, (0.1, 1.0), resamples=400)
    assert np.array_equal(resampled.draws["fc8", 100], resampled.draws["fc7", 100])
    assert resampled.draws["fc8", 100].std(axis=0).min() > 0
    for pair in compare_curves(study, operating_table(study), resampled):
        assert (pair.difference, pair.p, pair.p_holm) == (0.0, 1.0, 1.0)


def test_unlike_training_runs_widen_the_difference(tmp_path: Path) -> None:
    """A second run that fails must make the mean over runs less certain, not only lower."""
    write_curve_study(tmp_path, "polyp", seeds=2, groups=10, per_group=20, inits=("fc8", "conv1"))
    study = collect([tmp_path])[0]
    alike = resample(study, (0.1,), resamples=2000).draws["conv1", 100]
    runs = tmp_path / "polyp/phantom"
    shutil.copy(runs / "fc8/100/1/scores.csv", runs / "conv1/100/1/scores.csv")
    unlike = resample(collect([tmp_path])[0], (0.1,), resamples=2000)
    assert unlike.draws["conv1", 100].std() > 1.5 * alike.std()
    assert unlike.seeds["conv1", 100] == 2


def test_holm_knows_the_papers_points_from_others(results: Path) -> None:
    study = collect([results])[0]
    table = operating_table(study)
    points = (0.001, 0.01, 0.1, 1.0)
    pairs = compare_curves(study, table, resample(study, points, resamples=1000))
    for family in ((0.001, 0.01), (0.1, 1.0)):
        members = [pair for pair in pairs if pair.point in family]
        assert [pair.p_holm for pair in members] == holm([pair.p for pair in members])


def test_boundary_errors_are_paired_by_region(results: Path) -> None:
    study = collect([results])[-1]
    pairs = compare_errors(study)
    assert len(pairs) == 2 * 45
    pair = next(pair for pair in pairs if (pair.row, pair.column) == ("conv1", "fc8"))
    first, second = (errors_um(study.of(init)[0].boundary, "lumen_intima")
                     for init in ("conv1", "fc8"))
    assert pair.difference_um == pytest.approx(float(np.mean(first - second)))
    assert pair.p_t == pytest.approx(float(ttest_rel(first, second).pvalue))
    assert 0 < pair.p_wilcoxon < 1e-6
    subjects = [case.group for case in sorted(study.cases, key=lambda case: case.case)
                if case.split == "test"]
    means = [np.mean([value for value, of in zip(first - second, subjects) if of == subject])
             for subject in sorted(set(subjects))]
    assert len(means) == 11
    assert pair.p_subject == pytest.approx(float(ttest_1samp(means, 0.0).pvalue))
    assert pair.p_holm >= pair.p_subject > pair.p_t


def test_spread_is_that_of_single_runs(tmp_path: Path) -> None:
    """Two runs whose errors cancel: their mean does not vary, each of them does."""
    write_boundary_study(tmp_path, ("fc8",))
    run = tmp_path / "cimt/phantom/fc8/100/0"
    other = run.parent / "1"
    shutil.copytree(run, other)
    (other / "config.json").write_text((run / "config.json").read_text().replace(
        '"seed": 0', '"seed": 1'))
    lines = (run / "boundary.csv").read_text().splitlines()
    for folder, sign in ((run, 1), (other, -1)):
        rows = [f"{line.rsplit(',', 1)[0]},{50 + sign * (i % 2)}" for i, line in
                enumerate(lines[1:])]
        (folder / "boundary.csv").write_text("\n".join([lines[0], *rows]) + "\n")
    study = collect([tmp_path])[0]
    assert mean_errors_um(study, "fc8", "lumen_intima").std() == 0
    assert spread_um(study, "fc8", "lumen_intima") == pytest.approx(np.std([0, 1] * 66, ddof=1))
