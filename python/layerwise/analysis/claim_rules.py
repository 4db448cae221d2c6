"""From resampled differences, or logs, to a verdict on one contrast of a claim.

A claim that needs several contrasts, or several points, is supported when enough of them are, each
at 95%; where only some of P points have to hold (m of them), each at 1 - 0.05 / (P - m + 1), the
Bonferroni level of a partial conjunction (Benjamini & Heller, Biometrics 64, 2008). It is
contradicted by any one of its k contrasts, which must therefore contradict it at 1 - 0.05 / k, and
at so many points that m cannot hold, each at 1 - 0.05 / (k m).
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import t as student_t

from layerwise.analysis.bootstrap import percentile_interval

ALPHA = 0.05
ORDER = {"contradicted": 0, "undecided": 1, "supported": 2}


@dataclass(frozen=True)
class Measured:
    """A contrast at its deciding point: verdict, estimate, and the interval of `level`."""

    verdict: str
    estimate: float
    low: float
    high: float
    level: float
    too_low: bool = False   # on par, but of sensitivities too low to say so

    def rank(self, kind: str) -> tuple[int, float]:
        """The lower, the more it stands in the claim's way."""
        return ORDER[self.verdict], slack(kind, self.low, self.high)


def slack(kind: str, low: float, high: float) -> float:
    """How far an interval is from standing in the way of a claim; only for sorting."""
    return -max(abs(low), abs(high)) if kind == "equal" else low


def supports(kind: str, low: float, high: float, margin: float) -> bool:
    """Whether an interval supports a claim of a kind (see claim_rows)."""
    if kind in ("higher", "sooner"):
        return low > 0
    if kind == "not lower":
        return low > -margin
    if kind == "equal":
        return low > -margin and high < margin
    raise ValueError(f"unknown kind of claim {kind!r}")


def contradicts(kind: str, low: float, high: float, margin: float) -> bool:
    """Whether an interval contradicts it; what differs by less than the margin does not."""
    if kind in ("higher", "sooner"):
        return high < 0
    if kind == "not lower":
        return high < -margin
    if kind == "equal":
        return low > margin or high < -margin
    raise ValueError(f"unknown kind of claim {kind!r}")


def needed(rule: str, points: int) -> int:
    """At how many of `points` operating points a claim must hold."""
    return {"all": points, "most": points // 2 + 1, "any": 1}[rule]


def decide(kind: str, rule: str, estimates: np.ndarray, draws: np.ndarray, groups: int,
           contrasts: int, margin: float, supportable: np.ndarray) -> Measured:
    """Verdict on one contrast.

    Args:
        estimates: (points,) of the contrast; draws: (resamples, points) of it.
        groups: test groups with lesions.
        contrasts: how many the claim has (k above).
        supportable: bool (points,), False where support is out of the question whatever the
            interval (sensitivities too low).
    """
    if rule == "mean":
        rule, estimates, draws = "all", estimates.mean(keepdims=True), draws.mean(1, keepdims=True)
        supportable = supportable.all(keepdims=True)
    m, points = needed(rule, estimates.size), estimates.size
    levels = 1 - ALPHA / (points - m + 1), 1 - ALPHA / (contrasts * m)
    narrow, wide = ([percentile_interval(column, groups, level) for column in draws.T]
                    for level in levels)
    fits = [supports(kind, *one, margin) and one[0] < one[1] for one in narrow]
    against = [contradicts(kind, *one, margin) and one[0] < one[1] for one in wide]
    verdict = "undecided"
    if sum(np.logical_and(fits, supportable)) >= m:
        verdict = "supported"
    elif sum(against) >= points - m + 1:
        verdict = "contradicted"
    shown, level = (wide, levels[1]) if verdict == "contradicted" else (narrow, levels[0])
    order = sorted(range(points), key=lambda i: slack(kind, *shown[i]), reverse=True)
    at = order[m - 1]
    return Measured(verdict, float(estimates[at]), *shown[at], level,
                    bool(sum(fits) >= m and verdict == "undecided"))


def decide_sooner(ratios: Sequence[tuple[float, float, float]], contrasts: int) -> Measured:
    """Verdict on log2 ratios of iterations, one (estimate, low, high) per seed; two or more.

    The t intervals over seeds of the lower and of the upper bounds are joined.
    """
    estimate, lows, highs = (np.array(column) for column in zip(*ratios))

    def ends(level: float) -> tuple[float, float]:
        factor = float(student_t.ppf((1 + level) / 2, len(ratios) - 1)) / np.sqrt(len(ratios))
        low = lows.mean() - factor * lows.std(ddof=1) if np.isfinite(lows).all() else -np.inf
        high = highs.mean() + factor * highs.std(ddof=1) if np.isfinite(highs).all() else np.inf
        return float(low), float(high)

    levels = 1 - ALPHA, 1 - ALPHA / contrasts
    narrow, wide = ends(levels[0]), ends(levels[1])
    if contradicts("sooner", *wide, 0.0):
        return Measured("contradicted", float(estimate.mean()), *wide, levels[1])
    verdict = "supported" if supports("sooner", *narrow, 0.0) else "undecided"
    return Measured(verdict, float(estimate.mean()), *narrow, levels[0])
