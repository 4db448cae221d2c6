"""How often the three intervals hold the true sensitivity, by simulation.

Usage: python3 -m layerwise.analysis.coverage results/statistics [--draws 1000]

Scores are binormal, so that the true sensitivity at every rate is known. The scenarios have the
paper's sizes (127 emboli in 45 volumes with 40 false positives each; 1,000 frames per class), and
two that the paper's sets resemble more: candidates of one volume alike, and only six videos. The
scores stay binormal there, only their errors share a part within a group.
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

from layerwise.analysis.intervals import METHODS, sensitivity_intervals
from layerwise.analysis.marks import Marks
from layerwise.analysis.style import write_bytes
from layerwise.analysis.textable import TextTable
from layerwise.errors import LayerwiseError

TARGET = (0.93, 0.97)
RESAMPLES = 1000
SEED = 2002


@dataclass(frozen=True)
class Scenario:
    """A test set: negatives N(0, 1), positives N(mean, sd^2).

    correlation: of the scores of one class within a group.
    """

    name: str
    kind: str
    groups: int
    lesions: int
    detected: float           # probability that the generator finds a lesion (1 for roc)
    negatives_per_group: float
    mean: float
    sd: float
    correlation: float
    points: tuple[float, ...]

    def truth(self, point: float) -> float:
        """True sensitivity at a false-positive rate."""
        rate = point / self.negatives_per_group if self.kind == "froc" else point
        return self.detected * float(ndtr((self.mean + ndtri(rate)) / self.sd))


SCENARIOS = (
    Scenario("FROC: 127 lesions, 45 volumes, 40 FP/volume", "froc", 45, 127, 0.95, 40.0, 1.8, 1.2,
             0.0, (1.0, 2.0, 3.0, 4.0, 5.0)),
    Scenario("ROC: 1,000 + 1,000 in 100 groups", "roc", 100, 1000, 1.0, 10.0, 1.5, 1.1, 0.0,
             (0.10, 0.15, 0.20)),
    Scenario("FROC as above, scores of a volume correlated 0.2", "froc", 45, 127, 0.95, 40.0, 1.8,
             1.2, 0.2, (1.0, 3.0, 5.0)),
    Scenario("ROC: 1,000 + 1,000 in 6 groups, correlated 0.05", "roc", 6, 1000, 1.0, 1000 / 6, 1.5,
             1.1, 0.05, (0.10, 0.15, 0.20)),
)


@dataclass(frozen=True)
class Coverage:
    """Result at one operating point; failures count as not covered."""

    scenario: str
    method: str
    point: float
    truth: float
    coverage: float
    mean_width: float
    failures: int
    draws: int


def draw(scenario: Scenario, generator: np.random.Generator) -> Marks:
    """One simulated test set."""
    groups = scenario.groups
    lesion_group = np.arange(scenario.lesions) % groups
    if scenario.kind == "froc":
        counts = generator.poisson(scenario.negatives_per_group, groups)
        found = lesion_group[generator.random(scenario.lesions) < scenario.detected]
        units = np.ones(groups, dtype=np.int64)
    else:
        total = round(scenario.negatives_per_group * groups)
        counts = units = np.bincount(np.arange(total) % groups, minlength=groups)
        found = lesion_group
    negative_groups = np.repeat(np.arange(groups), counts)
    shared = np.sqrt(scenario.correlation) * generator.normal(size=(2, groups))
    own = np.sqrt(1.0 - scenario.correlation)
    noise = own * generator.normal(size=negative_groups.size) + shared[0, negative_groups]
    signal = own * generator.normal(size=found.size) + shared[1, found]
    return Marks(scenario.kind, noise, scenario.mean + scenario.sd * signal, negative_groups, found,
                 tuple(str(group) for group in range(groups)), units,
                 np.bincount(lesion_group, minlength=groups))


def simulate(scenario: Scenario, draws: int, seed: int) -> list[Coverage]:
    """Coverage of all methods at all points of a scenario."""
    truth = np.array([scenario.truth(point) for point in scenario.points])
    covered = {method: np.zeros(truth.size) for method in METHODS}
    width = {method: np.zeros(truth.size) for method in METHODS}
    failures = dict.fromkeys(METHODS, 0)
    for number in tqdm(range(draws), desc=scenario.name, unit="draw"):
        marks = draw(scenario, np.random.default_rng([seed, number]))
        for method in METHODS:
            try:
                found = sensitivity_intervals(method, marks, scenario.points, seed=number,
                                              resamples=RESAMPLES)
            except LayerwiseError:
                failures[method] += 1
                continue
            low = np.array([one.low for one in found])
            high = np.array([one.high for one in found])
            covered[method] += (low <= truth) & (truth <= high)
            width[method] += high - low
    return [Coverage(scenario.name, method, point, float(truth[i]),
                     float(covered[method][i] / draws),
                     float(width[method][i] / max(1, draws - failures[method])),
                     failures[method], draws)
            for method in METHODS for i, point in enumerate(scenario.points)]


def coverage_table(found: Sequence[Coverage]) -> TextTable:
    """For reading; a coverage outside 93-97% is marked."""
    def mark(one: Coverage) -> str:
        return "" if TARGET[0] <= one.coverage <= TARGET[1] else \
            "too low" if one.coverage < TARGET[0] else "too high"

    rows = tuple((one.scenario, one.method, f"{one.point:g}", f"{one.truth:.3f}",
                  f"{100 * one.coverage:.1f}%", f"{one.mean_width:.3f}", str(one.failures),
                  mark(one)) for one in found)
    return TextTable("coverage", "Coverage of the nominal 95% intervals",
                     ("test set", "method", "FP per case or FPR", "true sensitivity", "coverage",
                      "mean width", "failed fits", "outside 93-97%"), rows,
                     f"{found[0].draws} draws each, simulated binormal scores, bootstrap with "
                     f"{RESAMPLES} resamples; a coverage of 95% has a standard error of "
                     f"{100 * (0.95 * 0.05 / found[0].draws) ** 0.5:.1f} points. Wilson takes the "
                     "threshold as known and lesions as independent; the candidate-analysis model "
                     "takes candidates as independent; the bootstrap needs many groups.")


def main(arguments: Sequence[str] | None = None) -> None:
    """Simulate all scenarios; write coverage.json and coverage.md into the folder given."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("out", type=Path, help="folder for coverage.json and coverage.md")
    parser.add_argument("--draws", type=int, default=1000)
    options = parser.parse_args(arguments)
    found = [one for number, scenario in enumerate(SCENARIOS)
             for one in simulate(scenario, options.draws, SEED + number)]
    write_bytes(options.out / "coverage.md",
                f"# Coverage by simulation\n\n{coverage_table(found).markdown()}".encode())
    write_bytes(options.out / "coverage.json",
                (json.dumps([asdict(one) for one in found], indent=1) + "\n").encode())


if __name__ == "__main__":
    main()
