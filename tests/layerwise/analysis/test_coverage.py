"""The coverage simulation: its truth, its draws, and the numbers that are committed."""
from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from layerwise.analysis.coverage import (
    PAIRED_GROUPS,
    SCENARIOS,
    Scenario,
    coverage_table,
    draw,
    paired_errors,
    simulate,
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


def test_paired_errors_are_rates() -> None:
    one = paired_errors(6, 10, seed=2002)
    assert 0 <= one.expanded <= one.plain <= 1 and one.draws == 10


def test_the_committed_numbers_are_of_these_scenarios() -> None:
    content = json.loads(COMMITTED.read_text(encoding="utf-8"))
    assert [one["groups"] for one in content["paired"]] == list(PAIRED_GROUPS)
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
