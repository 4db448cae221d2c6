"""Views of volumes whose voxels say where they are, and of vessels with a clot on the axis."""
from __future__ import annotations

import itertools

import numpy as np
import pytest
from cylinders import CLOT, LUMEN, LUNG, Scene, across, ball, paint, tube, unit
from scipy import ndimage

from data_prep.patches import PATCH_PX
from data_prep.pe import planes
from data_prep.pe.alignment import VesselFrame, vessel_frame
from data_prep.pe.clusters import representative
from data_prep.pe.planes import AIR_HU, TEST_ORDER, VIEW_NAMES, VIEWS, WINDOW_HU, cut, sample
from data_prep.pe.volume import Volume

HEAD, BACK, LEFT = np.eye(3)
MIDDLE_PX = (PATCH_PX - 1) / 2
LONGITUDINAL, ACROSS, REPEATED = 0, 1, 2


def ramp(steps: tuple[float, float, float], spacing_mm: tuple[float, float, float]) -> Volume:
    """HU grows by `steps` per mm along z, y, x from 0 at the middle of about 40 mm a side."""
    shape = np.round(40 / np.asarray(spacing_mm)).astype(int) + 1
    places = (np.indices(shape) - (shape[:, None, None, None] - 1) / 2)
    values = sum(s * d * p for s, d, p in zip(steps, spacing_mm, places))
    return Volume(np.rint(values).astype(np.int16), spacing_mm)


def middle_mm(volume: Volume) -> np.ndarray:
    return (np.asarray(volume.hu.shape) - 1) / 2 * np.asarray(volume.spacing_mm)


def vessel(seed: int, radius_mm: float = 3.0, clot_mm: float = 1.5) -> tuple[Scene, VesselFrame]:
    """A straight vessel with a round clot on its axis, and its exact frame."""
    rng = np.random.default_rng(seed)
    axis = unit(rng.normal(size=3))
    scene = paint([tube(axis, radius_mm)], ball(clot_mm), (rng.uniform(0.7, 1.3), 0.7, 0.7))
    return scene, VesselFrame(scene.centre_mm, axis, across(axis, rng))


def clot_middle_px(plane: np.ndarray) -> np.ndarray:
    """Row and column, from the middle of the patch, of what is dark and does not reach its rim."""
    halfway = planes.to_grey(np.array([(CLOT + LUMEN) / 2]))[0]
    labels, count = ndimage.label(plane < halfway)
    at_the_rim = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
    clot, = set(range(1, count + 1)) - set(at_the_rim.tolist())
    return np.argwhere(labels == clot).mean(axis=0) - MIDDLE_PX


def test_there_are_90_views_with_different_names() -> None:
    assert len(VIEW_NAMES) == len(set(VIEW_NAMES)) == 3 * 5 * 6
    combinations = itertools.product((10, 15, 20), (-0.2, -0.1, 0.0, 0.1, 0.2),
                                     (0, 60, 120, 180, 240, 300))
    assert [(v.width_mm, v.shift, v.turn_degrees) for v in VIEWS.values()] == list(combinations)
    assert VIEWS["w15_s+10_r060"] == planes.View(15, 0.1, 60)
    assert VIEWS["w20_s-20_r300"] == planes.View(20, -0.2, 300)
    assert VIEWS["w10_s+00_r000"] == planes.View(10, 0.0, 0)


def test_the_test_order_starts_plain_and_every_prefix_is_well_spread() -> None:
    assert TEST_ORDER[0] == "w15_s+00_r000"
    assert sorted(TEST_ORDER) == sorted(VIEW_NAMES)
    for start in range(0, 84, 6):
        block = [VIEWS[name] for name in TEST_ORDER[start:start + 6]]
        assert len({view.turn_degrees for view in block}) == 6
        assert len({view.shift for view in block}) == 5
        assert len({view.width_mm for view in block[:3]}) == 3
    assert len({VIEWS[name].turn_degrees % 180 for name in TEST_ORDER[:3]}) == 3
    pairs = {(VIEWS[name].width_mm, VIEWS[name].turn_degrees) for name in TEST_ORDER[:18]}
    assert len(pairs) == 18
    pairs = {(VIEWS[name].shift, VIEWS[name].turn_degrees) for name in TEST_ORDER[:30]}
    assert len(pairs) == 30


def test_the_channels_are_longitudinal_across_and_across_again() -> None:
    scene, frame = vessel(1)
    patch = cut(scene.volume, frame, "w15_s+00_r000")
    assert patch.shape == (227, 227, 3) and patch.dtype == np.uint8
    assert patch.flags.c_contiguous
    assert (patch[..., ACROSS] == patch[..., REPEATED]).all()
    # The vessel runs down the first from end to end; in the second there is lung all round it.
    assert (patch[[0, -1], 113, LONGITUDINAL] > 200).all()
    assert (patch[[0, -1], 113, ACROSS] == 0).all()
    assert (patch[113, [0, -1], :] == 0).all()


