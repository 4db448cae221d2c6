"""Wilson, the group bootstrap, and the common interface of the three methods."""
from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from layerwise.analysis.bootstrap import group_weights, percentile_interval, resampled_sensitivity
from layerwise.analysis.froc import froc
from layerwise.analysis.idca import DegenerateFit
from layerwise.analysis.intervals import (
    METHODS,
    Interval,
    interval_or_fallback,
    intervals_or_fallback,
    mean_interval,
    sensitivity_interval,
    sensitivity_intervals,
    wilson,
)
from layerwise.analysis.marks import Marks
from layerwise.errors import InputError, LayerwiseError


def grouped(negatives: np.ndarray, positives: np.ndarray, negative_groups: np.ndarray,
            positive_groups: np.ndarray, units: np.ndarray, lesions: np.ndarray) -> Marks:
    return Marks("froc", np.asarray(negatives, float), np.asarray(positives, float),
                 np.asarray(negative_groups, int), np.asarray(positive_groups, int),
                 tuple(f"g{i}" for i in range(len(units))), np.asarray(units, int),
                 np.asarray(lesions, int))


def simulated(seed: int, groups: int = 15) -> Marks:
    generator = np.random.default_rng(seed)
    return grouped(generator.normal(size=300), generator.normal(1.5, 1.2, 80),
                   generator.integers(0, groups, 300), np.arange(80) % groups,
                   np.full(groups, 10), np.full(groups, 6))


@pytest.mark.parametrize(("detected", "lesions", "expected"), [
    (8, 10, (0.4901625, 0.9433178)), (0, 10, (0.0, 0.2775328)), (10, 10, (0.7224672, 1.0)),
    (50, 100, (0.4038315, 0.5961685)),
])
def test_wilson(detected: int, lesions: int, expected: tuple[float, float]) -> None:
    """Wilson's score interval solves (p - q)^2 = z^2 q (1 - q) / n; values to seven digits."""
    assert wilson(detected, lesions) == pytest.approx(expected, abs=1e-6)


def test_every_group_is_drawn_equally_often() -> None:
    weights = group_weights(7, 4000, seed=1)
    assert weights.shape == (4000, 7)
    assert set(weights.sum(axis=1)) == {7}
    assert weights.mean(axis=0) == pytest.approx(np.ones(7), abs=0.06)  # the last group too
    assert np.array_equal(weights, group_weights(7, 4000, seed=1))
    assert not np.array_equal(weights, group_weights(7, 4000, seed=2))


def test_one_group_cannot_be_resampled() -> None:
    with pytest.raises(LayerwiseError, match="at least two groups"):
        group_weights(1, 10, seed=0)


RANKED = st.lists(st.tuples(st.integers(0, 8), st.integers(0, 3)), max_size=25)


@settings(max_examples=120, deadline=None)
@given(RANKED, RANKED, st.lists(st.integers(0, 3), min_size=4, max_size=4),
       st.floats(0, 4, allow_nan=False))
def test_weights_equal_really_repeating_the_groups(
        false: list[tuple[int, int]], hits: list[tuple[int, int]], weights: list[int],
        fp: float) -> None:
    """Oracle: build the resampled test set mark by mark and read its curve."""
    lesions = np.bincount([g for _, g in hits], minlength=4) + np.array([1, 0, 2, 0])
    marks = grouped([v for v, _ in false], [v for v, _ in hits], [g for _, g in false],
                    [g for _, g in hits], np.array([2, 1, 3, 1]), lesions)
    found = resampled_sensitivity(marks, np.array([weights]), [fp])[0, 0]
    again = grouped([v for v, g in false for _ in range(weights[g])],
                    [v for v, g in hits for _ in range(weights[g])],
                    [g for _, g in false for _ in range(weights[g])],
                    [g for _, g in hits for _ in range(weights[g])],
                    marks.negative_units * weights, marks.positive_units * weights)
    if again.lesions == 0 or again.cases == 0:
        assert np.isnan(found)
    else:
        assert found == pytest.approx(froc(again).sensitivity_at(fp))


def test_percentiles_skip_resamples_without_lesions() -> None:
    values = np.append(np.linspace(0, 1, 101), [np.nan] * 50)
    assert percentile_interval(values) == pytest.approx((0.025, 0.975))
    with pytest.raises(LayerwiseError, match="no lesion"):
        percentile_interval(np.full(10, np.nan))


