"""Wilson, the group bootstrap, and the common interface of the three methods."""
from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import t as student_t

from layerwise.analysis.bootstrap import (
    attainable_p,
    expanded_p,
    group_weights,
    percentile_interval,
    plain_p,
    resampled_sensitivity,
    seed_weights,
)
from layerwise.analysis.froc import froc
from layerwise.analysis.intervals import (
    METHODS,
    Interval,
    NoInterval,
    intervals_or_fallback,
    mean_interval,
    sensitivity_intervals,
)
from layerwise.analysis.marks import Marks
from layerwise.analysis.proportion import product_interval, wilson
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


@given(st.integers(0, 300), st.integers(1, 300))
def test_wilson_solves_its_equation(detected: int, lesions: int) -> None:
    """(p - q)^2 = z^2 q (1 - q) / n at both ends."""
    p = min(detected, lesions) / lesions
    low, high = wilson(min(detected, lesions), lesions)
    assert 0 <= low <= p <= high <= 1 and low < high
    for end in (low, high):
        assert (p - end) ** 2 == pytest.approx(1.959964 ** 2 * end * (1 - end) / lesions, abs=1e-7)


def test_product_interval_by_hand() -> None:
    # a certain factor leaves the other's interval; log distances add by Pythagoras
    assert product_interval((0.5, 0.5, 0.5), (0.4, 0.2, 0.9)) == pytest.approx((0.1, 0.45))
    low, high = product_interval((0.5, 0.25, 1.0), (0.5, 0.25, 1.0))
    assert (low, high) == pytest.approx((0.25 * 2 ** -np.sqrt(2), 0.25 * 2 ** np.sqrt(2)))
    assert product_interval((1e-9, 0.0, 1e-3), (0.9, 0.8, 1.0))[0] == 0.0


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


@settings(max_examples=120)
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
    values = np.append(np.linspace(0, 1, 1001), [np.nan] * 500)
    assert percentile_interval(values, 10**6) == pytest.approx((0.025, 0.975), abs=1e-4)
    with pytest.raises(LayerwiseError, match="no lesion"):
        percentile_interval(np.full(10, np.nan), 9)


def test_percentiles_are_expanded_for_few_groups() -> None:
    values = np.linspace(0, 1, 100_001)
    # t(0.975, 5) = 2.5706, times sqrt(6 / 5) = 2.8159, of which the normal tail is 0.00243
    assert percentile_interval(values, 6) == pytest.approx((0.00243, 0.99757), abs=2e-5)
    with pytest.raises(LayerwiseError, match="at least two"):
        percentile_interval(values, 1)


def test_the_rarer_class_counts_the_groups() -> None:
    """Many patients with a finding, few without: the threshold hangs on those few."""
    generator = np.random.default_rng(0)
    low_groups, high_groups = np.repeat(np.arange(6), 40), np.repeat(np.arange(6, 30), 10)
    marks = Marks("roc", generator.normal(size=240), generator.normal(1.5, 1, 240), low_groups,
                  high_groups, tuple(map(str, range(30))), np.bincount(low_groups, minlength=30),
                  np.bincount(high_groups, minlength=30))
    assert marks.evidence_groups == 6
    one, = sensitivity_intervals("bootstrap", marks, [0.1], seed=3)
    values = resampled_sensitivity(marks, group_weights(30, 20_000, 3), [0.1])[:, 0]
    assert (one.low, one.high) == percentile_interval(values, 6)
    assert one.high - one.low > 1.2 * np.diff(percentile_interval(values, 24))[0]
    without = grouped(np.arange(8.0), np.arange(8.0), np.arange(8), np.arange(8) % 5,
                      np.ones(8), np.bincount(np.arange(8) % 5, minlength=8))
    assert without.evidence_groups == 5     # of an FROC: groups with lesions


def test_ends_that_hardly_a_resample_reaches_are_refused() -> None:
    """Six groups need the tail of 0.00243: ten of 4,116 resamples."""
    assert percentile_interval(np.linspace(0, 1, 4200), 6)[0] > 0
    with pytest.raises(LayerwiseError, match="95% interval from 6 groups lie beyond what 4,000"):
        percentile_interval(np.linspace(0, 1, 4000), 6)
    with pytest.raises(LayerwiseError, match="99.4% interval from 7 groups"):
        percentile_interval(np.linspace(0, 1, 20_000), 7, 1 - 0.05 / 9)


def test_p_counts_zero_for_both_sides() -> None:
    assert plain_p(np.zeros(99)) == expanded_p(np.zeros(99), 6) == 1.0
    assert plain_p(np.ones(199)) == pytest.approx(2 / 200)
    assert plain_p(np.append(np.ones(95), -np.ones(4))) == pytest.approx(2 * 5 / 100)


