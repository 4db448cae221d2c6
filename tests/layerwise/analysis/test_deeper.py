"""The search for the effective depth on simulated scores: when it goes on, and when it doubts."""
from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from layerwise.analysis import deeper
from layerwise.analysis.auc_bootstrap import Pairs, evidence_groups, pairs_of
from layerwise.analysis.deeper import (
    MARGIN,
    MIN_GROUPS,
    MIN_RUNS,
    Measured,
    Search,
    certain_doubts,
    cheaper,
    groups_needed,
    measure,
    search,
)
from layerwise.ranking import Ranked

DEPTHS = ("fc8", "fc7", "fc6", "conv5", "conv4", "conv3", "conv2", "conv1")


class Simulated:
    """Networks whose scores share what is easy or hard about patches and groups.

    gains: by how much each depth separates the classes better than fc8, in standard deviations.
    """

    def __init__(self, gains: dict[str, float], groups: int, seed: int, patches: int = 20,
                 runs: int = MIN_RUNS) -> None:
        self._rng = np.random.default_rng(seed)
        self._index = np.repeat(np.arange(groups), patches)
        self._positive = np.tile(np.arange(patches) % 2 == 0, groups)
        self._common = self._rng.normal(0, 1, self._index.size) \
            + self._rng.normal(0, 0.5, groups)[self._index]
        self._gains, self._groups, self._runs = gains, groups, runs
        self.asked: list[str] = []

    def pairs(self, name: str) -> list[Pairs]:
        own = self._rng.normal(0, 0.4, self._index.size) \
            + self._rng.normal(0, 0.1, self._groups)[self._index]
        shift = (1.2 + self._gains.get(name, 0.0)) * self._positive
        return [pairs_of(Ranked(self._common + own + shift, self._positive), self._index,
                         self._groups)]

    def measure_all(self, names: Sequence[str]) -> list[Measured]:
        self.asked += names
        return [measure(name, [self.pairs(name) for _ in range(self._runs)], self._groups,
                        DEPTHS.index(name)) for name in names]

    def search(self) -> Search:
        return search(DEPTHS, self.measure_all, lambda: self._groups)


@pytest.fixture(autouse=True)
def fewer_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deeper, "RESAMPLES", 4000)


def test_without_gain_it_rarely_goes_deeper() -> None:
    found = [Simulated({}, 20, seed).search() for seed in range(200)]
    deeper_than_fc8 = sum(one.chosen != "fc8" for one in found)
    assert deeper_than_fc8 <= 18       # 5% of 200 are 10; more than 18 happens in 0.6% of tests
    stopped = [one for one in found if one.chosen == "fc8"]
    assert all(len(one.measured) == 3 for one in stopped)      # two further layers, no more


def test_a_large_gain_is_followed_to_where_it_ends() -> None:
    gains = {name: min(place, 3) * 0.8 for place, name in enumerate(DEPTHS)}
    chosen = [Simulated(gains, 20, seed).search() for seed in range(20)]
    assert sum(one.chosen == "conv5" for one in chosen) >= 17
    assert all(one.of("conv5").auc > one.of("fc8").auc + 0.1 for one in chosen)


def test_one_layer_that_brings_nothing_is_stepped_over() -> None:
    gains = {name: 1.5 * (place >= 2) for place, name in enumerate(DEPTHS)}
    found = Simulated(gains, 20, 1).search()
    assert found.chosen == "fc6"
    assert [(look.depth, look.against, look.gain.significant) for look in found.looks] == [
        ("fc7", "fc8", False), ("fc6", "fc8", True), ("conv5", "fc6", False),
        ("conv4", "fc6", False)]


def test_it_ends_at_the_last_layer() -> None:
    gains = {name: 0.7 * place for place, name in enumerate(DEPTHS)}
    found = Simulated(gains, 25, 2, patches=60).search()
    assert found.chosen == "conv1" and [one.name for one in found.measured] == list(DEPTHS)
    assert found.doubts == ()


def test_networks_are_asked_for_only_when_they_are_needed() -> None:
    nothing = Simulated({}, 20, 3)
    nothing.search()
    assert nothing.asked == ["fc8", "fc7", "fc6"]
    all_at_once: list[list[str]] = []
    gains = {name: 1.5 * (place >= 1) for place, name in enumerate(DEPTHS)}
    simulated = Simulated(gains, 20, 4)

    def measure_all(names: Sequence[str]) -> list[Measured]:
        all_at_once.append(list(names))
        return simulated.measure_all(names)

    assert search(DEPTHS, measure_all, lambda: 20).chosen == "fc7"
    assert all_at_once == [["fc8", "fc7", "fc6"], ["conv5"]]