@pytest.mark.parametrize("spacing_mm", [(1.0, 1.0, 1.0), (2.5, 0.6, 0.8)])
def test_rows_and_columns_run_along_their_vectors_in_mm(
        spacing_mm: tuple[float, float, float]) -> None:
    volume = ramp((7, 11, 13), spacing_mm)
    rng = np.random.default_rng(5)
    down = unit(rng.normal(size=3))
    right = across(down, rng)
    plane = sample(volume, middle_mm(volume) + (1, -2, 0.5), down, right, 20.0)
    offsets = (np.arange(PATCH_PX) + 0.5) * 20 / PATCH_PX - 10
    steps = np.array([7, 11, 13])
    expected = steps @ (1, -2, 0.5) + offsets[:, None] * (steps @ down) + offsets * (steps @ right)
    assert np.abs(plane - expected).max() <= 0.51  # HU are whole numbers


@pytest.mark.parametrize("width_mm", [10, 15, 20])
def test_the_patch_is_as_wide_as_it_says(width_mm: int) -> None:
    volume = ramp((5, 7, 9), (1.0, 0.7, 0.7))
    patch = cut(volume, VesselFrame(middle_mm(volume), HEAD, LEFT), f"w{width_mm}_s+00_r000")
    across_hu = 9 * width_mm * (PATCH_PX - 1) / PATCH_PX
    assert int(patch[113, -1, 0]) - int(patch[113, 0, 0]) == pytest.approx(across_hu * 255 / 700,
                                                                           abs=1.5)


def test_left_and_right_up_and_down_of_both_planes() -> None:
    """The axis to the head, side to the left: cross is to the back."""
    volume = ramp((5, 7, 9), (1.0, 0.7, 0.7))
    patch = cut(volume, VesselFrame(middle_mm(volume), HEAD, LEFT), "w10_s+00_r000").astype(float)

    def slope(channel: int, way: int) -> float:
        return float(np.diff(patch[..., channel], axis=way).mean()) * PATCH_PX / 10 * 700 / 255

    assert slope(LONGITUDINAL, 0) == pytest.approx(5, abs=0.1)  # down: to the head
    assert slope(LONGITUDINAL, 1) == pytest.approx(9, abs=0.1)  # to the right: to the left
    assert slope(ACROSS, 0) == pytest.approx(7, abs=0.1)        # down: to the back
    assert slope(ACROSS, 1) == pytest.approx(9, abs=0.1)


@pytest.mark.parametrize("turn, side, cross", [(60, (0, 0.75 ** 0.5, 0.5), (0, 0.5, -0.75 ** 0.5)),
                                               (180, (0, 0, -1), (0, -1, 0))])
def test_a_turn_takes_side_towards_cross(turn: int, side: tuple[float, float, float],
                                         cross: tuple[float, float, float]) -> None:
    volume = ramp((5, 7, 9), (1.0, 0.7, 0.7))
    frame = VesselFrame(middle_mm(volume), HEAD, LEFT)
    patch = cut(volume, frame, f"w15_s+00_r{turn:03d}")
    for channel, down in ((LONGITUDINAL, HEAD), (ACROSS, np.array(cross))):
        plane = sample(volume, frame.centre_mm, down, np.array(side), 15)
        assert (patch[..., channel] == planes.to_grey(plane)).all()


def test_half_a_turn_mirrors_the_longitudinal_plane_and_turns_the_other() -> None:
    rng = np.random.default_rng(7)
    volume = Volume(rng.integers(-300, 500, (40, 40, 40)).astype(np.int16), (1.0, 0.8, 0.8))
    axis = unit(rng.normal(size=3))
    frame = VesselFrame(middle_mm(volume), axis, across(axis, rng))
    for turn in (0, 60, 120):
        one = cut(volume, frame, f"w15_s+10_r{turn:03d}").astype(int)
        other = cut(volume, frame, f"w15_s+10_r{turn + 180:03d}").astype(int)
        assert np.abs(one[:, ::-1, LONGITUDINAL] - other[..., LONGITUDINAL]).max() <= 1
        assert np.abs(one[::-1, ::-1, ACROSS] - other[..., ACROSS]).max() <= 1


def test_the_views_do_not_depend_on_the_sign_of_the_side() -> None:
    scene, frame = vessel(2)
    opposite = VesselFrame(frame.centre_mm, frame.axis, -frame.side)
    for turn in (0, 60, 120):
        one = cut(scene.volume, frame, f"w10_s+00_r{turn:03d}").astype(int)
        other = cut(scene.volume, opposite, f"w10_s+00_r{turn + 180:03d}").astype(int)
        assert np.abs(one - other).max() <= 1


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("width_mm", [10, 15, 20])
def test_a_clot_on_the_axis_is_centred_in_both_views(seed: int, width_mm: int) -> None:
    scene, _ = vessel(seed, radius_mm=4.0)
    voxels = np.argwhere(scene.clot)
    frame = vessel_frame(scene.volume, scene.vessels, voxels, representative(scene.volume, voxels))
    half_voxel_mm = np.linalg.norm(scene.volume.spacing_mm) / 2
    for turn in (0, 60, 300):
        patch = cut(scene.volume, frame, f"w{width_mm}_s+00_r{turn:03d}")
        for channel in (LONGITUDINAL, ACROSS):
            away_mm = clot_middle_px(patch[..., channel]) * width_mm / PATCH_PX
            assert np.abs(away_mm).max() < half_voxel_mm


