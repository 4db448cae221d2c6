"""The handcrafted system for pulmonary embolism: features of a candidate, forest over bags.

The paper's comparison system "uses vessel-based features along with Haralick and wavelet-based
features ... and finally uses a multi-instance classifier" (section IV-B, after Liang and Bi
2007). A bag is the candidates of one embolus; every false positive stands for itself. Features
and classifier are ours as far as `features` and `forest` say so.
"""
from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from data_prep import forest
from data_prep import handcrafted as common
from data_prep.pe.features import FEATURES
from layerwise.contracts import Candidate, Score


def scores(dataset: Path, fraction: int, seed: int) -> list[Score]:
    """Scores of all candidates of the test split, (background, embolism).

    See `data_prep.handcrafted`.
    """
    return common.scores(dataset, fraction, seed, FEATURES, _learn)


def _learn(values: np.ndarray, pool: Sequence[Candidate], seed: int) -> common.Classifier:
    return forest.fit(values, [row.lesion for row in pool], [row.candidate for row in pool],
                      seed).probability
