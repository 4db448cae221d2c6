"""How suspicious a candidate is, from its probabilities: one rule for validation and testing."""
from __future__ import annotations

import numpy as np

FLOOR = 1e-45   # the smallest probability that float32 can hold


def lesion_log_odds(probabilities: np.ndarray) -> np.ndarray:
    """log(p_1 + p_2 + ...) - log(p_0) of every row: float64 (n,) from (n, classes).

    Class 0 is the background; merging the others is the paper's rule for the two interfaces
    (section IV-D). Of a float32 softmax, 1 - p_0 is 1 for every logit above 17, while p_0 itself
    still tells 17 from 25: the log-odds keep both ends apart. Probabilities below FLOOR count as
    FLOOR; NaN stays NaN.
    """
    values = np.asarray(probabilities, dtype=np.float64)
    lesion = np.maximum(values[:, 1:].sum(axis=1), FLOOR)
    return np.asarray(np.log(lesion) - np.log(np.maximum(values[:, 0], FLOOR)))


def area_under_roc(negatives: np.ndarray, positives: np.ndarray) -> float:
    """Area under the ROC curve of two samples of scores (F,) and (T,), ties counted half.

    Raises ValueError when a class is empty or a score is NaN.
    """
    from sklearn.metrics import roc_auc_score

    labels = np.repeat([0, 1], [np.size(negatives), np.size(positives)])
    return float(roc_auc_score(labels, np.concatenate([negatives, positives])))
