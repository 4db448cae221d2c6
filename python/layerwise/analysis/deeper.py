"""How deep to fine-tune, decided one layer at a time on the validation set.

The paper's scheme (section III): begin with the last layer and go deeper while that helps. Here
"helps" is a test. The AUC of both depths is computed in the same RESAMPLES bootstrap resamples of
the validation groups (patients, videos), which respects that patches of a group are alike and that
both networks saw the same ones; where a depth was trained several times, its runs are drawn again
too. The one-sided p value of the gain is that of `bootstrap.expanded_p`, corrected for the number
of groups.

From an effective depth two further layers are looked at, and the search ends when neither gains.
Each look is made at 2.5% (ALPHA / LOOKS), so that going on from a depth without any gain happens in
at most 5% of searches. There is no correction for how often the search moves on: each move begins
a new question. The best snapshot of every depth was chosen on the same validation set: all AUCs are
a little too high, alike for all depths.

Not significant is not the same as no gain. The choice is "undecided" with fewer than MIN_RUNS
training runs of each depth, as then networks are compared, not depths, and more groups only make
certain of a difference that another run would not repeat; when the validation set is too small to
test (fewer than MIN_GROUPS groups hold the rarer class: 2^-5 is more than 2.5%), when
it is separated without error, or when it leaves open that a layer looked at gains more than MARGIN.
"""
from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from layerwise.analysis.auc_bootstrap import Pairs, resampled_auc
from layerwise.analysis.bootstrap import (
    RESAMPLES,
    expanded_p,
    group_weights,
    interval_or_none,
    seed_weights,
)

SEED = 2016
ALPHA, LOOKS = 0.05, 2
LEVEL = ALPHA / LOOKS
MIN_GROUPS, MIN_RUNS = 6, 3
MARGIN = 0.02             # of AUC: a gain that would be worth knowing of


@dataclass(frozen=True)
class Measured:
    """A depth's AUC: the mean over its runs, its 95% interval (NaN: none), and in each resample."""

    name: str
    auc: float
    low: float
    high: float
    draws: np.ndarray
    runs: int


@dataclass(frozen=True)
class Gain:
    """AUC of one depth less that of another, 95% interval, one-sided p of "no gain".

    NaN: no interval, and not tested.
    """

    estimate: float
    low: float
    high: float
    p: float

    @property
    def significant(self) -> bool:
        """At the level of one look."""
        return self.p <= LEVEL

    @property
    def open(self) -> bool:
        """Whether more than MARGIN may be gained."""
        return not self.high <= MARGIN


@dataclass(frozen=True)
class Look:
    """A depth looked at: its gain over the effective depth of that moment."""

    depth: str
    against: str
    gain: Gain


@dataclass(frozen=True)
class Search:
    """What was looked at in which order, the effective depth, and why it is in doubt (or not)."""

    measured: tuple[Measured, ...]
    looks: tuple[Look, ...]
    chosen: str
    doubts: tuple[str, ...]
    groups: int

    def of(self, name: str) -> Measured:
        """What was measured of a depth."""
        return next(one for one in self.measured if one.name == name)


def measure(name: str, runs: Sequence[Sequence[Pairs]], groups: int, entropy: int) -> Measured:
    """A depth's AUC from its runs, each given by the pairs of its questions.

    Args:
        groups: that hold evidence (`auc_bootstrap.evidence_groups`).
        entropy: a number of this depth, for drawing its runs.
    """
    count = len(runs[0][0].negatives)
    auc = float(np.mean([resampled_auc(one, np.ones((1, count)))[0] for one in runs]))
    if count < 2:
        return Measured(name, auc, math.nan, math.nan, np.full(RESAMPLES, math.nan), len(runs))
    weights = group_weights(count, RESAMPLES, SEED)
    shares = seed_weights(len(runs), RESAMPLES, [SEED, entropy])
    draws = np.sum([share * resampled_auc(one, weights) for share, one in zip(shares.T, runs)],
                   axis=0)
    return Measured(name, auc, *_interval(draws, groups), draws, len(runs))


def gain(one: Measured, over: Measured, groups: int) -> Gain:
    """What one depth has more than another, paired over the resamples."""
    difference = one.draws - over.draws
    estimate, (low, high) = one.auc - over.auc, _interval(difference, groups)
    if math.isnan(low):
        return Gain(estimate, low, high, math.nan)
    half = expanded_p(difference, groups) / 2
    return Gain(estimate, low, high, half if estimate > 0 else 1 - half)


