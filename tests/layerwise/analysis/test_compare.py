"""Pairwise comparison: Holm, the paper's rule, paired bootstrap, paired tests."""
from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import ttest_rel

from layerwise.analysis.boundary_error import errors_um
from layerwise.analysis.collect import collect
from layerwise.analysis.compare import (
    compare_curves,
    compare_errors,
    holm,
    resample,
    two_sided_p,
)
from layerwise.analysis.operating import operating_table


def test_holm_by_hand() -> None:
    # sorted .01 .02 .03 .04 times 4 3 2 1 = .04 .06 .06 .04, then never falling
    assert holm([0.04, 0.01, 0.03, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def test_bootstrap_p_counts_zero_for_both_sides() -> None:
    assert two_sided_p(np.zeros(99)) == 1.0
    assert two_sided_p(np.ones(199)) == pytest.approx(2 / 200)
    assert two_sided_p(np.append(np.ones(95), -np.ones(4))) == pytest.approx(2 * 5 / 100)


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
    assert all(pair.p_holm >= pair.p for pair in pairs)
    assert all(pair.low <= pair.difference <= pair.high for pair in pairs)


def test_pairing_uses_the_same_groups(results: Path) -> None:
    """A system against itself differs by exactly nothing in every resample."""
    resampled = resample(collect([results])[0], (0.5,), resamples=200)
    same = resampled.draws["conv1", 100]
    again = resample(collect([results])[0], (0.5,), resamples=200).draws["conv1", 100]
    assert np.array_equal(same, again)


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
