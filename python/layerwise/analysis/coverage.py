"""How often the intervals hold the true sensitivity, and the paired test errs, by simulation.

Usage: python3 -m layerwise.analysis.coverage results/statistics [--draws 1000] [--more 200]

The true sensitivity at every rate is known. The first two scenarios have the paper's sizes (127
emboli in 45 volumes with 40 false positives each; 1,000 frames per class) and binormal scores.
The others are what the paper's sets resemble more, or where an interval may fail: candidates of a
volume alike, six or twelve videos, a video set at few false positives, sensitivities near one,
positives of two kinds, which no binormal curve fits, and many patients with alike candidates.
"""
from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from scipy.special import ndtr, ndtri
from tqdm import tqdm

from layerwise.analysis.coverage_paired import (
    PAIRED,
    RUNS,
    PairedErrors,
    RunCoverage,
    paired_errors,
    paired_table,
    run_coverage,
    run_table,
)
from layerwise.analysis.intervals import METHODS, Interval, sensitivity_intervals
from layerwise.analysis.marks import Marks
from layerwise.analysis.textable import TextTable
from layerwise.contracts import write_bytes

TARGET = (0.93, 0.97)
RESAMPLES = 1000
RESAMPLES_OF_FEW = 5000   # with fewer than 12 groups, whose interval ends lie further out
SEED = 2002


@dataclass(frozen=True)
class Scenario:
    """A test set: negatives N(0, 1); positives of each kind (share, mean, sd) N(mean, sd^2).

    correlation: of the scores of one class within a group. `main`: one of the two whose coverage
    is held to TARGET, with all draws.
    """

    name: str
    kind: str
    groups: int
    lesions: int
    detected: float           # probability that the generator finds a lesion (1 for roc)
    negatives_per_group: float
    cases_per_group: int      # froc; for roc every negative is a case
    positives: tuple[tuple[float, float, float], ...]
    correlation: float
    points: tuple[float, ...]
    main: bool = False

    def truth(self, point: float) -> float:
        """True sensitivity at a false-positive rate."""
        rate = point * self.cases_per_group / self.negatives_per_group \
            if self.kind == "froc" else point
        return self.detected * float(sum(share * ndtr((mean + ndtri(rate)) / sd)
                                         for share, mean, sd in self.positives))


_PE, _FRAMES = ((1.0, 1.8, 1.2),), ((1.0, 1.5, 1.1),)
SCENARIOS = (
    Scenario("FROC: 127 lesions, 45 volumes, 40 FP/volume", "froc", 45, 127, 0.95, 40.0, 1, _PE,
             0.0, (1.0, 2.0, 3.0, 4.0, 5.0), main=True),
    Scenario("ROC: 1,000 + 1,000 in 100 groups", "roc", 100, 1000, 1.0, 10.0, 1, _FRAMES, 0.0,
             (0.10, 0.15, 0.20), main=True),
    Scenario("FROC as above, scores of a volume correlated 0.2", "froc", 45, 127, 0.95, 40.0, 1,
             _PE, 0.2, (1.0, 3.0, 5.0)),
    Scenario("ROC: 1,000 + 1,000 in 6 groups, correlated 0.05", "roc", 6, 1000, 1.0, 1000 / 6, 1,
             _FRAMES, 0.05, (0.10, 0.15, 0.20)),
    Scenario("ROC: 1,000 + 1,000 in 12 groups, correlated 0.05", "roc", 12, 1000, 1.0, 1000 / 12,
             1, _FRAMES, 0.05, (0.10, 0.15, 0.20)),
    Scenario("FROC: 600 frames and lesions in 12 videos, 1 FP/frame, correlated 0.05", "froc", 12,
             600, 0.9, 50.0, 50, ((1.0, 2.0, 1.3),), 0.05, (0.001, 0.01, 0.1)),
    Scenario("FROC near the ceiling: 60 lesions in 12 videos, 3 FP/frame, all found", "froc", 12,
             60, 1.0, 60.0, 20, ((1.0, 4.0, 1.2),), 0.0, (0.1, 1.0)),
    Scenario("FROC, two kinds of lesions: 300 in 30 volumes, half easy, half like noise", "froc",
             30, 300, 0.95, 40.0, 1, ((0.5, 0.3, 1.0), (0.5, 4.0, 0.5)), 0.0, (1.0, 3.0, 5.0)),
    Scenario("ROC: 2,000 + 2,000 in 100 groups, correlated 0.2", "roc", 100, 2000, 1.0, 20.0, 1,
             _FRAMES, 0.2, (0.10, 0.15, 0.20)),
)


@dataclass(frozen=True)
class Coverage:
    """Result at one operating point; failures count as not covered.

    doubted: share of the draws in which the interval was marked as one whose model misfits.
    """

    scenario: str
    method: str
    point: float
    truth: float
    coverage: float
    mean_width: float
    failures: int
    doubted: float
    draws: int