def _interval(draws: np.ndarray, groups: int) -> tuple[float, float]:
    """NaN where there is none."""
    return interval_or_none(draws, groups) or (math.nan, math.nan)


def search(depths: Sequence[str], measure_all: Callable[[Sequence[str]], Sequence[Measured]],
           groups: Callable[[], int]) -> Search:
    """Go through `depths`, the shallowest first, until two further ones bring nothing.

    Args:
        measure_all: trains and measures depths; asked only for those that are needed whatever
            their outcome, so that they may be made side by side.
        groups: that hold evidence, known once something is measured.
    """
    measured = list(measure_all(depths[:1 + LOOKS]))
    chosen, stale, looks = measured[0], 0, []
    for place in range(1, len(depths)):
        if stale == LOOKS:
            break
        if place == len(measured):
            measured += measure_all(depths[place:place + LOOKS - stale])
        one = measured[place]
        looks.append(Look(one.name, chosen.name, gain(one, chosen, groups())))
        chosen, stale = (one, 0) if looks[-1].gain.significant else (chosen, stale + 1)
    return Search(tuple(measured), tuple(looks), chosen.name,
                  tuple(_doubts(chosen, looks, groups())), groups())


def _doubts(chosen: Measured, looks: Sequence[Look], groups: int) -> list[str]:
    doubts = [] if chosen.runs >= MIN_RUNS else [
        f"fewer than {MIN_RUNS} training runs of each depth: another run may order them otherwise; "
        "--seeds 1,2,3 takes that into account"]
    if groups < MIN_GROUPS:
        return [*doubts, f"only {groups} validation groups hold the rarer class: no gain can be "
                f"significant with fewer than {MIN_GROUPS}"]
    if chosen.auc == 1:
        return [*doubts, f"{chosen.name} separates the validation set without error: it cannot "
                "tell whether another depth would be better elsewhere"]
    return [*doubts, *(
        f"{look.depth} may still gain up to {look.gain.high:.3f} of AUC over {chosen.name}"
        for look in looks if look.against == chosen.name and look.gain.open)]


def certain_doubts(rarest: str, held: int, unit: str, runs: int, every: int, classes: int
                   ) -> list[str]:
    """What is certain of the verdict before anything is trained, and what would change it.

    Args:
        rarest, held: the side of a question in the fewest validation groups, and in how many.
        unit: what a group is.
        runs: training runs of each depth.
        every: one group in so many validates, the others are trained on.
        classes: how many the validation set holds.
    """
    told = [f"beforehand: {held} validation {unit}s hold {rarest}, the rarest; a verdict takes "
            f"{MIN_GROUPS}, and {MIN_RUNS} training runs of each depth (--seeds), of which there "
            f"{'is' if runs == 1 else 'are'} {runs}"]
    changes = []
    if held < MIN_GROUPS:
        merge = ", or that class merged or dropped" if classes > 2 else ""
        changes.append(f"more {unit}s with {rarest} (about {MIN_GROUPS * every} to train and "
                       f"validate on){merge}")
    if runs < MIN_RUNS:
        changes.append("--seeds 1,2,3")
    if changes:
        told.append("  it will be UNDECIDED whatever the networks do; what would change that: "
                    + ", and ".join(changes))
    return told


def cheaper(found: Search) -> list[Look]:
    """The depths shallower than the effective one from which it does not differ significantly."""
    chosen = found.of(found.chosen)
    shallower = found.measured[:found.measured.index(chosen)]
    looks = [Look(one.name, chosen.name, gain(chosen, one, found.groups)) for one in shallower]
    return [look for look in looks if not look.gain.significant]


def groups_needed(found: Search) -> int | None:
    """About how many groups with evidence would settle what is open; None when nothing is.

    An interval narrows with the root of the number of groups: of a depth without gain its upper end
    has to come down to MARGIN.
    """
    widths = [look.gain.high - look.gain.estimate for look in found.looks
              if look.against == found.chosen and look.gain.open
              and not math.isnan(look.gain.high)]
    if not found.doubts or not widths:
        return None
    return max(MIN_GROUPS, math.ceil(found.groups * (max(widths) / MARGIN) ** 2))