@pytest.mark.parametrize("groups", range(2, MIN_GROUPS))
def test_few_groups_are_undecided_whatever_the_gain(groups: int) -> None:
    gains = {name: 3.0 * place for place, name in enumerate(DEPTHS)}
    for seed in range(10):
        found = Simulated(gains, groups, seed).search()
        assert found.chosen == "fc8" and f"only {groups} validation groups" in found.doubts[-1]


@pytest.mark.parametrize("runs", [1, MIN_RUNS - 1])
def test_few_runs_are_undecided_however_many_groups(runs: int) -> None:
    gains = {name: 3.0 * (place > 0) for place, name in enumerate(DEPTHS)}
    found = Simulated(gains, 40, 8, patches=60, runs=runs).search()
    assert found.chosen == "fc7" and "training runs of each depth" in found.doubts[0]


def test_one_group_gives_no_interval_and_no_decision() -> None:
    found = Simulated({}, 1, 0).search()
    assert np.isnan(found.measured[0].low) and "only 1 validation groups" in found.doubts[0]


@pytest.mark.parametrize("held, runs", [(MIN_GROUPS - 1, 3), (MIN_GROUPS, 2), (1, 1)])
def test_no_verdict_is_foretold_where_none_is_given(held: int, runs: int) -> None:
    told = certain_doubts("rare", held, "patient", runs, 3, 4)
    assert f"{held} validation patients hold rare, the rarest; a verdict takes 6, and 3 " in told[0]
    assert f"of which there {'is' if runs == 1 else 'are'} {runs}" in told[0]
    assert "it will be UNDECIDED whatever the networks do" in told[1]
    assert ("more patients with rare (about 18 to train and validate on), or that class merged or "
            "dropped" in told[1]) == (held < MIN_GROUPS)
    assert ("--seeds 1,2,3" in told[1]) == (runs < MIN_RUNS)
    gains = {name: 3.0 * place for place, name in enumerate(DEPTHS)}
    assert held < 2 or Simulated(gains, held, 8, runs=runs).search().doubts


def test_nothing_is_foretold_where_a_verdict_is_possible() -> None:
    assert len(certain_doubts("rare", MIN_GROUPS, "patient", MIN_RUNS, 3, 2)) == 1
    assert "merged" not in certain_doubts("rare", 5, "patient", MIN_RUNS, 3, 2)[1]


def test_it_doubts_what_the_validation_set_leaves_open() -> None:
    wide = Simulated({"fc7": 0.1}, 7, 5, patches=6).search()
    assert wide.chosen == "fc8" and any("may still gain" in doubt for doubt in wide.doubts)
    needed = groups_needed(wide)
    assert needed is not None and needed > 7
    narrow = Simulated({}, 60, 6, patches=400).search()
    assert narrow.chosen == "fc8" and narrow.doubts == () and groups_needed(narrow) is None
    assert all(look.gain.high <= MARGIN for look in narrow.looks)


def test_cheaper_depths_that_are_not_significantly_worse() -> None:
    gains = {"fc8": 0.0, **{name: 1.5 for name in DEPTHS[1:]}}
    found = Simulated(gains, 20, 7).search()
    assert found.chosen == "fc7" and cheaper(found) == []
    looks = Simulated({"fc7": 0.35, "fc6": 0.6, "conv5": 0.6, "conv4": 0.6}, 8, 3).search()
    for look in cheaper(looks):
        assert look.depth != looks.chosen and not look.gain.significant


def test_several_runs_widen_the_interval_by_how_much_they_differ() -> None:
    rng = np.random.default_rng(0)
    index, positive = np.repeat(np.arange(30), 40), np.tile(np.arange(40) % 2 == 0, 30)

    def run(shift: float) -> list[Pairs]:
        return [pairs_of(Ranked(rng.normal(0, 1, 1200) + shift * positive, positive), index, 30)]

    alike, apart = ([run(shift) for shift in shifts] for shifts in ((1, 1, 1), (0.3, 1, 1.7)))
    widths = [one.high - one.low for one in (measure("fc8", runs, 30, 0)
                                             for runs in (alike, apart))]
    assert widths[1] > 2 * widths[0] and evidence_groups(alike[0]) == 30
