"""What a recommendation says in words."""
from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from layerwise.analysis import advice
from layerwise.analysis.deeper import Measured, gain, search
from layerwise.analysis.style import figure_style
from layerwise.recommend import Effort, Point, Recommendation, growing


def measured(name: str, auc: float, width: float = math.nan) -> Measured:
    """Of one run; with NaN as width, without an interval."""
    draws = auc + width * np.random.default_rng(len(name)).normal(0, 1, 20_000)
    return Measured(name, auc, auc - 2 * width, auc + 2 * width, draws, 1)


def test_what_was_not_tested_has_no_p() -> None:
    aucs = {"fc8": 0.8, "fc7": 0.9, "fc6": 0.7}
    found = search(tuple(aucs), lambda names: [measured(name, aucs[name]) for name in names],
                   lambda: 1)
    told = Recommendation("own", "scans", "group", "group", 3, found, (), "", found.measured[0], 1,
                          Effort(3, 1.0, 9, 2.0, 0), ())
    printed = advice.lines(told)
    assert [line[:8] for line in printed if line.endswith("over fc8, not tested")] == [
        "  fc7   ", "  fc6   "]
    assert not any("p = " in line for line in printed)
    assert [look["gain"]["p"] for look in advice.as_json(told)["search"]["looks"]] == [None, None]


@pytest.mark.parametrize("unit, fewer, groups", [("patient", "patient", (4, 9)),
                                                 ("video", "frame", (9, 9))])
def test_more_of_what_the_smaller_sets_had_fewer_of_should_help(
        unit: str, fewer: str, groups: tuple[int, int]) -> None:
    less = replace(measured("conv1", 0.7, 0.01), name="fc8")       # with draws of its own
    all_of_it = measured("fc8", 0.9, 0.01)
    found = search(("fc8",), lambda names: [all_of_it], lambda: 20)
    curve = (Point(50, groups[0], 200, less, None),
             Point(100, groups[1], 400, all_of_it, gain(all_of_it, less, 20)))
    made = Recommendation("t", "scans", unit, fewer, 3, found, curve, "", found.measured[0], 20,
                          Effort(1, 1.0, 9, 2.0, 1), ())
    told = "\n".join(advice.lines(made))
    assert f"   50% ({groups[0]} training {unit}s, 200 patches) 0.7000" in told
    assert f"  100% ({groups[1]} training {unit}s, 400 patches) 0.9000" in told
    assert f"still rises from 50% to 100%; more {fewer}s should help" in told
    with figure_style():
        axes = advice.draw(made).axes[1]
    assert axes.get_xlabel() == ("training patients" if unit == fewer else "training patches")


def test_sizes_with_the_same_groups_are_one_point() -> None:
    assert growing({25: 2, 50: 2, 100: 5}) == [50, 100]
    assert growing({25: 2, 50: 3, 100: 5}) == [25, 50, 100]
    assert growing({25: 2, 50: 2, 100: 2}) == [100]