@pytest.mark.parametrize("seed", range(4))
def test_turning_about_the_axis_leaves_a_round_vessel_unchanged(seed: int) -> None:
    """Up to the partial volume of 0.7-1.3 mm voxels at the walls: 3% of the range on average."""
    scene, frame = vessel(seed, radius_mm=4.0)
    still = cut(scene.volume, frame, "w20_s+00_r000").astype(float)
    for turn in (60, 120, 180, 240, 300):
        turned = cut(scene.volume, frame, f"w20_s+00_r{turn:03d}").astype(float)
        disc = np.hypot(*(np.indices((PATCH_PX, PATCH_PX)) - MIDDLE_PX)) < PATCH_PX / 2
        assert np.abs(turned - still)[disc].mean() < 0.03 * 255


@pytest.mark.parametrize("shift", [-20, -10, 10, 20])
@pytest.mark.parametrize("width_mm", [10, 15, 20])
def test_a_shift_moves_the_longitudinal_view_by_its_part_of_the_patch(shift: int,
                                                                      width_mm: int) -> None:
    """Towards the positive axis, so that the clot moves up."""
    scene, frame = vessel(3, radius_mm=4.0)
    patch = cut(scene.volume, frame, f"w{width_mm}_s{shift:+03d}_r000")
    row, column = clot_middle_px(patch[..., LONGITUDINAL])
    assert row == pytest.approx(-shift / 100 * PATCH_PX, abs=2.5)
    assert column == pytest.approx(0, abs=2.5)


def test_a_shift_moves_the_cross_section_too() -> None:
    scene, frame = vessel(4, radius_mm=4.0, clot_mm=1.5)
    clot, lumen = planes.to_grey(np.array([CLOT, LUMEN])).tolist()
    at_the_clot = cut(scene.volume, frame, "w15_s+00_r000")[113, 113, ACROSS]
    beyond = cut(scene.volume, frame, "w15_s+20_r000")[113, 113, ACROSS]  # 3 mm on
    assert at_the_clot == pytest.approx(clot, abs=8)
    assert beyond == pytest.approx(lumen, abs=3)


@pytest.mark.parametrize("hu, grey", [
    (-1024, 0), (WINDOW_HU[0] - 1, 0), (WINDOW_HU[0], 0), (WINDOW_HU[0] + 700 / 255, 1),
    (100.0, 128), (WINDOW_HU[1] - 700 / 255, 254), (WINDOW_HU[1], 255), (3071, 255)])
def test_the_window(hu: float, grey: int) -> None:
    assert planes.to_grey(np.array([hu])).tolist() == [grey]


def test_hu_are_interpolated_before_they_are_clipped() -> None:
    volume = Volume(np.full((30, 30, 30), 3000, np.int16), (1.0, 1.0, 1.0))
    volume.hu[:15] = -1000
    frame = VesselFrame(np.array([14.5, 15, 15]), HEAD, LEFT)
    column = cut(volume, frame, "w10_s+00_r000")[:, 113, LONGITUDINAL]
    # -250 to 450 HU is 700 of 4000 HU per mm; 22.7 pixels are a mm.
    assert ((column > 0) & (column < 255)).sum() == pytest.approx(700 / 4000 * 22.7, abs=1)


def test_outside_the_volume_is_air() -> None:
    volume = Volume(np.full((20, 20, 20), 100, np.int16), (1.0, 1.0, 1.0))
    corner = cut(volume, VesselFrame(np.zeros(3), HEAD, LEFT), "w10_s+00_r000")
    assert (corner[114:, 114:] == 128).all()
    assert (corner[:113] == 0).all() and (corner[:, :113] == 0).all()
    for far in ((-50, 5, 5), (5, 5, 200), (500, 500, 500)):
        plane = sample(volume, np.array(far, float), HEAD, LEFT, 20)
        assert plane.shape == (PATCH_PX, PATCH_PX)
        assert (plane == AIR_HU).all()


def test_a_crop_is_no_border() -> None:
    """Lung at -850 HU everywhere: a plane that met the border of a crop would show air."""
    volume = Volume(np.full((60, 60, 60), int(LUNG), np.int16), (0.7, 0.9, 1.1))
    rng = np.random.default_rng(9)
    for _ in range(20):
        down = unit(rng.normal(size=3))
        plane = sample(volume, np.array([20, 25, 30]) + rng.uniform(-1, 1, 3), down,
                       across(down, rng), 20)
        assert np.abs(plane - LUNG).max() < 1e-3


def test_a_name_that_is_no_view_is_refused() -> None:
    scene, frame = vessel(1)
    with pytest.raises(KeyError):
        cut(scene.volume, frame, "w12_s+00_r000")
