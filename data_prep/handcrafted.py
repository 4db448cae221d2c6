"""What the handcrafted systems of all tasks share: what they learn from, and what they score.

A system is a table of features (detections/features.csv of the prepared data set) and a learner.
"""
from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from data_prep.feature_table import matrix, read_features
from data_prep.proposals import FEATURES
from layerwise.contracts import (
    Candidate,
    Score,
    read_candidates,
    read_cases,
    read_test_candidates,
)
from layerwise.errors import InputError

Classifier = Callable[[np.ndarray], np.ndarray]
"""Features (n, features) to the probability (n,) of class 1."""
Learner = Callable[[np.ndarray, Sequence[Candidate], int], Classifier]
"""Features (n, features), the candidates they are of, and a seed, to a classifier."""


def scores(dataset: Path, fraction: int, seed: int, names: Sequence[str], learn: Learner
           ) -> list[Score]:
    """Scores of all candidates of the test split, in the order of candidates.csv.

    Reads cases.csv, candidates.csv, detections/features.csv (columns `names`) and the pools of
    training and validation candidates of a `fraction` in percent: there is nothing to stop early,
    so a system learns from both. Probabilities are (class 0, class 1). Raises InputError for a
    missing file, a candidate without features, a pool without both classes or with test cases, and
    a test split without candidates.
    """
    tested = tested_candidates(dataset)
    pool = _pool(dataset, fraction)
    path = dataset / "detections" / FEATURES
    table = read_features(path, names)
    classify = learn(matrix(path, table, [row.candidate for row in pool]), pool, seed)
    found = classify(matrix(path, table, [row.candidate for row in tested])).tolist()
    return [Score(row.case, row.group, row.candidate, row.lesion, row.label, (1.0 - p, p))
            for row, p in zip(tested, found)]


def tested_candidates(dataset: Path) -> list[Candidate]:
    """Candidates of the test split; InputError when there are none."""
    found = read_test_candidates(dataset)
    if not found:
        raise InputError(f"{dataset / 'candidates.csv'}: no candidates in the test cases")
    return found


def _pool(dataset: Path, fraction: int) -> list[Candidate]:
    """Training and validation candidates; InputError unless they can be learnt from."""
    sets = [f"{kind}-{fraction}" for kind in ("train", "validation")]
    pool = [row for name in sets for row in read_candidates(dataset / name / "candidates.csv")]
    tested = {case.case for case in read_cases(dataset / "cases.csv") if case.split == "test"}
    leaked = sorted({row.case for row in pool} & tested)
    if leaked:
        raise InputError(f"{dataset}: case {leaked[0]} is in the test split and in "
                         f"{' or '.join(sets)}; prepare the data set again")
    positive = sum(row.label != 0 for row in pool)
    if not 0 < positive < len(pool):
        raise InputError(f"{dataset}: {' and '.join(sets)} hold {positive} positive and "
                         f"{len(pool) - positive} negative candidates; both are needed")
    return pool