def test_p_and_interval_are_two_sides_of_one_thing() -> None:
    """The expanded p is 0.05 just where the expanded interval touches zero."""
    draws = np.random.default_rng(0).normal(size=40_001)
    for groups in (8, 20, 45):
        low, _ = percentile_interval(draws, groups)
        assert expanded_p(draws - low, groups) == pytest.approx(0.05, rel=0.03)


def test_p_does_not_jump_where_resamples_become_few() -> None:
    """Ten of 20,000 beyond 0 are counted, nine are not: the p must hardly notice."""
    generator = np.random.default_rng(0)
    for draws in (generator.exponential(0.2, 20_000), generator.normal(3.3, 1, 20_000)):
        ps = []
        for beyond in range(14, -1, -1):
            shifted = np.sort(draws) + 1e-6
            shifted[:beyond] = -1e-6
            ps.append(expanded_p(shifted, 12))
        assert all(0.9 * before <= after <= before for before, after in zip(ps, ps[1:]))
        assert ps[-1] == pytest.approx(0.0097, rel=0.15)
        assert expanded_p(-shifted, 12) == ps[-1]


def test_beyond_counting_p_is_that_of_a_t_test() -> None:
    """Of normal resamples z is mean over SD; with 45 groups and 5 SD, t(44) of 4.944."""
    draws = np.random.default_rng(0).normal(5, 1, 20_000)
    assert expanded_p(draws, 45) == pytest.approx(2 * student_t.sf(5 * np.sqrt(44 / 45), 44),
                                                  rel=0.5)
    assert expanded_p(draws + 1, 45) < expanded_p(draws, 45) / 10


def test_few_groups_cannot_give_a_small_p() -> None:
    assert expanded_p(np.linspace(1, 2, 999), 6) == attainable_p(6) == 1 / 32
    assert expanded_p(np.ones(999), 12) == 2 ** -11
    with pytest.raises(LayerwiseError, match="at least two"):
        expanded_p(np.ones(9), 1)


@pytest.mark.parametrize("groups", [6, 12])
def test_p_of_true_nulls(groups: int) -> None:
    """Means of independent normal differences: plain p errs far more often than 5%."""
    generator = np.random.default_rng(groups)
    wrong = np.zeros(2)
    for number in range(400):
        means = group_weights(groups, 999, number) @ generator.normal(size=groups) / groups
        wrong += plain_p(means) < 0.05, expanded_p(means, groups) < 0.05
    assert wrong[0] / 400 > 0.08
    assert 0.02 <= wrong[1] / 400 <= 0.08


def test_training_runs_are_drawn() -> None:
    shares = seed_weights(3, 5000, [1, 2])
    assert shares.shape == (5000, 3)
    assert shares.sum(axis=1) == pytest.approx(np.ones(5000))
    assert shares.mean(axis=0) == pytest.approx(np.full(3, 1 / 3), abs=0.02)
    assert np.array_equal(seed_weights(1, 7, [1, 2]), np.ones((7, 1)))
    by_hand = {0.5 - 0.5 * np.sqrt(2), 0.5, 0.5 + 0.5 * np.sqrt(2)}    # two runs: 0, 1/2, 1
    assert {round(share, 9) for share in seed_weights(2, 99, [1, 2])[:, 0]} \
        == {round(share, 9) for share in by_hand}
    assert not np.array_equal(shares, seed_weights(3, 5000, [1, 3]))


@pytest.mark.parametrize("runs", [2, 3, 5])
def test_means_of_drawn_runs_vary_as_means_of_runs_do(runs: int) -> None:
    """The variance of a mean of S values is their unbiased variance over S."""
    values = np.random.default_rng(runs).normal(size=runs)
    means = seed_weights(runs, 40_000, [runs]) @ values
    assert means.mean() == pytest.approx(values.mean(), abs=0.02)
    assert means.var() == pytest.approx(values.var(ddof=1) / runs, rel=0.04)


@pytest.mark.parametrize("method", METHODS)
def test_common_interface(method: str) -> None:
    marks = simulated(0)
    answers = sensitivity_intervals(method, marks, [0.1, 0.5, 1.0])
    assert [one.method for one in answers] == [method] * 3
    assert all(0 <= one.low < one.estimate < one.high <= 1 for one in answers)
    assert answers[1] == sensitivity_intervals(method, marks, [0.5])[0]
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
    boot, independent = (sensitivity_intervals(method, alike, [0.5])[0]
                         for method in ("bootstrap", "wilson"))
    assert boot.high - boot.low > 2 * (independent.high - independent.low)


def test_unknown_method() -> None:
    with pytest.raises(ValueError, match="idca, bootstrap, wilson"):
        sensitivity_intervals("delta", simulated(0), [1.0])


