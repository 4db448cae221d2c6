"""Lungs and vessels of a chest of simple solids."""
from __future__ import annotations

import numpy as np
import pytest

from data_prep.pe.segment import segment
from data_prep.pe.volume import Volume
from layerwise.errors import InputError

SHAPE = (30, 60, 80)
MM = (2.0, 2.0, 2.0)


def _axes() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """z, y, x in voxels from the middle."""
    z, y, x = np.ogrid[tuple(slice(n) for n in SHAPE)]
    return z - 15, y - 30, x - 40


def _chest() -> np.ndarray:
    """A body in air with two lungs, a heart between them, an artery into each lung and a spine."""
    z, y, x = _axes()
    hu = np.full(SHAPE, -1000.0)
    hu[np.broadcast_to((y / 27)**2 + (x / 37)**2 < 1, SHAPE)] = 40
    for side in (-1, 1):
        hu[((y / 20)**2 + ((x - side * 19) / 13)**2 + (z / 13)**2) < 1] = -850
    hu[np.broadcast_to((y**2 + x**2 < 5**2) & (abs(z) < 8), SHAPE)] = 350             # heart
    hu[np.broadcast_to((y**2 + z**2 < 2**2) & (abs(x) < 24), SHAPE)] = 350            # arteries
    hu[np.broadcast_to((y - 24)**2 + x**2 < 3**2, SHAPE)] = 600                       # spine
    return hu


def _volume(hu: np.ndarray, mm: tuple[float, float, float] = MM, noise: float = 15) -> Volume:
    noisy = hu + np.random.default_rng(3).normal(0, noise, hu.shape)
    return Volume(np.round(noisy).astype(np.int16), mm)


def test_lungs_are_the_air_inside() -> None:
    hu = _chest()
    assert np.array_equal(segment(_volume(hu)).lungs, hu == -850)


def test_vessels_are_the_heart_and_the_arteries_not_the_spine() -> None:
    hu = _chest()
    vessels = segment(_volume(hu)).vessels
    assert vessels[hu == 350].mean() > 0.99
    assert not vessels[hu == 600].any()
    # Smoothing widens what is bright by less than a voxel.
    assert vessels.sum() < 1.8 * (hu == 350).sum()


def test_bowel_gas_is_no_lung() -> None:
    hu = _chest()
    z, y, x = _axes()
    hu[(np.abs(z) < 2) & (np.abs(y + 18) < 2) & (np.abs(x) < 3)] = -1000
    assert np.array_equal(segment(_volume(hu)).lungs, hu == -850)


@pytest.mark.parametrize("from_column, kept", [(66, True), (69, False)])
def test_a_small_body_of_lung_counts_from_a_tenth(from_column: int, kept: bool) -> None:
    hu = _chest()
    lung = hu == -850
    column = np.arange(SHAPE[2])
    hu[lung & (column > 40) & (column < from_column)] = 40
    rest = (hu == -850) & (column > 40)
    assert (rest.sum() > 0.1 * (lung & (column < 40)).sum()) == kept
    assert segment(_volume(hu)).lungs[rest].all() == kept


def test_slices_may_be_thicker_than_pixels() -> None:
    hu = _chest()[::2]
    found = segment(_volume(hu, (4.0, 2.0, 2.0)))
    assert np.array_equal(found.lungs, hu == -850)
    assert found.vessels[hu == 350].mean() > 0.98


def test_lungs_may_touch_the_edge_of_a_cropped_scan() -> None:
    hu = _chest()[:, 12:48, 10:70]
    assert segment(_volume(hu)).lungs[hu == -850].all()


def test_a_speck_is_no_vessel() -> None:
    hu = _chest()
    hu[15, 30, 70] = 900
    before = hu[14:17, 29:32, 69:72] == 900
    assert before.sum() == 1
    assert not segment(_volume(hu, (1.0, 1.0, 1.0))).vessels[14:17, 29:32, 69:72].any()


def test_the_same_volume_gives_the_same_masks() -> None:
    volume = _volume(_chest())
    one, two = segment(volume), segment(Volume(volume.hu.copy(), MM))
    assert np.array_equal(one.lungs, two.lungs) and np.array_equal(one.vessels, two.vessels)
    assert one.lungs.dtype == one.vessels.dtype == np.bool_


@pytest.mark.parametrize("hu", [-1000, 40, 300], ids=["air", "soft tissue", "bone"])
def test_no_lung(hu: int) -> None:
    with pytest.raises(InputError, match="no lung"):
        segment(Volume(np.full((8, 9, 10), hu, np.int16), MM))
