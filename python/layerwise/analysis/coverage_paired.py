"""By simulation: how often equal systems are called different, and whether runs are accounted for.

Two systems on one test set differ in any one sample; their scores correlate by `rho`, those of a
group by `icc`. The verdict of a claim is an outcome like the p values. The second simulation gives
two systems some training runs each, which differ among one another.
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from tqdm import tqdm

from layerwise.analysis.bootstrap import (
    expanded_p,
    group_weights,
    percentile_interval,
    plain_p,
    resampled_sensitivity,
    seed_weights,
)
from layerwise.analysis.claim_rules import decide
from layerwise.analysis.marks import Marks
from layerwise.analysis.textable import TextTable

RESAMPLES = 2000
RESAMPLES_OF_SIX = 5000   # groups, whose interval ends lie further out
MARKS = 20            # of each class in a group
RATE = 0.1
MEAN, SPREAD = 1.5, 1.1   # of positives' scores; negatives are standard normal


@dataclass(frozen=True)
class Pair:
    """Test groups, correlation of two systems' scores, and of one's scores within a group."""

    groups: int
    rho: float
    icc: float


PAIRED = tuple(Pair(groups, rho, icc) for groups in (6, 8, 12, 20) for icc in (0.2, 0.4)
               for rho in (0.3, 0.9))


@dataclass(frozen=True)
class PairedErrors:
    """How often two equal systems are called different at 5%."""

    groups: int
    rho: float
    icc: float
    plain: float      # p of percentiles as they are
    expanded: float   # p corrected for the number of groups
    decided: float    # a claim that one outperforms the other is supported or contradicted
    draws: int


def draw_pair(pair: Pair, generator: np.random.Generator) -> tuple[Marks, Marks]:
    """Marks of two systems of one distribution on the same candidates, kind "roc"."""
    groups = np.repeat(np.arange(pair.groups), MARKS)
    names, units = tuple(map(str, range(pair.groups))), np.full(pair.groups, MARKS)

    def correlated(size: int) -> np.ndarray:
        first, second = generator.normal(size=(2, size))
        return np.stack([first, pair.rho * first + np.sqrt(1 - pair.rho ** 2) * second])

    low, high = (np.sqrt(pair.icc) * correlated(pair.groups)[:, groups]
                 + np.sqrt(1 - pair.icc) * correlated(groups.size) for _ in range(2))
    first, second = (Marks("roc", low[i], MEAN + SPREAD * high[i], groups, groups, names, units,
                           units) for i in range(2))
    return first, second


def paired_errors(pair: Pair, draws: int, seed: int) -> PairedErrors:
    """Errors of the first kind at FPR RATE."""
    resamples, wrong = RESAMPLES if pair.groups > 6 else RESAMPLES_OF_SIX, np.zeros(3)
    for number in tqdm(range(draws), desc=f"pairs, {pair.groups} groups", unit="draw"):
        marks = draw_pair(pair, np.random.default_rng([seed, number]))
        weights = group_weights(pair.groups, resamples, number)
        first, second = (resampled_sensitivity(one, weights, [RATE])[:, 0] for one in marks)
        difference = first - second
        verdict = decide("higher", "mean", np.zeros(1), difference[:, None], pair.groups, 1, 0.0,
                         np.array([True])).verdict
        wrong += (plain_p(difference) < 0.05, expanded_p(difference, pair.groups) < 0.05,
                  verdict != "undecided")
    plain, expanded, decided = (wrong / draws).tolist()
    return PairedErrors(pair.groups, pair.rho, pair.icc, plain, expanded, decided, draws)


@dataclass(frozen=True)
class Runs:
    """Training runs per system; variance between runs over that of the mean over groups."""

    runs: int
    ratio: float


RUNS = tuple(Runs(runs, ratio) for ratio in (1.0, 4.0) for runs in (2, 3, 5))
RUN_GROUPS, RUN_RESAMPLES = 12, 1000


@dataclass(frozen=True)
class RunCoverage:
    """Coverage of the 95% interval of the difference of two systems."""

    runs: int
    ratio: float
    multinomial: float   # runs drawn again as they are
    stretched: float     # `seed_weights`
    draws: int


def run_coverage(setting: Runs, draws: int, seed: int) -> RunCoverage:
    """Normal group differences that all runs share, and normal deviations of each run."""
    count, covered = setting.runs, np.zeros(2)
    for number in tqdm(range(draws), desc=f"{count} runs, ratio {setting.ratio:g}", unit="draw"):
        generator = np.random.default_rng([seed, number])
        weights = group_weights(RUN_GROUPS, RUN_RESAMPLES, number) / RUN_GROUPS
        groups = weights @ generator.normal(size=RUN_GROUPS)
        # Two systems: half of the variance between runs is each one's.
        runs = generator.normal(scale=np.sqrt(setting.ratio / RUN_GROUPS / 2), size=(2, count))
        drawn = [generator.multinomial(count, np.full(count, 1 / count), RUN_RESAMPLES) / count
                 for _ in runs]
        stretched = [seed_weights(count, RUN_RESAMPLES, [seed, number, i]) for i in range(2)]
        for i, shares in enumerate((drawn, stretched)):
            values = groups + shares[0] @ runs[0] - shares[1] @ runs[1]
            low, high = percentile_interval(values, RUN_GROUPS)
            covered[i] += low <= 0 <= high
    multinomial, stretched = (covered / draws).tolist()
    return RunCoverage(count, setting.ratio, multinomial, stretched, draws)


def _percent(value: float) -> str:
    return f"{100 * value:.1f}%"


def paired_table(found: Sequence[PairedErrors]) -> TextTable:
    """The paired test's error of the first kind, for reading."""
    rows = tuple((str(one.groups), f"{one.icc:g}", f"{one.rho:g}", _percent(one.plain),
                  _percent(one.expanded), _percent(one.decided), str(one.draws)) for one in found)
    return TextTable("paired", "Paired group bootstrap: how often equal systems differ at 5%",
                     ("groups", "correlation within a group", "between the systems",
                      "p of plain percentiles", "expanded p (used)", "claim decided", "draws"),
                     rows, f"Two systems of equal distribution on the same {MARKS} + {MARKS} "
                     f"candidates per group, at FPR {RATE:g}, {RESAMPLES} resamples, "
                     f"{RESAMPLES_OF_SIX} with 6 groups. A claim is decided, wrongly, when "
                     "interval and p agree. 5% is right, less is cautious.")


def run_table(found: Sequence[RunCoverage]) -> TextTable:
    """Coverage with few training runs, for reading."""
    rows = tuple((str(one.runs), f"{one.ratio:g}", _percent(one.multinomial),
                  _percent(one.stretched), str(one.draws)) for one in found)
    return TextTable("runs", "Coverage of the 95% interval of a difference of two systems with few "
                     "training runs", ("runs per system", "variance of a run", "runs drawn as they "
                     "are", "stretched by √(S/(S−1)) (used)", "draws"), rows,
                     f"Normal differences in {RUN_GROUPS} groups; the variance of a run is in "
                     "units of that of the mean over the groups.")
