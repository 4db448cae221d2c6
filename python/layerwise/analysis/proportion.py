"""Intervals of a proportion, and of a product of two estimates."""
from __future__ import annotations

import math

from scipy.special import ndtri


def wilson(detected: int, lesions: int, level: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval of a binomial proportion; `lesions` > 0.

    Its ends solve (detected / lesions - q)^2 = z^2 q (1 - q) / lesions.
    """
    z = float(ndtri((1 + level) / 2))
    p = detected / lesions
    centre = (p + z * z / (2 * lesions)) / (1 + z * z / lesions)
    half = z / (1 + z * z / lesions) * math.sqrt(p * (1 - p) / lesions + (z / (2 * lesions)) ** 2)
    return max(0.0, min(p, centre - half)), min(1.0, max(p, centre + half))


def product_interval(first: tuple[float, float, float],
                     second: tuple[float, float, float]) -> tuple[float, float]:
    """Interval of the product of two independent estimates in 0..1, each (estimate, low, high).

    The method of variance estimates recovery (Donner & Zou, Statistical Methods in Medical Research
    21, 2012) on the log scale: each end keeps its own distance, so that the interval is neither
    symmetric nor ever outside 0..1. Both estimates must be above 0.
    """
    logs = [[math.log(value) if value > 0 else -math.inf for value in one]
            for one in (first, second)]
    estimate = logs[0][0] + logs[1][0]
    below, above = (math.hypot(*(one[0] - one[end] for one in logs)) for end in (1, 2))
    return math.exp(estimate - below), min(1.0, math.exp(estimate + above))
