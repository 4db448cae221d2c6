"""The handcrafted system for frame quality: residual histograms of a frame, random forest.

The paper's comparison system ends in a "probabilistic classifier" (its sources) without a name;
ours is scikit-learn's forest. A frame is one candidate, so no bags are needed.
"""
from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from sklearn.ensemble import RandomForestClassifier

from data_prep import handcrafted as common
from data_prep.frames.features import FEATURES
from layerwise.contracts import Candidate, Score

TREES = 300


def scores(dataset: Path, fraction: int, seed: int) -> list[Score]:
    """Scores of all frames of the test split, (noninformative, informative).

    See `data_prep.handcrafted`.
    """
    return common.scores(dataset, fraction, seed, FEATURES, _learn)


def _learn(values: np.ndarray, pool: Sequence[Candidate], seed: int) -> common.Classifier:
    """A forest of full-grown trees, for 1% of the frames are a few; their order changes nothing."""
    order = sorted(range(len(pool)), key=lambda row: pool[row].candidate)
    forest = RandomForestClassifier(TREES, max_features="sqrt", class_weight="balanced",
                                    random_state=seed)
    forest.fit(values[order], [pool[row].label for row in order])
    return lambda tested: np.asarray(forest.predict_proba(tested)[:, 1])
