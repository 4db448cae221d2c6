"""AUC over all candidates, and its bootstrap over groups."""
from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from layerwise.analysis.auc import auc_interval, auc_table, pairs_of_marks
from layerwise.analysis.auc_bootstrap import resampled_auc
from layerwise.analysis.bootstrap import group_weights
from layerwise.analysis.collect import collect
from layerwise.analysis.marks import Marks, candidate_marks
from layerwise.contracts import Case, Score

MARK = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 3)), min_size=1, max_size=20)


def marks_of(negatives: list[tuple[int, int]], positives: list[tuple[int, int]],
             groups: int = 4) -> Marks:
    """Marks from (score, group)."""
    (low, low_groups), (high, high_groups) = (np.array(one).reshape(-1, 2).T
                                              for one in (negatives, positives))
    return Marks("roc", low.astype(float), high.astype(float), low_groups, high_groups,
                 tuple(f"g{i}" for i in range(groups)), np.bincount(low_groups, minlength=groups),
                 np.bincount(high_groups, minlength=groups))


@settings(max_examples=100)
@given(MARK, MARK, st.lists(st.integers(0, 3), min_size=4, max_size=4))
def test_weights_equal_really_repeating_the_groups(negatives: list[tuple[int, int]],
                                                   positives: list[tuple[int, int]],
                                                   weights: list[int]) -> None:
    """Oracle: scikit-learn on the resampled candidates, one by one."""
    found = resampled_auc([pairs_of_marks(marks_of(negatives, positives))], np.array([weights]))[0]
    low, high = ([value for value, group in of for _ in range(weights[group])]
                 for of in (negatives, positives))
    if not low or not high:
        assert np.isnan(found)
    else:
        labels = [0] * len(low) + [1] * len(high)
        assert found == pytest.approx(roc_auc_score(labels, low + high))


def test_the_table_counts_every_candidate(results: Path) -> None:
    """Oracle: scikit-learn on the labels and probabilities of scores.csv."""
    study = collect([results])[0]
    rows = auc_table(study).rows
    path = results / "polyp/phantom/conv3/100/1/scores.csv"
    table = list(csv.DictReader(path.open()))
    lesions = [row["lesion"] for row in table if row["lesion"]]
    assert len(lesions) > len(set(lesions))          # several candidates of one lesion
    area = roc_auc_score([int(row["label"]) for row in table],
                         [float(row["p_polyp"]) for row in table])
    cells = {row[2]: row[3] for row in rows if "conv3" in row[0] and row[1] == "100%"}
    assert list(cells) == ["0", "1", "mean"]
    assert cells["1"].startswith(f"{area:.3f} [")
    low, high = map(float, cells["1"].split("[")[1].rstrip("]").split(", "))
    assert low < area < high
    values = [float(cells[seed].split()[0]) for seed in ("0", "1")]
    assert float(cells["mean"].split()[0]) == pytest.approx(np.mean(values), abs=0.001)


def test_random_scores_give_a_half() -> None:
    """Five candidates of a lesion are no better than one: the best of them must not stand alone."""
    generator = np.random.default_rng(7)
    cases = [Case(f"c{i}", f"g{i % 8}", "test", 1) for i in range(400)]
    rows = []
    for case in cases:
        for i, p in enumerate(generator.random(10).tolist()):
            rows.append(Score(case.case, case.group, f"{case.case}-{i}", "l" if i < 5 else "",
                              int(i < 5), (1 - p, p)))
    marks = candidate_marks(rows, cases)
    assert (marks.positives.size, marks.negatives.size) == (2000, 2000)
    interval = auc_interval(marks, group_weights(8, 2000, 1))
    assert interval is not None
    assert 0.45 < interval[0] < 0.5 < interval[1] < 0.55


def test_groups_that_are_alike_widen_the_interval() -> None:
    generator = np.random.default_rng(0)
    groups = np.arange(240) % 12
    level = np.linspace(-2, 2, 12)[groups]
    widths = []
    for shift in (level, generator.permutation(level)):
        marks = Marks("roc", generator.normal(size=240), 1 + shift + generator.normal(size=240),
                      groups, groups, tuple(map(str, range(12))), np.full(12, 20), np.full(12, 20))
        low, high = auc_interval(marks, group_weights(12, 2000, 1)) or (0.0, 0.0)
        widths.append(high - low)
    assert widths[0] > 1.5 * widths[1] > 0


def test_no_interval_without_evidence() -> None:
    few = marks_of([(1, 0), (2, 1), (5, 2), (0, 3)], [(2, 0), (3, 1), (6, 1)])    # two groups
    assert auc_interval(few, group_weights(4, 2000, 1)) is None
    apart = marks_of([(0, i) for i in range(8)], [(1, i) for i in range(8)], 8)
    assert auc_interval(apart, group_weights(8, 2000, 1)) is None    # 1 in all resamples
