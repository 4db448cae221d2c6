"""The handcrafted tracer on walls with known interfaces."""
from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from data_prep.cimt import handcrafted, wall_model
from layerwise.boundary import error_um
from layerwise.errors import InputError
from layerwise.regions import Region, margin_for, write_regions

PIXEL_UM, SIDE = 80.0, 16
MARGIN = margin_for(SIDE)
ROWS, COLUMNS = 50, 60


def wall(case, group, seed, gain=1.0):
    """Dark lumen, a thin bright edge, a darker media, a bright adventitia; speckle over all."""
    rng = np.random.default_rng(seed)
    down = np.arange(ROWS + 2 * MARGIN)[:, None] - MARGIN
    across = np.arange(COLUMNS + 2 * MARGIN) - MARGIN
    upper = rng.uniform(14, 20) + rng.uniform(-0.06, 0.06) * across
    lower = upper + rng.uniform(8, 12)
    echo = np.where(down < upper, 15.0, np.where(down < lower, 45.0, 120.0))
    echo += 60 * np.exp(-((down - upper) / 1.2) ** 2) + 50 * np.exp(-((down - lower) / 1.5) ** 2)
    noise = gaussian_filter(rng.standard_normal(echo.shape), (0.8, 2.0))
    image = np.clip(gain * echo * (1 + 0.9 * noise), 0, 255).astype(np.uint8)
    truth = np.stack([upper, lower])[:, MARGIN:MARGIN + COLUMNS]
    return Region(case, group, image, truth, PIXEL_UM, MARGIN, SIDE)


def walls(groups, begin=0):
    return [wall(f"{group}/{number}", group, begin + 10 * place + number, 0.6 + 0.1 * place)
            for place, group in enumerate(groups) for number in range(2)]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    for name, groups, begin in (("test", ["e", "f"], 100), ("train-100", ["a", "b"], 0),
                                ("validation-100", ["c"], 50)):
        write_regions(folder / name / "regions.h5", walls(groups, begin))
    return folder


def test_walls_of_other_subjects_are_traced(dataset):
    found = handcrafted.traces(dataset, 100, seed=1)
    truths = walls(["e", "f"], 100)
    assert len(found) == len(truths)
    for lines, region in zip(found, truths):
        assert (error_um(lines.rows, region.truth, 1.0) < 1.0).all()
        assert not lines.missing.any() and not lines.crossing.any()


def test_the_same_seed_gives_the_same_lines(dataset):
    first, second = (handcrafted.traces(dataset, 100, seed=2) for _ in range(2))
    assert all(np.array_equal(one.rows, other.rows) for one, other in zip(first, second))


def test_a_subject_on_both_sides_is_refused(tmp_path):
    for name, groups in (("test", ["a"]), ("train-100", ["a", "b"]), ("validation-100", ["c"])):
        write_regions(tmp_path / name / "regions.h5", walls(groups))
    with pytest.raises(InputError, match="subject a"):
        handcrafted.traces(tmp_path, 100, seed=1)
    with pytest.raises(InputError, match="train-50"):
        handcrafted.traces(tmp_path, 50, seed=1)


def test_features_ignore_gain_and_offset():
    region = wall("r", "g", 3)
    half = replace(region, image=(region.image // 2 + 20).astype(np.uint8))
    before, after = (wall_model.features(each) for each in (region, half))
    assert before.shape == (ROWS, COLUMNS, 6)
    assert np.abs(before - after).max() < 0.1 * before.std()


def test_the_bands_look_up_and_down():
    region = wall("r", "g", 4)
    values = wall_model.features(region)
    row, column = int(region.truth[0, 30]), 30
    above, below = values[row, column, 4:]
    assert above < values[row, column, 3] and above < below      # lumen above the edge


def test_dynamic_programming_finds_the_best_of_all_pairs():
    """Against every pair of lines of a map of 5 rows and 3 columns."""
    rng = np.random.default_rng(0)
    log_odds = rng.normal(size=(2, 5, 3)) * 2
    model = wall_model.WallModel((None, None), (2.0, 1.0, 1.0, 3.0), 0.7)
    spans = range(1, 5)             # thin .. thick by the model's range and the map's height

    def value(upper, lower):
        steps = sum(abs(a - b) for line in (upper, lower) for a, b in zip(line, line[1:]))
        if any(low - up not in spans for up, low in zip(upper, lower)) or any(
                abs(a - b) > 1 for line in (upper, lower) for a, b in zip(line, line[1:])):
            return -np.inf
        return sum(log_odds[0, up, c] + log_odds[1, low, c] - (low - up - 2.0) ** 2 / 2
                   for c, (up, low) in enumerate(zip(upper, lower))) - 0.7 * steps

    lines = list(itertools.product(range(5), repeat=3))
    best = max(((value(upper, lower), upper, lower) for upper in lines for lower in lines),
               key=lambda each: each[0])
    found = wall_model.best_lines(log_odds, 1.0, model)
    assert value(*found.tolist()) == pytest.approx(best[0])
    assert found.tolist() == [list(best[1]), list(best[2])]
