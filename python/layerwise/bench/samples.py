"""Samples of a time or a rate, and ratios between them, each with its spread."""
from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, median


@dataclass(frozen=True)
class Spread:
    """Median, smallest and largest of some samples."""

    middle: float
    low: float
    high: float


def spread(samples: Sequence[float]) -> Spread:
    """Of one sample or more."""
    return Spread(median(samples), min(samples), max(samples))


def scaled(one: Spread, factor: float) -> Spread:
    """All three times a positive factor."""
    return Spread(one.middle * factor, one.low * factor, one.high * factor)


def total(parts: Sequence[Spread]) -> Spread:
    """Sums; the bounds are those of everything being fast, or slow, at once."""
    return Spread(sum(part.middle for part in parts), sum(part.low for part in parts),
                  sum(part.high for part in parts))


def ratio(above: Spread, below: Spread) -> Spread:
    """Ratio of the medians, and the smallest and largest that any two samples give."""
    return Spread(above.middle / below.middle, above.low / below.high, above.high / below.low)


def inverse(one: Spread) -> Spread:
    """A rate of a time, or the other way round."""
    return Spread(1 / one.middle, 1 / one.high, 1 / one.low)


def iteration_seconds(log: Path, warm_up: int, windows: int) -> list[float]:
    """Mean seconds per iteration in each of `windows` windows of a run's log.csv.

    Left out are the first `warm_up` iterations and the last, at which the run validates. What does
    not fill a window is left out too.
    """
    with log.open(newline="", encoding="utf-8") as handle:
        clock = {int(line["iteration"]): float(line["seconds"]) for line in csv.DictReader(handle)}
    last = max(clock) - 1
    width = (last - warm_up) // windows
    edges = [warm_up + width * window for window in range(windows + 1)]
    return [fmean([(clock[end] - clock[begin]) / width])
            for begin, end in zip(edges, edges[1:])]