@pytest.mark.parametrize("method", METHODS)
def test_common_interface(method: str) -> None:
    marks = simulated(0)
    answers = sensitivity_intervals(method, marks, [0.1, 0.5, 1.0])
    assert [one.method for one in answers] == [method] * 3
    assert all(0 <= one.low < one.estimate < one.high <= 1 for one in answers)
    assert answers[1] == sensitivity_interval(method, marks, 0.5)
    assert answers == sensitivity_intervals(method, marks, [0.1, 0.5, 1.0])  # seeded
    if method != "idca":
        assert answers[2].estimate == froc(marks).sensitivity_at(1.0)


def test_methods_agree_on_independent_marks() -> None:
    widths = {method: np.mean([one.high - one.low for seed in range(8) for one in
                               sensitivity_intervals(method, simulated(seed), [0.5])])
              for method in METHODS}
    assert widths["bootstrap"] == pytest.approx(widths["idca"], rel=0.35)
    assert widths["wilson"] == pytest.approx(widths["idca"], rel=0.35)


def test_bootstrap_sees_that_marks_of_a_group_are_alike() -> None:
    generator = np.random.default_rng(0)
    groups = np.arange(200) % 10
    level = np.linspace(-2, 2, 10)
    alike = grouped(generator.normal(size=200), level[groups] + 0.01 * generator.normal(size=200),
                    groups, groups, np.full(10, 10), np.full(10, 20))
    boot, independent = (sensitivity_interval(method, alike, 0.5)
                         for method in ("bootstrap", "wilson"))
    assert boot.high - boot.low > 2 * (independent.high - independent.low)


def test_unknown_method() -> None:
    with pytest.raises(ValueError, match="idca, bootstrap, wilson"):
        sensitivity_interval("delta", simulated(0), 1.0)


def test_fallback_says_what_happened() -> None:
    separable = grouped(np.arange(20.0), np.arange(50.0, 60.0), np.arange(20) % 5,
                        np.arange(10) % 5, np.full(5, 2), np.full(5, 3))
    with pytest.raises(DegenerateFit):
        sensitivity_interval("idca", separable, 0.5)
    answer = interval_or_fallback("idca", separable, 0.5)
    assert answer.method == "wilson"  # the same ten of fifteen lesions in every resample
    assert answer.high - answer.low > 0.3
    assert "do not overlap" in answer.note and "all resamples agree" in answer.note
    uneven = grouped(np.arange(20.0), np.arange(50.0, 60.0), np.arange(20) % 5,
                     np.arange(10) % 3, np.full(5, 2), np.full(5, 4))
    assert interval_or_fallback("idca", uneven, 0.5).method == "bootstrap"
    one_group = grouped(np.arange(20.0), np.arange(50.0, 60.0), np.zeros(20), np.zeros(10),
                        np.array([10]), np.array([15]))
    answer = interval_or_fallback("idca", one_group, 0.5)
    assert answer.method == "wilson"
    assert "two groups" in answer.note
    assert interval_or_fallback("wilson", one_group, 0.5).note == ""


def test_a_test_set_without_lesions_is_an_input_error() -> None:
    empty = grouped(np.arange(5.0), np.array([]), np.arange(5), np.array([]), np.ones(5),
                    np.zeros(5))
    with pytest.raises(InputError, match="0 lesions"):
        intervals_or_fallback("idca", empty, [0.5])


def test_one_unreachable_point_does_not_spoil_the_others() -> None:
    answers = intervals_or_fallback("idca", simulated(1), [0.5, 50.0])
    assert [one.method for one in answers] == ["idca", "bootstrap"]


def test_mean_over_seeds_keeps_the_width() -> None:
    mean = mean_interval([Interval(0.4, 0.3, 0.5, "idca"),
                          Interval(0.6, 0.5, 0.7, "wilson", "why")])
    assert (mean.estimate, mean.low, mean.high) == pytest.approx((0.5, 0.4, 0.6))
    assert (mean.method, mean.note) == ("idca+wilson", "why")


def test_touching_bars_overlap() -> None:
    low, high = Interval(0.2, 0.1, 0.3, "idca"), Interval(0.4, 0.3, 0.5, "idca")
    assert low.overlaps(high) and high.overlaps(low)
    assert not low.overlaps(Interval(0.4, 0.31, 0.5, "idca"))
