"""The handcrafted system for polyps: "shape in context" ranks its own candidates.

The detector's score is the system's answer, so nothing is learnt here: its forests have learnt from
the training groups, all of them at every fraction, as the candidates of a data set are the same
for all systems and fractions.
"""
from __future__ import annotations

from pathlib import Path

from data_prep.handcrafted import tested_candidates
from layerwise.contracts import BoxCandidate, Score
from layerwise.errors import InputError


def scores(dataset: Path, fraction: int, seed: int) -> list[Score]:
    """Scores of all candidates of the test split, (background, polyp), in their order.

    `fraction` and `seed` change nothing. Raises InputError for a missing file, candidates without a
    detector's score in [0, 1], and a test split without candidates.
    """
    path = dataset / "candidates.csv"
    found = []
    for row in tested_candidates(dataset):
        if not isinstance(row, BoxCandidate) or not 0 <= row.score <= 1:
            raise InputError(f"{path}: candidate {row.candidate} has no score from 0 to 1; prepare "
                             "the data set again")
        found.append(Score(row.case, row.group, row.candidate, row.lesion, row.label,
                           (1.0 - row.score, row.score)))
    return found
