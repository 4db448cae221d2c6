"""The residual of a frame after its cells are rebuilt from a few DCT coefficients."""
from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from data_prep.frames import crops, prepare
from data_prep.frames.features import (
    BIN_EDGES,
    CELL_PX,
    DOMINANT,
    FEATURES,
    cells_of,
    features,
    histograms,
    rebuilt,
    regions,
)
from data_prep.frames.reader import Frame

BINS = len(BIN_EDGES) + 1
EVEN = (16 * 14 + 6, 16 * 17 + 4)   # height, width: what the cells leave over is even


def basis(side: int) -> np.ndarray:
    """(side, side) rows: the orthonormal DCT-II, from its definition."""
    k, n = np.mgrid[:side, :side]
    rows = np.cos(np.pi * k * (2 * n + 1) / (2 * side)) * np.sqrt(2 / side)
    rows[0] = np.sqrt(1 / side)
    return rows


def wave(side: int, down: int, across: int) -> np.ndarray:
    return np.outer(basis(side)[down], basis(side)[across])


def texture(seed: int, shape: tuple[int, int] = EVEN, low: int = 60, high: int = 190
            ) -> np.ndarray:
    """(h, w, 3) uint8: blobs of about two pixels."""
    noise = np.random.default_rng(seed).standard_normal((*shape, 3)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 1.0)
    return cv2.normalize(smooth, None, low, high, cv2.NORM_MINMAX, cv2.CV_8U)


def test_two_by_two_by_hand() -> None:
    """Coefficients: mean 6, across -2, down -3, diagonal 1."""
    cell = np.array([[1.0, 2], [3, 6]])
    np.testing.assert_allclose(rebuilt(cell, 0), [[3, 3], [3, 3]])
    np.testing.assert_allclose(rebuilt(cell, 1), [[1.5, 1.5], [4.5, 4.5]])
    np.testing.assert_allclose(rebuilt(cell, 2), [[0.5, 2.5], [3.5, 5.5]])
    np.testing.assert_allclose(rebuilt(cell, 3), cell)


def test_eight_by_eight_keeps_the_largest_whatever_their_frequency() -> None:
    waves = {(0, 1): 3.0, (7, 7): -9.0, (2, 5): 5.0, (4, 0): 4.0}
    cell = 100 + sum(size * wave(8, *at) for at, size in waves.items())
    np.testing.assert_allclose(cell - rebuilt(cell, 2), 3 * wave(8, 0, 1) + 4 * wave(8, 4, 0),
                               atol=1e-10)
    np.testing.assert_allclose(rebuilt(cell, 4), cell)


@given(hnp.arrays(np.float64, (2, 3, 8, 8), elements=st.integers(0, 255)), st.integers(0, 63))
def test_the_residual_has_the_energy_of_what_was_left_out(cells: np.ndarray, kept: int) -> None:
    """Parseval, against the definition; the grid is every cell for itself."""
    found = cells - rebuilt(cells, kept)
    for row in range(2):
        for column in range(3):
            size = np.abs(basis(8) @ cells[row, column] @ basis(8).T).ravel()[1:]
            left_out = np.sort(size)[:63 - kept]
            energy = (found[row, column] ** 2).sum()
            if kept == 0 or kept == 63 or np.sort(size)[63 - kept] > left_out[-1] + 1e-6:
                assert energy == pytest.approx((left_out ** 2).sum(), abs=1e-6)
            else:   # equal magnitudes at the limit: one more of them, or several, may be kept
                assert energy <= (left_out ** 2).sum() + 1e-6


