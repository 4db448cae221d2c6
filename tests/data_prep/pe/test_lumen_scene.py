"""Directions counted by hand, distances against SciPy, and what counts as dark and bright."""
from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from data_prep.pe.lumen_scene import distance_mm, enclosed_directions, look

CUBES = (1.0, 1.0, 1.0)


def test_a_voxel_in_a_hollow_ball_is_enclosed_on_all_sides() -> None:
    blood = np.ones((5, 5, 5), np.bool_)
    blood[1:4, 1:4, 1:4] = False
    assert enclosed_directions(blood, ~np.zeros_like(blood), CUBES)[2, 2, 2] == 26


def test_beside_a_flat_wall_nine_directions_lead_to_it() -> None:
    blood = np.zeros((9, 9, 9), np.bool_)
    blood[:, :, 0] = True
    count = enclosed_directions(blood, ~np.zeros_like(blood), CUBES)
    assert count[4, 4, 1] == 9
    # Blood is its own wall: to its neighbours in the plane as well.
    assert count[4, 4, 0] == 8


def test_air_ends_a_direction() -> None:
    blood = np.zeros((1, 1, 7), np.bool_)
    blood[0, 0, [0, 6]] = True
    passable = np.ones_like(blood)
    passable[0, 0, 4] = False
    # Left of the air one end is met, at the air and right of it the other. The air itself is
    # only started from, never entered.
    assert enclosed_directions(blood, passable, CUBES)[0, 0].tolist()[1:6] == [1, 1, 1, 2, 1]


def test_the_reach_is_in_mm() -> None:
    blood = np.zeros((1, 1, 40), np.bool_)
    blood[0, 0, 0] = True
    for mm, farthest in ((1.0, 15), (2.0, 7), (0.7, 21), (20.0, 1)):
        count = enclosed_directions(blood, ~np.zeros_like(blood), (1.0, 1.0, mm))[0, 0]
        assert np.flatnonzero(count)[-1] == farthest


@settings(max_examples=40)
@given(arrays(np.bool_, (6, 7, 5), elements=st.sampled_from([False] * 9 + [True])),
       st.sampled_from([(1.0, 1.0, 1.0), (2.0, 0.7, 0.7), (1.25, 1.0, 3.0)]),
       st.sampled_from([1.0, 2.5, 4.0]))
def test_distances_are_scipys_up_to_the_cap(mask: np.ndarray, spacing: tuple[float, float, float],
                                            most: float) -> None:
    mask[0, 0, 0] = True
    whole = ndimage.distance_transform_edt(~mask, sampling=spacing)
    np.testing.assert_allclose(distance_mm(mask, most, spacing), np.minimum(whole, most), rtol=1e-5)


def _tube(blood_hu: float, clot: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A tube of 2.5 mm radius in lung, blurred; inside of it in the middle the truth."""
    _, y, x = np.ogrid[:24, -12:13, -12:13]
    inside = np.broadcast_to(y**2 + x**2 < 2.5**2, (24, 25, 25))
    hu = np.where(inside, blood_hu, -850.0)
    if clot:
        hu[8:16][inside[8:16]] = 50
    hu = ndimage.gaussian_filter(hu, 0.65)
    return np.round(hu).astype(np.int16), hu < -400, hu > 100


def test_the_lungs_share_is_taken_out_of_thin_vessels() -> None:
    for blood_hu in (250.0, 450.0):
        hu, lungs, vessels = _tube(blood_hu, False)
        surface = look(hu, lungs, vessels, CUBES).surface
        assert hu[12, 10, 12] < 0.75 * blood_hu        # 2 mm off the axis: blurred with lung
        assert abs(surface[12, 10, 12] - blood_hu) < 0.2 * blood_hu
        assert abs(surface[12, 12, 12] - blood_hu) < 0.1 * blood_hu


def test_dark_is_the_clot_and_bright_the_blood() -> None:
    hu, lungs, vessels = _tube(350.0, True)
    scene = look(hu, lungs, vessels, CUBES)
    assert scene.dark[10:14, 12, 12].all() and not scene.bright[10:14, 12, 12].any()
    assert scene.bright[[3, 20], 12, 12].all() and not scene.dark[[3, 20], 12, 12].any()
    assert not scene.tissue[12, 2, 2] and not scene.dark[12, 2, 2]
    assert scene.field[2:-2, 4:21, 4:21].all()     # at the tube's ends nothing closes
    np.testing.assert_allclose(scene.limit[12, 12, 12], 200, atol=2)   # half way to 350


def test_arrays_are_small() -> None:
    scene = look(*_tube(350.0, True), CUBES)
    bytes_a_voxel = sum(getattr(scene, name).itemsize for name in scene.__dataclass_fields__)
    assert bytes_a_voxel <= 3 * 4 + 5
