"""Interfaces from analytic confidence maps."""
from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from layerwise.boundary import (
    ALPHA,
    BETA,
    Lines,
    _stiffness,
    error_um,
    snake,
    steps,
    thickness_um,
    trace,
)

ROWS, COLUMNS = 60, 92
ACROSS = np.arange(COLUMNS)


def ridges(lines, noise=0.0, seed=0, width=2.5):
    """Maps (3, rows, columns) whose interfaces lie along `lines` (2, columns)."""
    down = np.arange(ROWS)[:, None]
    interfaces = np.stack([np.exp(-((down - line) / width) ** 2 / 2) * 0.8 for line in lines])
    interfaces += noise * np.random.default_rng(seed).standard_normal(interfaces.shape)
    return np.concatenate([1 - interfaces.sum(axis=0, keepdims=True), interfaces])


def test_steps_are_the_maxima():
    lines = np.stack([10 + 0.1 * ACROSS, 30 + 0 * ACROSS])
    assert np.abs(steps(ridges(lines)) - lines).max() <= 0.5
    flat = np.zeros((3, ROWS, COLUMNS))
    assert not steps(flat).any()


@settings(max_examples=20)
@given(st.floats(12, 22), st.floats(-0.12, 0.12), st.floats(9, 18), st.integers(0, 1000))
def test_a_noisy_tilted_line_is_recovered(height, slope, thickness, seed):
    upper = height + slope * (ACROSS - COLUMNS / 2)
    lines = np.stack([upper, upper + thickness])
    found = trace(ridges(lines, noise=0.15, seed=seed))
    errors = error_um(found.rows, lines, 1.0)
    assert (errors < 0.3).all()  # largest of 1,500 random examples: 0.22 px
    assert not found.missing.any() and not found.crossing.any()
    assert thickness_um(found, 50.0) == pytest.approx(50 * thickness, abs=50 * errors.sum())


def test_the_line_is_smoother_than_its_start():
    lines = np.stack([20 + 3 * np.sin(ACROSS / 15), 40 + 0 * ACROSS])
    found = trace(ridges(lines, noise=0.15))
    assert np.abs(np.diff(found.rows, 2)).mean() < 0.1 * np.abs(np.diff(found.steps, 2)).mean()
    assert np.abs(found.rows[0] - lines[0]).mean() < 0.3


def test_missing_columns_are_bridged_and_reported():
    lines = np.stack([15 + 0.1 * ACROSS, 35 + 0.1 * ACROSS])
    maps = ridges(lines)
    maps[1, :, 40:52] = 0.1
    maps[0, :, 40:52] = 1 - maps[1:, :, 40:52].sum(axis=0)
    found = trace(maps)
    assert np.flatnonzero(found.missing[0]).tolist() == list(range(40, 52))
    assert not found.missing[1].any()
    assert np.abs(found.rows[0] - lines[0]).max() < 0.5
    assert thickness_um(found, 10.0) == pytest.approx(200, abs=2)


def test_nothing_seen_is_no_thickness():
    found = trace(np.full((3, ROWS, COLUMNS), 1 / 3))
    assert found.missing.all() and found.rows.shape == (2, COLUMNS)
    assert np.isnan(thickness_um(found, 10.0))


def test_crossing_lines_are_reported():
    lines = np.stack([20 + 0.2 * ACROSS, 30 + 0 * ACROSS])     # they meet in column 50
    found = trace(ridges(lines))
    crossed = np.flatnonzero(found.crossing)
    assert crossed[0] == pytest.approx(50, abs=3) and crossed[-1] == COLUMNS - 1
    assert found.crossing.sum() == crossed[-1] - crossed[0] + 1


def test_a_line_that_jumps_is_pulled_back():
    lines = np.stack([20 + 0 * ACROSS, 40 + 0 * ACROSS])
    maps = ridges(lines)
    maps[1, 50, 30:33] = 0.95                                  # another wall, in three columns
    found = trace(maps)
    assert (found.steps[0, 30:33] == 50).all()
    assert np.abs(found.rows[0] - 20).max() < 2


def test_stiffness_is_that_of_difference_matrices():
    columns = 7
    first, second = np.diff(np.eye(columns), axis=0), np.diff(np.eye(columns), 2, axis=0)
    full = ALPHA * first.T @ first + BETA * second.T @ second
    bands = _stiffness(columns)
    for offset in range(3):
        assert np.allclose(bands[2 - offset, offset:], np.diag(full, offset))
    tilted = np.linspace(0, 3, columns)
    assert np.allclose((BETA * second.T @ second) @ tilted, 0)          # a free tilted line rests


@pytest.mark.parametrize("columns", [1, 2, 3])
def test_narrow_regions(columns):
    confidence = np.exp(-((np.arange(20)[:, None] - 8.0) / 2) ** 2) * np.ones(columns)
    assert np.abs(snake(confidence, np.full(columns, 7)) - 8).max() < 0.2


def test_errors_in_micrometres():
    truth = np.stack([np.full(4, 10.0), np.full(4, 20.0)])
    rows = truth + [[1, -1, 1, -1], [0, 0, 0, 2]]
    assert error_um(rows, truth, 50.0).tolist() == [50.0, 25.0]
    lines = Lines(rows.astype(int), rows, np.zeros((2, 4), bool))
    assert thickness_um(lines, 100.0) == pytest.approx(100 * np.mean([9, 11, 9, 13]))
