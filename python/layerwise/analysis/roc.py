"""ROC curves and AUC of candidates or frames, by scikit-learn."""
from __future__ import annotations

import numpy as np
from sklearn.metrics import roc_auc_score, roc_curve

from layerwise.analysis.froc import Froc, froc
from layerwise.analysis.marks import Marks
from layerwise.errors import InputError


def _labelled(marks: Marks) -> tuple[np.ndarray, np.ndarray]:
    if not marks.negatives.size or not marks.positives.size:
        raise InputError(f"the test set has {marks.negatives.size} negatives and "
                         f"{marks.positives.size} positives; an ROC needs both")
    labels = np.concatenate([np.zeros(marks.negatives.size, dtype=np.int64),
                             np.ones(marks.positives.size, dtype=np.int64)])
    return labels, np.concatenate([marks.negatives, marks.positives])


def roc(marks: Marks) -> Froc:
    """ROC of negatives against positives, every distinct score kept; InputError for one class.

    The curve is that of the candidates alone also for marks of kind "froc".
    """
    labels, values = _labelled(marks)
    false_rate, true_rate, thresholds = roc_curve(labels, values, drop_intermediate=False)
    return Froc(np.append(np.inf, thresholds[1:]), false_rate, true_rate,
                marks.negatives.size, marks.positives.size)


def curve_of(marks: Marks) -> Froc:
    """The curve a figure shows: the ROC of marks of kind "roc", else the FROC."""
    return roc(marks) if marks.kind == "roc" else froc(marks)


def auc(marks: Marks) -> float:
    """Area under `roc`, ties counted half."""
    labels, values = _labelled(marks)
    return float(roc_auc_score(labels, values))
