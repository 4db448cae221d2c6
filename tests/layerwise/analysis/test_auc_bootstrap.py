"""The AUC of resampled groups against scikit-learn's on patches repeated as often as drawn."""
from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from layerwise.analysis.auc_bootstrap import evidence_groups, pairs_of, resampled_auc
from layerwise.analysis.bootstrap import group_weights
from layerwise.ranking import Ranked


@given(seed=st.integers(0, 200), groups=st.integers(2, 6))
def test_resamples_are_those_of_repeated_patches(seed: int, groups: int) -> None:
    rng = np.random.default_rng(seed)
    index = rng.integers(0, groups, 40)
    ranked = Ranked(rng.integers(0, 9, 40).astype(float), rng.random(40) < 0.4)   # with ties
    weights = group_weights(groups, 20, seed)
    found = resampled_auc([pairs_of(ranked, index, groups)], weights)
    for value, row in zip(found, weights):
        repeated = np.repeat(np.arange(40), row[index])
        labels = ranked.positive[repeated]
        if labels.all() or not labels.any():
            assert np.isnan(value)
        else:
            assert value == pytest.approx(roc_auc_score(labels, ranked.scores[repeated]))


def test_several_questions_are_averaged_and_one_sided_resamples_have_no_value() -> None:
    index = np.array([0, 0, 1, 1])
    one = pairs_of(Ranked(np.array([1.0, 2, 3, 4]), np.array([0, 0, 1, 1], bool)), index, 2)
    other = pairs_of(Ranked(np.array([1.0, 2, 3, 4]), np.array([1, 0, 1, 0], bool)), index, 2)
    values = resampled_auc([one, other], np.array([[1, 1], [2, 0]]))
    assert values[0] == (1 + 1 / 4) / 2 and np.isnan(values[1])
    assert evidence_groups([one]) == 1 and evidence_groups([other]) == 2
