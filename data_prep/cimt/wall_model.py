"""The arterial wall by its edges and echoes: what was done before convolutional networks.

Each interface has a log-odds map, linear in vertical gradients and mean grey values of a pixel's
surroundings (logistic regression). Dynamic programming finds the pair of lines with the largest sum
of log-odds, less the penalty of a thickness unlike the training subjects' and of steps from column
to column; an open snake on the maps then gives places between rows. The paper's own comparison
system, [73] in its list, was not described in enough detail to be rebuilt; this is one of its kind.
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter, shift, uniform_filter1d
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from layerwise.boundary import Lines, snake
from layerwise.regions import Region

GRADIENT_UM = (80.0, 160.0, 320.0)   # vertical widths at which edges are looked for
LATERAL_UM = 300.0                   # Gaussian along the wall, which is smooth
BAND_UM = 300.0                      # height of the bands above and below whose means are taken
ON_LINE_PX = 1                       # a training pixel so near to a line is of it
NEGATIVES = 12                       # training pixels off a line for each on it
REGIONS_TUNED = 24                   # training regions on which STEP_COSTS are compared, at most
STEP_COSTS = (1.0, 3.0, 10.0, 30.0)  # penalties of a step of one row, in log-odds
MOVES = tuple((upper, lower) for upper in (-1, 0, 1) for lower in (-1, 0, 1))


@dataclass(frozen=True)
class WallModel:
    """Fitted to training subjects.

    Attributes:
        interfaces: a classifier of pixels for each interface, by `features`.
        thickness_um: mean, standard deviation, least and largest of columns.
        step_cost: one of STEP_COSTS.
    """

    interfaces: tuple[LogisticRegression, LogisticRegression]
    thickness_um: tuple[float, float, float, float]
    step_cost: float

    def log_odds(self, region: Region) -> np.ndarray:
        """(2, rows, columns) float64 of the ROI."""
        values = features(region)
        flat = values.reshape(-1, values.shape[-1])
        return np.stack([each.decision_function(flat) for each in self.interfaces]).reshape(
            2, *values.shape[:2])


def features(region: Region) -> np.ndarray:
    """(rows, columns, features) float64 of the ROI's pixels.

    Grey values are taken less the ROI's mean and in its standard deviations: gain and dynamic range
    differ between subjects. Lengths are physical.
    """
    grey, pixel_um = region.image.astype(np.float64), region.pixel_um
    grey = (grey - region.roi.mean()) / max(float(region.roi.std()), 1e-6)
    along = LATERAL_UM / pixel_um
    maps = [gaussian_filter(grey, (width / pixel_um, along), order=(1, 0)) * width / pixel_um
            for width in GRADIENT_UM]
    smooth = gaussian_filter(grey, (GRADIENT_UM[0] / pixel_um, along))
    height = max(3, round(BAND_UM / pixel_um))
    band = uniform_filter1d(smooth, height, axis=0)
    half = (height + 1) / 2
    maps += [smooth, shift(band, (half, 0), order=1, mode="nearest"),
             shift(band, (-half, 0), order=1, mode="nearest")]
    stacked = np.stack(maps, axis=-1)
    inside = slice(region.margin, -region.margin)
    return stacked[inside, inside]


def fit(regions: Sequence[Region], seed: int) -> WallModel:
    """A model of the walls of training regions, two or more pixels of each kind among them."""
    rng = np.random.default_rng(seed)
    values = [features(region) for region in regions]
    interfaces = tuple(_classifier(values, [region.truth[number] for region in regions], rng)
                       for number in (0, 1))
    thickness = np.concatenate([(region.truth[1] - region.truth[0]) * region.pixel_um
                                for region in regions])
    spread = (float(thickness.mean()), max(float(thickness.std()), 1.0), float(thickness.min()),
              float(thickness.max()))
    models = [WallModel((interfaces[0], interfaces[1]), spread, cost) for cost in STEP_COSTS]
    tuned = regions[::-(-len(regions) // REGIONS_TUNED)]
    maps = [models[0].log_odds(region) for region in tuned]
    errors = [sum(float(np.abs(best_lines(each, region.pixel_um, model) - region.truth).mean())
                  * region.pixel_um for each, region in zip(maps, tuned)) for model in models]
    return models[int(np.argmin(errors))]


def _classifier(values: Sequence[np.ndarray], lines: Sequence[np.ndarray],
                rng: np.random.Generator) -> LogisticRegression:
    """Tells pixels on a line from some of the others."""
    on, off = [], []
    for one, line in zip(values, lines):
        near = np.abs(np.arange(one.shape[0])[:, None] - line) <= ON_LINE_PX
        on.append(one[near])
        others = one[~near]
        off.append(others[rng.permutation(len(others))[:NEGATIVES * len(on[-1])]])
    examples = np.concatenate(on + off)
    labels = np.repeat([1, 0], [sum(map(len, on)), sum(map(len, off))])
    return make_pipeline(StandardScaler(), LogisticRegression(class_weight="balanced",
                                                              max_iter=500)).fit(examples, labels)


def best_lines(log_odds: np.ndarray, pixel_um: float, model: WallModel) -> np.ndarray:
    """(2, columns) int64: rows of the best pair of lines, by dynamic programming.

    A state is a row of the upper line and a thickness; from column to column both lines move by one
    row at most.

    Args:
        log_odds: (2, rows, columns).
    """
    rows, columns = log_odds.shape[1:]
    mean, deviation, least, largest = (value / pixel_um for value in model.thickness_um)
    thin, thick = max(1, int(least) - 1), min(int(largest) + 2, rows - 1)
    thin = min(thin, thick)
    span = np.arange(thin, thick + 1)
    prior = -((span - mean) / deviation) ** 2 / 2
    lower = np.arange(rows)[:, None] + span
    outside = lower >= rows
    lower = np.minimum(lower, rows - 1)

    def at(column: int) -> np.ndarray:
        both = log_odds[0, :, column, None] + log_odds[1, lower, column] + prior
        return np.where(outside, -np.inf, both)

    best, came = at(0), np.zeros((columns, rows, len(span)), np.int8)
    for column in range(1, columns):
        choices = np.stack([_moved(best, upper, below - upper)
                            - model.step_cost * (abs(upper) + abs(below))
                            for upper, below in MOVES])
        came[column] = choices.argmax(axis=0)
        best = choices.max(axis=0) + at(column)
    row, place = np.unravel_index(int(best.argmax()), best.shape)
    lines = np.empty((2, columns), np.int64)
    for column in range(columns - 1, -1, -1):
        lines[:, column] = row, row + span[place]
        upper, below = MOVES[came[column, row, place]]
        if column:
            row, place = row - upper, place - (below - upper)
    return lines


def _moved(best: np.ndarray, rows: int, places: int) -> np.ndarray:
    """best[r - rows, t - places], -inf from outside."""
    padded = np.pad(best, ((1, 1), (2, 2)), constant_values=-np.inf)
    height, width = best.shape
    return padded[1 - rows:1 - rows + height, 2 - places:2 - places + width]


def trace(region: Region, model: WallModel) -> Lines:
    """Both interfaces of a region; none of its columns counts as missing."""
    log_odds = model.log_odds(region)
    steps = best_lines(log_odds, region.pixel_um, model)
    confidence = 1 / (1 + np.exp(-log_odds))
    rows = np.stack([snake(one, start) for one, start in zip(confidence, steps)])
    return Lines(steps, rows, np.zeros(steps.shape, bool))
