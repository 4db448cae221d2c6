"""How suspicious a candidate is, from its probabilities: one rule for validation and testing."""
from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

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


def class_log_odds(probabilities: np.ndarray, label: int) -> np.ndarray:
    """log(p_label) - log(sum of the others) of every row: one class against the rest.

    Float64 (n,) from (n, classes); with two classes and label 1 the same as `lesion_log_odds`.
    """
    values = np.asarray(probabilities, dtype=np.float64)
    rest = np.delete(values, label, axis=1).sum(axis=1)
    return np.asarray(np.log(np.maximum(values[:, label], FLOOR))
                      - np.log(np.maximum(rest, FLOOR)))


@dataclass(frozen=True)
class Ranked:
    """One question put to a network: scores (n,), larger = more likely yes, and the truth (n,)."""

    scores: np.ndarray
    positive: np.ndarray


def _lesion(labels: np.ndarray, probabilities: np.ndarray) -> list[Ranked]:
    return [Ranked(lesion_log_odds(probabilities), labels > 0)]


def _one_vs_rest(labels: np.ndarray, probabilities: np.ndarray) -> list[Ranked]:
    if probabilities.shape[1] == 2:      # the second class asks the first one's question again
        return _lesion(labels, probabilities)
    return [Ranked(class_log_odds(probabilities, label), labels == label)
            for label in range(probabilities.shape[1])]


# Whose mean AUC is the AUC of a task (`Task.ranking`): anything against the background, as the
# paper merges its two interfaces; or each class against all others (macro average).
RULES: Mapping[str, Callable[[np.ndarray, np.ndarray], list[Ranked]]] = {
    "lesion": _lesion, "one-vs-rest": _one_vs_rest}


def questions(labels: np.ndarray, probabilities: np.ndarray, rule: str) -> list[Ranked]:
    """What a rule asks; questions whose answer is the same for all `labels` are left out."""
    found = RULES[rule](np.asarray(labels), probabilities)
    return [one for one in found if one.positive.any() and not one.positive.all()]


def rarest_side(labels: np.ndarray, groups: np.ndarray, classes: Sequence[str], rule: str
                ) -> tuple[str, int]:
    """Of all sides of a rule's questions the one in the fewest groups, in words, and in how many.

    Args:
        labels: (n,); those that every one has, or none, are not asked about, as in `questions`.
        groups: (n,), their names.
        classes: names, index = label.

    Raises ValueError when all labels are the same.
    """
    each = rule == "one-vs-rest" and len(classes) > 2
    sides = {name: labels == label for label, name in enumerate(classes)}
    if not each:
        sides = {classes[0]: labels == 0, " or ".join(classes[1:]): labels > 0}
    found = {name: len(np.unique(groups[side])) for name, side in sides.items()
             if side.any() and not side.all()}
    if each:
        found |= {f"others than {name}": len(np.unique(groups[~sides[name]])) for name in found}
    name = min(found, key=lambda one: found[one])
    return name, found[name]


def area_under_roc(negatives: np.ndarray, positives: np.ndarray) -> float:
    """Area under the ROC curve of two samples of scores (F,) and (T,), ties counted half.

    Raises ValueError when a class is empty or a score is NaN.
    """
    from sklearn.metrics import roc_auc_score

    labels = np.repeat([0, 1], [np.size(negatives), np.size(positives)])
    return float(roc_auc_score(labels, np.concatenate([negatives, positives])))
