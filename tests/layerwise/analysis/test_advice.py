"""What a recommendation says in words."""
from __future__ import annotations

import math

import numpy as np

from layerwise.analysis import advice
from layerwise.analysis.deeper import Measured, search
from layerwise.recommend import Effort, Recommendation


def measured(name: str, auc: float, width: float = math.nan) -> Measured:
    """Of one run; with NaN as width, without an interval."""
    draws = auc + width * np.random.default_rng(len(name)).normal(0, 1, 20_000)
    return Measured(name, auc, auc - 2 * width, auc + 2 * width, draws, 1)


def test_what_was_not_tested_has_no_p() -> None:
    aucs = {"fc8": 0.8, "fc7": 0.9, "fc6": 0.7}
    found = search(tuple(aucs), lambda names: [measured(name, aucs[name]) for name in names],
                   lambda: 1)
    told = Recommendation("own", "scans", "group", 3, found, (), "", found.measured[0], 1,
                          Effort(3, 1.0, 9, 2.0, 0), ())
    printed = advice.lines(told)
    assert [line[:8] for line in printed if line.endswith("over fc8, not tested")] == [
        "  fc7   ", "  fc6   "]
    assert not any("p = " in line for line in printed)
    assert [look["gain"]["p"] for look in advice.as_json(told)["search"]["looks"]] == [None, None]