def draw(scenario: Scenario, generator: np.random.Generator) -> Marks:
    """One simulated test set."""
    groups = scenario.groups
    lesion_group = np.arange(scenario.lesions) % groups
    if scenario.kind == "froc":
        counts = generator.poisson(scenario.negatives_per_group, groups)
        found = lesion_group[generator.random(scenario.lesions) < scenario.detected]
        units = np.full(groups, scenario.cases_per_group)
    else:
        total = round(scenario.negatives_per_group * groups)
        counts = units = np.bincount(np.arange(total) % groups, minlength=groups)
        found = lesion_group
    negative_groups = np.repeat(np.arange(groups), counts)
    shared = np.sqrt(scenario.correlation) * generator.normal(size=(2, groups))
    own = np.sqrt(1.0 - scenario.correlation)
    noise = own * generator.normal(size=negative_groups.size) + shared[0, negative_groups]
    shares, means, spreads = (np.array(column) for column in zip(*scenario.positives))
    kind = generator.choice(shares.size, found.size, p=shares)
    signal = own * generator.normal(size=found.size) + shared[1, found]
    return Marks(scenario.kind, noise, means[kind] + spreads[kind] * signal, negative_groups, found,
                 tuple(str(group) for group in range(groups)), units,
                 np.bincount(lesion_group, minlength=groups))


def simulate(scenario: Scenario, draws: int, seed: int) -> list[Coverage]:
    """Coverage of all methods at all points of a scenario."""
    truth = np.array([scenario.truth(point) for point in scenario.points])
    shape = (len(METHODS), truth.size)
    resamples = RESAMPLES if scenario.groups >= 12 else RESAMPLES_OF_FEW
    covered, width, failures, doubted = (np.zeros(shape) for _ in range(4))
    for number in tqdm(range(draws), desc=scenario.name, unit="draw"):
        marks = draw(scenario, np.random.default_rng([seed, number]))
        for row, method in enumerate(METHODS):
            found = sensitivity_intervals(method, marks, scenario.points, seed=number,
                                          resamples=resamples)
            for column, one in enumerate(found):
                if not isinstance(one, Interval):
                    failures[row, column] += 1
                    continue
                covered[row, column] += one.low <= truth[column] <= one.high
                width[row, column] += one.high - one.low
                doubted[row, column] += bool(one.doubt)
    return [Coverage(scenario.name, method, point, float(truth[i]),
                     float(covered[row, i] / draws),
                     float(width[row, i] / max(1, draws - failures[row, i])),
                     int(failures[row, i]), float(doubted[row, i] / draws), draws)
            for row, method in enumerate(METHODS) for i, point in enumerate(scenario.points)]


def coverage_table(found: Sequence[Coverage]) -> TextTable:
    """For reading; a coverage outside 93-97% is marked."""
    def mark(one: Coverage) -> str:
        return "" if TARGET[0] <= one.coverage <= TARGET[1] else \
            "too low" if one.coverage < TARGET[0] else "too high"

    rows = tuple((one.scenario, one.method, f"{one.point:g}", f"{one.truth:.3f}",
                  f"{100 * one.coverage:.1f}%", f"{one.mean_width:.3f}", str(one.failures),
                  f"{100 * one.doubted:.0f}%" if one.method == "idca" else "", str(one.draws),
                  mark(one)) for one in found)
    errors = ", ".join(f"{100 * (0.95 * 0.05 / draws) ** 0.5:.1f} points with {draws} draws"
                       for draws in sorted({one.draws for one in found}, reverse=True))
    return TextTable("coverage", "Coverage of the nominal 95% intervals",
                     ("test set", "method", "FP per case or FPR", "true sensitivity", "coverage",
                      "mean width", "no interval", "misfit marked", "draws", "outside 93-97%"),
                     rows,
                     f"Simulated scores, bootstrap with {RESAMPLES} resamples, "
                     f"{RESAMPLES_OF_FEW} for 6 groups; a coverage of 95% "
                     f"has a standard error of {errors}; no interval counts as not covered. Wilson "
                     "takes the threshold as known and lesions as independent; the "
                     "candidate-analysis model takes candidates as independent and scores as "
                     "binormal; the bootstrap cannot see a clustering that few groups do not show.")


def main(arguments: Sequence[str] | None = None) -> None:
    """Simulate all scenarios; write coverage.json and coverage.md into the folder given."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("out", type=Path, help="folder for coverage.json and coverage.md")
    parser.add_argument("--draws", type=int, default=1000, help="of the first two scenarios")
    parser.add_argument("--more", type=int, default=200, help="of the others")
    options = parser.parse_args(arguments)
    found = [one for number, scenario in enumerate(SCENARIOS)
             for one in simulate(scenario, options.draws if scenario.main else options.more,
                                 SEED + number)]
    paired = [paired_errors(setting, 2 * options.more, SEED) for setting in PAIRED]
    runs = [run_coverage(setting, 5 * options.more, SEED) for setting in RUNS]
    write(options.out, found, paired, runs)


def write(out: Path, found: Sequence[Coverage], paired: Sequence[PairedErrors],
          runs: Sequence[RunCoverage]) -> None:
    """coverage.md and coverage.json of all three simulations."""
    text = "\n".join(table.markdown() for table in (coverage_table(found), paired_table(paired),
                                                    run_table(runs)))
    write_bytes(out / "coverage.md", f"# Coverage by simulation\n\n{text}".encode())
    records = {name: [asdict(one) for one in ones]
               for name, ones in (("coverage", found), ("paired", paired), ("runs", runs))}
    write_bytes(out / "coverage.json", (json.dumps(records, indent=1) + "\n").encode())


if __name__ == "__main__":
    main()
