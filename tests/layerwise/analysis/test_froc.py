"""FROC counting: hand-computed cases, a brute-force oracle, and properties."""
from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from layerwise.analysis.froc import Froc, froc
from layerwise.analysis.marks import (
    Marks,
    candidate_marks,
    chance_sensitivity,
    froc_marks,
    resolved,
    roc_marks,
)
from layerwise.contracts import Case, Score
from layerwise.errors import InputError


def case(name: str, lesions: int, group: str = "v1", split: str = "test") -> Case:
    return Case(name, group, split, lesions)


def mark(case_name: str, p: float, lesion: str = "", group: str = "v1") -> Score:
    mark.count += 1  # type: ignore[attr-defined]
    return Score(case_name, group, f"m{mark.count}", lesion,  # type: ignore[attr-defined]
                 int(bool(lesion)), (1.0 - p, p))


mark.count = 0  # type: ignore[attr-defined]


def from_scores(scores: list[Score], cases: list[Case]) -> Froc:
    return froc(froc_marks(scores, cases))


def points(scores: list[Score], cases: list[Case]) -> list[tuple[float, float]]:
    curve = from_scores(scores, cases)
    return list(zip(curve.fp_per_case.tolist(), curve.sensitivity.tolist()))


def test_the_lowest_threshold_is_kept() -> None:
    curve = from_scores([mark("a", 0.9), mark("a", 0.2, "l")], [case("a", 1)])
    assert curve.end == (1.0, 1.0)
    assert curve.thresholds[0] == np.inf
    assert curve.thresholds[1:] == pytest.approx([np.log(9), np.log(0.25)])
    assert curve.sensitivity_at(0.99) == 0.0
    assert curve.sensitivity_at(1.0) == 1.0


def test_ties_across_classes_enter_together() -> None:
    found = points([mark("a", 0.5), mark("a", 0.5, "l"), mark("a", 0.1)], [case("a", 2)])
    assert found == [(0.0, 0.0), (1.0, 0.5), (2.0, 0.5)]


def test_a_lesion_counts_once_by_its_best_candidate() -> None:
    scores = [mark("a", 0.3, "l"), mark("a", 0.8, "l"), mark("a", 0.6, "l"), mark("a", 0.7)]
    assert points(scores, [case("a", 1)]) == [(0.0, 0.0), (0.0, 1.0), (1.0, 1.0)]


def test_images_without_candidates_and_missed_lesions_count() -> None:
    cases = [case("a", 1), case("b", 0), case("c", 0), case("d", 1, "v2"),
             case("t", 5, "t", "train")]
    curve = from_scores([mark("a", 0.9, "l"), mark("a", 0.5), mark("b", 0.4)], cases)
    assert (curve.cases, curve.lesions) == (4, 2)
    assert curve.end == (0.5, 0.5)  # the lesion of d can never be found
    assert curve.sensitivity_at(0.0) == 0.5


def test_equal_lesion_names_in_two_cases_are_two_lesions() -> None:
    curve = from_scores([mark("a", 0.9, "l1"), mark("b", 0.8, "l1")], [case("a", 1), case("b", 1)])
    assert curve.end == (0.0, 1.0)
    assert list(curve.sensitivity) == [0.0, 0.5, 1.0]


def test_no_candidate_at_all() -> None:
    curve = from_scores([], [case("a", 1)])
    assert curve.end == (0.0, 0.0)
    assert curve.sensitivity_at(3.0) == 0.0


def test_step_interpolation_survives_rounding() -> None:
    scores = [mark("c0", 1 - i / 10) for i in range(3)] + [mark("c1", 0.75, "l")]
    curve = from_scores(scores, [case(f"c{i}", int(i == 1)) for i in range(30)])
    assert curve.fp_per_case[-1] == 3 / 30
    assert curve.sensitivity_at(0.1) == 1.0
    assert curve.sensitivity_at(2 / 30) == 0.0


def test_probabilities_of_several_lesion_classes_are_added() -> None:
    row = Score("a", "v1", "x", "l", 2, (0.2, 0.3, 0.5))
    assert froc_marks([row], [case("a", 1)]).positives == pytest.approx([np.log(0.8 / 0.2)])


@pytest.mark.parametrize(("scores", "cases", "message"), [
    ([mark("x", 0.5)], [case("a", 1)], "no test case"),
    ([mark("t", 0.5)], [case("a", 1), case("t", 0, "v1", "train")], "no test case"),
    ([mark("a", 0.5, "", "v9")], [case("a", 1)], "cases.csv says v1"),
    ([mark("a", 0.5, "l"), mark("a", 0.4, "k")], [case("a", 1)], "2 different lesions"),
    ([mark("a", 0.5)], [case("a", 0)], "a curve needs both"),
    ([replace(mark("a", 0.5), label=1)], [case("a", 1)], "label 1 and lesion ''; one contradicts"),
    ([replace(mark("a", 0.5, "l"), label=0)], [case("a", 1)], "label 0 and lesion 'l'"),
    ([mark("a", 0.5)], [case("a", 1, "v1", "train")], "no case of the test split"),
])
def test_contradicting_files(scores: list[Score], cases: list[Case], message: str) -> None:
    with pytest.raises(InputError, match=message):
        from_scores(scores, cases)


