"""From resampled differences, or logs, to a verdict on one contrast of a claim.

A claim that needs several contrasts, or several points, is supported when enough of them are, each
at 95%; where only some of P points have to hold (m of them), each at 1 - 0.05 / (P - m + 1), the
Bonferroni level of a partial conjunction (Benjamini & Heller, Biometrics 64, 2008). It is
contradicted by any one of its k contrasts, which must therefore contradict it at 1 - 0.05 / k, and
at so many points that m cannot hold, each at 1 - 0.05 / (k m).

Interval and p value must agree on each. G groups cannot reach a p below 2^(1 - G), so that a level
above 1 - 2^(1 - G) decides nothing; where that is in the way of a verdict, it is said.
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import t as student_t

from layerwise.analysis.bootstrap import attainable_p, expanded_p, percentile_interval
from layerwise.errors import LayerwiseError

ALPHA = 0.05
ORDER = {"contradicted": 0.0, "undecided": 1.0, "supported": 2.0}

# (side, bound in margins) beyond which the whole interval must lie: for support all of them ...
_FOR = {"higher": ((1, 0.0),), "sooner": ((1, 0.0),), "not lower": ((1, -1.0),),
        "equal": ((1, -1.0), (-1, 1.0))}
# ... and for contradiction any; what differs by less than the margin does not contradict.
_AGAINST = {"higher": ((-1, 0.0),), "sooner": ((-1, 0.0),), "not lower": ((-1, -1.0),),
            "equal": ((1, 1.0), (-1, -1.0))}


@dataclass(frozen=True)
class Measured:
    """A contrast at its deciding point: verdict, estimate, and the interval of `level`.

    low, high: NaN where the groups are too few for an interval. blocked: why no verdict was
    possible that the numbers point to, or "".
    """

    verdict: str
    estimate: float
    low: float
    high: float
    level: float
    too_low: bool = False   # on par, but of sensitivities too low to say so
    blocked: str = ""

    def rank(self, kind: str) -> tuple[float, float]:
        """The lower, the more it stands in the claim's way."""
        return ORDER[self.verdict] - 0.5 * bool(self.blocked), slack(kind, self.low, self.high)


def slack(kind: str, low: float, high: float) -> float:
    """How far an interval is from standing in the way of a claim; only for sorting."""
    if np.isnan(low):
        return -np.inf
    return -max(abs(low), abs(high)) if kind == "equal" else low


def _beyond(low: float, high: float, side: int, bound: float) -> bool:
    return low > bound if side > 0 else high < bound


def supports(kind: str, low: float, high: float, margin: float) -> bool:
    """Whether an interval supports a claim of a kind (see claim_rows)."""
    return all(_beyond(low, high, side, at * margin) for side, at in _FOR[kind])


def contradicts(kind: str, low: float, high: float, margin: float) -> bool:
    """Whether an interval contradicts it."""
    return any(_beyond(low, high, side, at * margin) for side, at in _AGAINST[kind])


@dataclass(frozen=True)
class _Column:
    """Resamples of a contrast at one point, with their interval at `level`."""

    values: np.ndarray
    groups: int
    level: float
    low: float
    high: float

    def beyond(self, side: int, bound: float) -> bool:
        """Whether interval and p value both put the contrast beyond the bound."""
        return self.low < self.high and _beyond(self.low, self.high, side, bound) \
            and expanded_p(self.values - bound, self.groups) <= 1 - self.level + 1e-12

    def supports(self, kind: str, margin: float) -> bool:
        """As the function, by interval and p value."""
        return all(self.beyond(side, at * margin) for side, at in _FOR[kind])

    def contradicts(self, kind: str, margin: float) -> bool:
        """As the function, by interval and p value."""
        return any(self.beyond(side, at * margin) for side, at in _AGAINST[kind])


def _at_level(draws: np.ndarray, groups: int, level: float) -> tuple[list[_Column], str]:
    """The columns of `draws` with intervals, and why the level decides nothing, or ""."""
    blocked = ""
    if attainable_p(groups) > 1 - level + 1e-12:
        blocked = f"{groups} groups attain {100 * (1 - attainable_p(groups)):.3g}% at most"
    columns = []
    for values in draws.T:
        try:
            low, high = percentile_interval(values, groups, level)
        except LayerwiseError as error:
            low, high, blocked = np.nan, np.nan, blocked or str(error)
        columns.append(_Column(values, groups, level, low, high))
    return columns, blocked


def needed(rule: str, points: int) -> int:
    """At how many of `points` operating points a claim must hold."""
    return {"all": points, "most": points // 2 + 1, "any": 1}[rule]


def decide(kind: str, rule: str, estimates: np.ndarray, draws: np.ndarray, groups: int,
           contrasts: int, margin: float, supportable: np.ndarray) -> Measured:
    """Verdict on one contrast.

    Args:
        estimates: (points,) of the contrast; draws: (resamples, points) of it.
        groups: test groups that hold evidence.
        contrasts: how many the claim has (k above).
        supportable: bool (points,), False where support is out of the question whatever the
            interval (sensitivities too low).
    """
    if rule == "mean":
        rule, estimates, draws = "all", estimates.mean(keepdims=True), draws.mean(1, keepdims=True)
        supportable = supportable.all(keepdims=True)
    m, points = needed(rule, estimates.size), estimates.size
    levels = 1 - ALPHA / (points - m + 1), 1 - ALPHA / (contrasts * m)
    (narrow, no_support), (wide, no_contradiction), (single, _) = (
        _at_level(draws, groups, level) for level in (*levels, 1 - ALPHA))
    fits = [one.supports(kind, margin) for one in narrow]
    verdict, blocked = "undecided", ""
    if sum(np.logical_and(fits, supportable)) >= m:
        verdict = "supported"
    elif sum(one.contradicts(kind, margin) for one in wide) >= points - m + 1:
        verdict = "contradicted"
    elif no_support:
        blocked = f"support needs {100 * levels[0]:.3g}%: {no_support}"
    elif no_contradiction and sum(one.contradicts(kind, margin)
                                  for one in single) >= points - m + 1:
        blocked = (f"contradicted at 95%, but as one of {contrasts * m} comparisons it needs "
                   f"{100 * levels[1]:.3g}%: {no_contradiction}")
    shown = wide if verdict == "contradicted" else single if no_support else narrow
    order = sorted(range(points), key=lambda i: slack(kind, shown[i].low, shown[i].high),
                   reverse=True)
    at, one = order[m - 1], shown[order[m - 1]]
    return Measured(verdict, float(estimates[at]), one.low, one.high, one.level,
                    bool(sum(fits) >= m and verdict == "undecided"), blocked)


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