def test_fallback_says_what_happened() -> None:
    separable = grouped(np.arange(20.0), np.arange(50.0, 60.0), np.arange(20) % 5,
                        np.arange(10) % 5, np.full(5, 2), np.full(5, 3))
    assert isinstance(sensitivity_intervals("idca", separable, [0.5])[0], NoInterval)
    answer, = intervals_or_fallback("idca", separable, [0.5])
    assert answer.method == "wilson"  # the same ten of fifteen lesions in every resample
    assert answer.high - answer.low > 0.3
    assert "do not overlap" in answer.note and "all resamples agree" in answer.note
    asked, = intervals_or_fallback("bootstrap", separable, [0.5])   # as the first choice too
    assert (asked.method, asked.note) == ("wilson", "bootstrap: all resamples agree")
    uneven = grouped(np.arange(20.0), np.arange(50.0, 66.0), np.arange(20) % 8,
                     np.arange(16) % 6, np.full(8, 2), np.full(8, 4))
    assert intervals_or_fallback("idca", uneven, [0.5])[0].method == "bootstrap"
    four = grouped(np.arange(20.0), np.arange(5.0, 21.0), np.arange(20) % 4, np.arange(16) % 3,
                   np.full(4, 2), np.full(4, 5))
    asked, = intervals_or_fallback("bootstrap", four, [0.5])
    assert asked.method == "wilson" and "from 4 groups lie beyond" in asked.note
    one_group = grouped(np.arange(20.0), np.arange(50.0, 60.0), np.zeros(20), np.zeros(10),
                        np.array([10]), np.array([15]))
    answer, = intervals_or_fallback("idca", one_group, [0.5])
    assert answer.method == "wilson"
    assert "two groups" in answer.note
    assert intervals_or_fallback("wilson", one_group, [0.5])[0].note == ""


def test_nothing_detected_is_not_certain() -> None:
    """No method gives [0, 0], whatever is asked for."""
    hopeless = grouped(np.arange(50.0, 70.0), np.arange(10.0), np.arange(20) % 5,
                       np.arange(10) % 5, np.full(5, 20), np.full(5, 2))
    for method in METHODS:
        answer, = intervals_or_fallback(method, hopeless, [0.05])
        assert answer.estimate == 0 and answer.high > 0.2


def test_bars_near_the_ends_reach_as_far_as_wilsons() -> None:
    """One of 98 lesions outscores the false positives: hardly a resample has two such."""
    groups = np.arange(98) % 14
    low = grouped(np.full(98, 5.0), np.append(np.arange(97) / 100, 9.0), groups, groups,
                  np.full(14, 7), np.full(14, 7))
    alone = percentile_interval(
        resampled_sensitivity(low, group_weights(14, 20_000, 0), [0.5])[:, 0], 14)
    one, = sensitivity_intervals("bootstrap", low, [0.5])
    assert one.estimate == 1 / 98 and one.method == "bootstrap"
    assert one.high == max(alone[1], wilson(1, 98)[1]) > alone[1]
    middle, = sensitivity_intervals("bootstrap", simulated(0), [0.5])
    values = resampled_sensitivity(simulated(0), group_weights(15, 20_000, 0), [0.5])[:, 0]
    assert (middle.low, middle.high) == percentile_interval(values, 15)


def test_misfit_is_marked() -> None:
    generator = np.random.default_rng(5)
    hits = np.concatenate([generator.normal(0.0, 1.0, 100), generator.normal(5.0, 0.3, 100)])
    marks = grouped(generator.normal(size=2000), hits, np.arange(2000) % 20, np.arange(200) % 20,
                    np.full(20, 10), np.full(20, 10))
    assert all(one.doubt for one in intervals_or_fallback("idca", marks, [0.1, 1.0]))
    assert not any(one.doubt for one in intervals_or_fallback("bootstrap", marks, [0.1, 1.0]))
    fine = intervals_or_fallback("idca", simulated(0), [0.1, 0.5])
    assert [one.doubt for one in fine] == ["", ""]


def test_a_test_set_without_lesions_is_an_input_error() -> None:
    empty = grouped(np.arange(5.0), np.array([]), np.arange(5), np.array([]), np.ones(5),
                    np.zeros(5))
    with pytest.raises(InputError, match="0 lesions"):
        intervals_or_fallback("idca", empty, [0.5])


def test_one_unreachable_point_does_not_spoil_the_others() -> None:
    answers = intervals_or_fallback("idca", simulated(1), [0.5, 50.0])
    assert [one.method for one in answers] == ["idca", "bootstrap"]


def test_mean_over_seeds_keeps_the_width() -> None:
    mean = mean_interval([Interval(0.4, 0.3, 0.5, "idca", doubt="bent"),
                          Interval(0.6, 0.5, 0.7, "wilson", "why")])
    assert (mean.estimate, mean.low, mean.high) == pytest.approx((0.5, 0.4, 0.6))
    assert (mean.method, mean.note, mean.doubt) == ("idca+wilson", "why", "bent")


def test_touching_bars_overlap() -> None:
    low, high = Interval(0.2, 0.1, 0.3, "idca"), Interval(0.4, 0.3, 0.5, "idca")
    assert low.overlaps(high) and high.overlaps(low)
    assert not low.overlaps(Interval(0.4, 0.31, 0.5, "idca"))