def test_a_constant_cell_has_no_residual() -> None:
    cells = np.arange(6.0).reshape(2, 3, 1, 1) * 50 + np.zeros((16, 16))
    np.testing.assert_allclose(rebuilt(cells, 0), cells, atol=1e-9)
    flat = features(np.full((*EVEN, 3), 90, np.uint8))
    np.testing.assert_array_equal(flat, np.tile([1.0] + [0.0] * (BINS - 1), len(flat) // BINS))


@pytest.mark.parametrize("side", [8, 16])
def test_a_ramp_leaves_its_odd_waves(side: int) -> None:
    """A slope of 2: coefficients 2 sqrt(2) cos t / (2 sin^2 t), t = pi k / 2 sides, odd k."""
    cell = np.tile(2.0 * np.arange(side), (side, 1))
    t = np.pi * np.arange(1, side, 2) / (2 * side)
    size = 2 * np.sqrt(2) * np.cos(t) / (2 * np.sin(t) ** 2)
    for kept in (0, 1, 3, side // 2):
        np.testing.assert_allclose(((cell - rebuilt(cell, kept)) ** 2).sum(),
                                   (size[kept:] ** 2).sum(), atol=1e-8)
    np.testing.assert_allclose(rebuilt(cell, side // 2), cell, atol=1e-9)


def test_cells_lie_in_the_middle() -> None:
    plane = np.arange(7 * 9).reshape(7, 9)
    cells = cells_of(plane, 2)
    assert cells.shape == (3, 4, 2, 2)
    np.testing.assert_array_equal(cells[0, 0], plane[:2, :2])
    np.testing.assert_array_equal(cells[2, 3], plane[4:6, 6:8])
    np.testing.assert_array_equal(cells_of(plane, 4)[0, 1], plane[1:5, 4:8])


def test_histograms_count_magnitudes() -> None:
    residual = np.zeros((1, 2, 2, 2))
    residual[0, 1] = [[-0.5, 0.49], [15.9, -300]]
    np.testing.assert_array_equal(histograms(residual),
                                  [[[4, 0, 0, 0, 0, 0, 0], [1, 1, 0, 0, 0, 1, 1]]])


@given(st.integers(4, 40), st.integers(4, 40), st.sampled_from([2, 4]))
def test_regions_cover_and_prefer_no_side(rows: int, columns: int, count: int) -> None:
    grid = np.arange(rows * columns).reshape(rows, columns, 1)
    parts = regions(grid, count)
    assert len(parts) == count ** 2
    assert set(np.concatenate([part.ravel() for part in parts])) == set(grid.ravel())
    mirrored = regions(grid[:, ::-1], count)
    for place, part in enumerate(parts):
        row, column = divmod(place, count)
        np.testing.assert_array_equal(mirrored[row * count + count - 1 - column][:, ::-1], part)
    if rows % count == 0 == columns % count:
        assert sum(part.size for part in parts) == grid.size


def test_names_and_shares() -> None:
    found = features(texture(1))
    assert found.shape == (len(FEATURES),) and found.dtype == np.float64
    assert len(set(FEATURES)) == len(FEATURES)
    table = dict(zip(FEATURES, found))
    for name in ("global", "mean_2x2", "mean_4x4"):
        assert sum(table[key] for key in FEATURES if key.startswith(name)) == pytest.approx(1)
    for size in ("2x2", "4x4"):
        assert all(table[f"max_{size}_{name}"] >= table[f"mean_{size}_{name}"]
                   for name in (key[len("global_"):] for key in FEATURES[:BINS]))


def test_the_global_histogram_is_that_of_the_residual() -> None:
    image = texture(2, (CELL_PX * 15, CELL_PX * 16))
    grey = image @ np.array([0.114, 0.587, 0.299])
    cells = grey.reshape(15, CELL_PX, 16, CELL_PX).swapaxes(1, 2)
    residual = np.empty(cells.shape)
    for place in np.ndindex(15, 16):
        size = basis(CELL_PX) @ cells[place] @ basis(CELL_PX).T
        ac = np.abs(size).ravel()[1:]
        size[np.abs(size) >= np.sort(ac)[-DOMINANT]] = 0
        size[0, 0] = 0
        residual[place] = basis(CELL_PX).T @ size @ basis(CELL_PX)
    expected = np.histogram(np.abs(residual), [0, *BIN_EDGES, np.inf])[0] / residual.size
    np.testing.assert_allclose(features(image)[:BINS], expected, atol=1e-4)


@pytest.mark.parametrize("turn", [lambda image: image[:, ::-1], lambda image: image[::-1],
                                  lambda image: image[::-1, ::-1], lambda image: np.rot90(image)],
                         ids=["left-right", "up-down", "half turn", "quarter turn"])
def test_mirrors_and_turns_change_nothing(turn: object) -> None:
    image = texture(3)
    image[:110] = cv2.GaussianBlur(image, (0, 0), 3)[:110]
    image[:, :70] //= 2
    assert callable(turn)
    np.testing.assert_allclose(features(np.ascontiguousarray(turn(image))), features(image),
                               atol=1e-3)


def test_brightness_changes_nothing() -> None:
    image = texture(4)
    np.testing.assert_allclose(features(image + np.uint8(50)), features(image), atol=1e-3)


def test_contrast_does() -> None:
    image = texture(4)
    assert features(image // 4 + np.uint8(80))[BINS - 1] < 0.5 * features(image)[BINS - 1]


@pytest.mark.parametrize("seed", range(3))
def test_blur_lowers_the_residual(seed: int) -> None:
    """Above every edge of the histogram there is less, the more the frame is blurred."""
    image = texture(seed)
    blurred = [image, *(cv2.GaussianBlur(image, (0, 0), sigma) for sigma in (0.7, 1.2, 2, 4))]
    above = [np.cumsum(features(each)[:BINS][::-1])[:-1] for each in blurred]
    for sharper, smoother in zip(above, above[1:]):
        assert (smoother <= sharper).all() and smoother.sum() < 0.9 * sharper.sum()


def octagon(image: np.ndarray, outside: np.ndarray) -> np.ndarray:
    height, width = image.shape[:2]
    corners = np.array([[70, 20], [width - 70, 20], [width - 30, 70], [width - 30, height - 70],
                        [width - 70, height - 20], [70, height - 20], [30, height - 70],
                        [30, 70]])
    field = cv2.fillConvexPoly(np.zeros((height, width), np.uint8), corners, 1)
    return np.where(field[..., None] > 0, image, outside)


def test_the_black_border_does_not_count() -> None:
    """Neither its noise nor its edge: no cell of a flat field has a residual."""
    rng = np.random.default_rng(5)
    image, flat = texture(5), np.full((*EVEN, 3), 120, np.uint8)
    quiet, noisy = np.zeros_like(image), rng.integers(0, 25, image.shape).astype(np.uint8)
    np.testing.assert_array_equal(features(octagon(image, quiet)), features(octagon(image, noisy)))
    assert features(octagon(flat, noisy))[0] == 1
    assert features(octagon(image, noisy))[BINS - 1] == pytest.approx(features(image)[BINS - 1],
                                                                      abs=0.05)


def test_a_dark_frame_is_all_field() -> None:
    dark = texture(6, low=0, high=25)
    np.testing.assert_allclose(features(dark + np.uint8(100)), features(dark), atol=1e-3)


def test_a_field_without_a_whole_cell_is_ignored() -> None:
    image = np.zeros((60, 60, 3), np.uint8)
    image[22:38, 22:38] = 200
    found = features(image)
    assert np.isfinite(found).all() and found[:BINS].sum() == pytest.approx(1)


def test_the_recipe_has_them(tmp_path: Path) -> None:
    """Of the frame that crops are cut from: no larger than 500x350."""
    path = tmp_path / "large.png"
    assert cv2.imwrite(str(path), texture(7, (700, 1000)))
    found = prepare.detect(Frame("large", "g", "", path, True), 1)
    assert prepare.RECIPE.features == FEATURES
    np.testing.assert_array_equal(found.features, [features(crops.load(path))])
