"""What an evaluation needs of scores.csv: the scores of both classes, and the group of each.

FROC and ROC differ only in the counting, so that curves, intervals and tests are written once for
`Marks`. For an FROC the negatives are the false-positive candidates, the positives are the detected
lesions, each with the score of its best candidate, and the rates are per case and per lesion,
over ALL test cases and lesions. For an ROC negatives and positives are the candidates themselves
and the rates are per negative and per positive.
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from layerwise.contracts import Case, Score
from layerwise.errors import InputError
from layerwise.ranking import lesion_log_odds

MIN_FALSE_POSITIVES = 5   # with fewer allowed, a few marks decide where the threshold lies


@dataclass(frozen=True)
class Marks:
    """Scores (higher = more suspicious) with the index of the group each belongs to.

    negatives, positives: float64 of shapes (F,) and (T,); negative_groups, positive_groups: int64
    of the same shapes, indices into `groups` (G names, sorted). negative_units, positive_units:
    int64 (G,), the denominators per group: test cases and lesions (kind "froc"), or negatives and
    positives (kind "roc"). Two systems scored on the same test set share `groups`.
    """

    kind: str
    negatives: np.ndarray
    positives: np.ndarray
    negative_groups: np.ndarray
    positive_groups: np.ndarray
    groups: tuple[str, ...]
    negative_units: np.ndarray
    positive_units: np.ndarray

    @property
    def cases(self) -> int:
        """Denominator of the false-positive rate: test cases (froc) or negatives (roc)."""
        return int(self.negative_units.sum())

    @property
    def lesions(self) -> int:
        """Denominator of the sensitivity: lesions (froc) or positives (roc)."""
        return int(self.positive_units.sum())

    @property
    def evidence_groups(self) -> int:
        """Number of independent pieces of evidence: groups with lesions, of an ROC with the rarer
        class, that which fewer groups hold."""
        return min(np.count_nonzero(self.positive_units), np.count_nonzero(self.negative_units))


def resolved(point: float, marks: Marks) -> bool:
    """Whether the test set tells rates near `point` apart: it allows MIN_FALSE_POSITIVES there.

    With 233 frames, 0.001 false positives per frame would mean none at all.
    """
    return point * marks.cases >= MIN_FALSE_POSITIVES * (1 - 1e-12)


def chance_sensitivity(marks: Marks, candidates: Marks, point: float) -> float:
    """Expected sensitivity of random scores at a false-positive rate; for kind "roc" the rate.

    marks, candidates: one run's marks for its curve, and with every candidate a mark. A lesion is
    detected when one of its candidates is among the marked; each lesion is given the mean number of
    them, which is no smaller a chance than theirs.
    """
    if not marks.positives.size or not marks.negatives.size:
        return 0.0
    marked = min(1.0, point * marks.cases / marks.negatives.size)
    each = candidates.positives.size / marks.positives.size
    return float(marks.positives.size / marks.lesions * (1 - (1 - marked) ** each))


def positive_scores(scores: Sequence[Score]) -> np.ndarray:
    """Log-odds of "not background" of every row, float64 (n,); see `ranking.lesion_log_odds`."""
    if len({len(row.probabilities) for row in scores}) > 1:
        raise InputError("scores: rows differ in their number of classes")
    if not scores:
        return np.zeros(0)
    return lesion_log_odds(np.array([row.probabilities for row in scores]))


def _test_cases(cases: Sequence[Case], name: str) -> dict[str, Case]:
    test = {case.case: case for case in cases if case.split == "test"}
    if not test:
        raise InputError(f"{name}: no case of the test split; see its column split")
    return test


def _check_rows(scores: Sequence[Score], test: dict[str, Case], name: str) -> None:
    for row in scores:
        case = test.get(row.case)
        if case is None:
            raise InputError(f"{name}: candidate {row.candidate} belongs to case {row.case}, "
                             "which is no test case of cases.csv")
        if case.group != row.group:
            raise InputError(f"{name}: case {row.case} has group {row.group}, "
                             f"cases.csv says {case.group}")

def froc_marks(scores: Sequence[Score], cases: Sequence[Case], name: str = "scores.csv") -> Marks:
    """Marks of an FROC analysis; cases without any candidate and missed lesions count.

    Lesion ids are told apart per case. Raises InputError (naming `name`) for a row outside the test
    split, for a label that contradicts the lesion, and when a case has more distinct lesions hit
    than cases.csv grants it.
    """
    test = _test_cases(cases, name)
    _check_rows(scores, test, name)
    names = tuple(sorted({case.group for case in test.values()}))
    index = {group: i for i, group in enumerate(names)}
    best: dict[tuple[str, str], float] = {}
    false: list[float] = []
    false_groups: list[int] = []
    for row, value in zip(scores, positive_scores(scores).tolist()):
        if (row.label != 0) != bool(row.lesion):
            raise InputError(f"{name}: candidate {row.candidate} has label {row.label} and lesion "
                             f"{row.lesion!r}; one contradicts the other")
        if row.lesion:
            key = (row.case, row.lesion)
            if value > best.get(key, -np.inf):
                best[key] = value
        else:
            false.append(value)
            false_groups.append(index[row.group])
    hit: dict[str, int] = {}
    for case_name, _ in best:
        hit[case_name] = hit.get(case_name, 0) + 1
    for case_name, count in hit.items():
        if count > test[case_name].lesions:
            raise InputError(f"{name}: case {case_name} has {count} different lesions hit, "
                             f"cases.csv counts {test[case_name].lesions}")
    units = np.zeros((2, len(names)), dtype=np.int64)
    for case in test.values():
        units[:, index[case.group]] += (1, case.lesions)
    return Marks(kind="froc", groups=names, negatives=np.array(false, dtype=np.float64),
                 positives=np.array(list(best.values()), dtype=np.float64),
                 negative_groups=np.array(false_groups, dtype=np.int64),
                 positive_groups=np.array([index[test[case].group] for case, _ in best],
                                          dtype=np.int64),
                 negative_units=units[0], positive_units=units[1])


def versus_rest(scores: Sequence[Score], label: int) -> list[Score]:
    """Scores of one class against all others: two probabilities, and label 1 for the class."""
    return [replace(row, label=int(row.label == label),
                    probabilities=(min(1.0, sum(row.probabilities) - row.probabilities[label]),
                                   row.probabilities[label])) for row in scores]


def roc_marks(scores: Sequence[Score], cases: Sequence[Case], name: str = "scores.csv") -> Marks:
    """`candidate_marks` of a task whose cases are its candidates: each test case must have one.

    Raises InputError (naming `name`) for a row outside the test split or a test case without one.
    """
    absent = sorted(set(_test_cases(cases, name)) - {row.case for row in scores})
    if absent:
        raise InputError(f"{name}: test case {absent[0]} has no score ({len(absent)} such cases); "
                         "score the whole test set again")
    return candidate_marks(scores, cases, name)


def candidate_marks(scores: Sequence[Score], cases: Sequence[Case],
                    name: str = "scores.csv") -> Marks:
    """Marks of an ROC analysis of the rows as they are; label 0 is the negative class.

    Raises InputError (naming `name`) for a row outside the test split.
    """
    test = _test_cases(cases, name)
    _check_rows(scores, test, name)
    names = tuple(sorted({case.group for case in test.values()}))
    index = {group: i for i, group in enumerate(names)}
    values = positive_scores(scores)
    groups = np.array([index[row.group] for row in scores], dtype=np.int64)
    positive = np.array([row.label != 0 for row in scores], dtype=bool)
    return Marks(kind="roc", groups=names,
                 negatives=values[~positive], positives=values[positive],
                 negative_groups=groups[~positive], positive_groups=groups[positive],
                 negative_units=np.bincount(groups[~positive], minlength=len(names)),
                 positive_units=np.bincount(groups[positive], minlength=len(names)))