def naive(negatives: list[int], positives: list[int], units: int, lesions: int,
          ) -> list[tuple[float, float]]:
    """The definition, threshold by threshold."""
    found = [(0.0, 0.0)]
    for threshold in sorted({*negatives, *positives}, reverse=True):
        found.append((sum(value >= threshold for value in negatives) / units,
                      sum(value >= threshold for value in positives) / lesions))
    return found


def make_marks(negatives: list[float], positives: list[float], units: int, lesions: int) -> Marks:
    return Marks("froc", np.array(negatives, dtype=float), np.array(positives, dtype=float),
                 np.zeros(len(negatives), dtype=int), np.zeros(len(positives), dtype=int), ("g",),
                 np.array([units]), np.array([lesions]))


RANKS = st.lists(st.integers(0, 12), max_size=30)


@settings(max_examples=150)
@given(RANKS, RANKS, st.integers(1, 20), st.integers(0, 5))
def test_against_the_definition(negatives: list[int], positives: list[int], units: int,
                                missed: int) -> None:
    lesions = max(1, len(positives) + missed)
    curve = froc(make_marks(list(map(float, negatives)), list(map(float, positives)), units,
                            lesions))
    expected = naive(negatives, positives, units, lesions)
    assert curve.fp_per_case == pytest.approx([point[0] for point in expected])
    assert curve.sensitivity == pytest.approx([point[1] for point in expected])
    assert np.all(np.diff(curve.fp_per_case) >= 0)
    assert np.all(np.diff(curve.sensitivity) >= 0)
    assert np.all(np.diff(curve.thresholds) < 0)


@settings(max_examples=100)
@given(RANKS, RANKS)
def test_only_the_order_of_scores_matters(negatives: list[int], positives: list[int]) -> None:
    lesions = max(1, len(positives))
    plain = froc(make_marks(list(map(float, negatives)), list(map(float, positives)), 7, lesions))
    bent = froc(make_marks([np.exp(v / 3) - 9 for v in negatives],
                           [np.exp(v / 3) - 9 for v in positives], 7, lesions))
    assert np.array_equal(plain.fp_per_case, bent.fp_per_case)
    assert np.array_equal(plain.sensitivity, bent.sensitivity)


def test_many_marks_are_all_counted() -> None:
    generator = np.random.default_rng(0)
    marks = make_marks(generator.normal(size=22_000).tolist(),
                       generator.normal(1, 1, 5_000).tolist(), 18_900, 5_700)
    curve = froc(marks)
    assert curve.thresholds.size == 27_001
    assert curve.end == (22_000 / 18_900, 5_000 / 5_700)
    for rate in (0.001, 0.01, 0.1, 1.0):   # counted directly at the threshold the curve names
        threshold = curve.thresholds[curve.index_at(rate)]
        assert curve.sensitivity_at(rate) == np.sum(marks.positives >= threshold) / 5_700
        assert np.sum(marks.negatives >= threshold) == np.floor(rate * 18_900)


def test_roc_marks_count_rows_per_class() -> None:
    cases = [case("a", 0), case("b", 1, "v2")]
    rows = [Score("a", "v1", "a", "", 0, (0.6, 0.4)), Score("b", "v2", "b", "", 1, (0.1, 0.9))]
    marks = roc_marks(rows, cases)
    assert (marks.cases, marks.lesions, marks.evidence_groups) == (1, 1, 1)
    assert froc(marks).sensitivity_at(0.0) == 1.0


def test_every_frame_needs_a_score() -> None:
    row = Score("a", "v1", "a", "", 0, (0.6, 0.4))
    with pytest.raises(InputError, match=r"test case b has no score \(2 such cases\)"):
        roc_marks([row], [case("a", 0), case("b", 1), case("c", 1)])


def test_a_rate_is_resolved_from_five_false_positives_on() -> None:
    frames = make_marks([0.0], [1.0], 500, 1)
    assert resolved(0.01, frames) and not resolved(0.0099, frames)
    assert resolved(0.3, make_marks([0.0], [1.0], 17, 1))        # 5.1
    assert not resolved(0.001, make_marks([0.0], [1.0], 233, 1))


def test_chance_is_what_random_scores_reach() -> None:
    """Lesions with three candidates each, a fifth of them missed: by simulation."""
    found = []
    for seed in range(60):
        generator = np.random.default_rng(seed)
        cases = [Case(f"c{i}", "g", "test", 1) for i in range(200)]
        rows = [Score(case.case, "g", f"{case.case}-{k}", "l" if k < 3 else "", int(k < 3),
                      (1 - p, p)) for i, case in enumerate(cases)
                for k, p in enumerate(generator.random(9).tolist()) if i % 5 or k >= 3]
        marks = froc_marks(rows, cases)
        found.append(froc(marks).sensitivity_at(1.0))
    expected = chance_sensitivity(marks, candidate_marks(rows, cases), 1.0)
    assert expected == pytest.approx(0.8 * (1 - (1 - 200 / 1200) ** 3))
    assert np.mean(found) == pytest.approx(expected, abs=0.01)
