"""The coverage simulation: its truth, its draws, and the numbers that are committed."""
from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from layerwise.analysis.coverage import (
    SCENARIOS,
    Scenario,
    coverage_table,
    draw,
    simulate,
)
from layerwise.analysis.coverage_paired import (
    PAIRED,
    RUNS,
    Pair,
    Runs,
    draw_pair,
    paired_errors,
    run_coverage,
)
from layerwise.analysis.froc import froc

COMMITTED = Path(__file__).resolve().parents[3] / "results/statistics/coverage.json"


@pytest.mark.parametrize("scenario", SCENARIOS, ids=[one.name[:24] for one in SCENARIOS])
def test_truth_is_that_of_a_large_draw(scenario: Scenario) -> None:
    """Many groups of the same kind; what correlates within a group averages out over them."""
    factor = 40_000 // scenario.lesions
    large = replace(scenario, groups=scenario.groups * factor, lesions=scenario.lesions * factor)
    assert large.cases_per_group == scenario.cases_per_group
    curve = froc(draw(large, np.random.default_rng(1)))
    for point in scenario.points:
        assert curve.sensitivity_at(point) == pytest.approx(scenario.truth(point), abs=0.03)


def test_a_few_draws_are_repeated() -> None:
    found = {(one.method, one.point): one for one in simulate(SCENARIOS[0], 5, seed=2002)}
    golden = {("idca", 1.0): (1.0, 0.1601), ("bootstrap", 1.0): (1.0, 0.1883),
              ("wilson", 1.0): (0.8, 0.1675), ("wilson", 5.0): (1.0, 0.1624)}
    for key, (coverage, width) in golden.items():
        assert found[key].coverage == coverage
        assert found[key].mean_width == pytest.approx(width, abs=1e-3)
        assert (found[key].failures, found[key].draws) == (0, 5)
    assert "5 draws" in coverage_table(list(found.values())).note


def test_pairs_correlate_as_they_should() -> None:
    first, second = draw_pair(Pair(3000, 0.7, 0.4), np.random.default_rng(1))
    assert np.corrcoef(first.negatives, second.negatives)[0, 1] == pytest.approx(0.7, abs=0.02)
    assert np.corrcoef(first.positives, second.positives)[0, 1] == pytest.approx(0.7, abs=0.02)
    for scores in (first.negatives, second.negatives, first.positives):
        means = scores.reshape(3000, -1).mean(axis=1)
        share = means.var() / scores.var()          # icc + (1 - icc) / 20
        assert share == pytest.approx(0.43, abs=0.03)


def test_paired_errors_are_rates() -> None:
    one = paired_errors(Pair(6, 0.5, 0.2), 10, seed=2002)
    assert 0 <= one.decided <= one.expanded <= one.plain <= 1 and one.draws == 10


def test_stretched_runs_cover_more() -> None:
    """Two runs whose variance outweighs that of the groups."""
    one = run_coverage(Runs(2, 4.0), 150, seed=2002)
    assert 0.5 < one.multinomial < one.stretched < 1


def test_the_committed_numbers_are_of_these_scenarios() -> None:
    content = json.loads(COMMITTED.read_text(encoding="utf-8"))
    assert [Pair(one["groups"], one["rho"], one["icc"]) for one in content["paired"]] \
        == list(PAIRED)
    assert all(one["decided"] <= 0.05 + 2 * 0.007 for one in content["paired"])
    assert [Runs(one["runs"], one["ratio"]) for one in content["runs"]] == list(RUNS)
    assert all(one["stretched"] > one["multinomial"] for one in content["runs"])
    found = {(one["scenario"], one["method"], one["point"]): one for one in content["coverage"]}
    for scenario in SCENARIOS:
        for method in ("idca", "bootstrap", "wilson"):
            for point in scenario.points:
                one = found.pop((scenario.name, method, point))
                assert one["truth"] == pytest.approx(scenario.truth(point))
                assert one["draws"] >= (1000 if scenario.main else 200)
                if scenario.main and method != "wilson":
                    assert 0.93 <= one["coverage"] <= 0.97
    assert not found
