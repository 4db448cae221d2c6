"""The direction of vessels whose direction is known."""
from __future__ import annotations

import numpy as np
import pytest
from cylinders import Depth, Scene, across, angle_degrees, ball, paint, tube, unit
from hypothesis import given
from hypothesis import strategies as st

from data_prep.pe.alignment import VesselFrame, vessel_frame
from data_prep.pe.clusters import representative
from data_prep.pe.volume import Volume

CLOTS = ("occlusive", "central", "mural")


def frame_of(scene: Scene) -> VesselFrame:
    voxels = np.argwhere(scene.clot)
    return vessel_frame(scene.volume, scene.vessels, voxels, representative(scene.volume, voxels))


def random_spacing(rng: np.random.Generator) -> tuple[float, float, float]:
    across_mm = rng.uniform(0.6, 0.9)
    return (rng.uniform(0.6, 2.0), across_mm, across_mm)


def clot_in(kind: str, axis: np.ndarray, radius_mm: float,
            rng: np.random.Generator) -> Depth:
    part, place = {"occlusive": (9.0, 0.0), "central": (0.6, 0.0), "mural": (0.6, 0.45)}[kind]
    half = rng.uniform(2, 5)
    return tube(axis, part * radius_mm, -half, half, place * radius_mm * across(axis, rng))


def assert_orthonormal(frame: VesselFrame) -> None:
    base = np.array([frame.axis, frame.side, frame.cross])
    assert base @ base.T == pytest.approx(np.eye(3), abs=1e-12)


@pytest.mark.parametrize("clot", CLOTS)
@pytest.mark.parametrize("diameter_mm", [3, 5, 8, 11, 15])
@pytest.mark.parametrize("seed", range(3))
def test_the_axis_of_a_straight_vessel(diameter_mm: float, clot: str, seed: int) -> None:
    rng = np.random.default_rng([seed, diameter_mm, len(clot)])
    axis, radius = unit(rng.normal(size=3)), diameter_mm / 2
    scene = paint([tube(axis, radius)], clot_in(clot, axis, radius, rng), random_spacing(rng),
                  shift_mm=rng.uniform(-0.4, 0.4, 3))
    frame = frame_of(scene)
    assert angle_degrees(frame.axis, axis) < 5
    assert_orthonormal(frame)


@given(direction=st.tuples(*[st.floats(-1, 1)] * 3), spacing_z=st.floats(0.5, 2.5),
       diameter_mm=st.floats(4, 15))
def test_the_axis_is_found_in_mm(direction: tuple[float, float, float], spacing_z: float,
                                 diameter_mm: float) -> None:
    axis = unit(np.array(direction) + (2.0, 0, 0) if np.linalg.norm(direction) < 0.1 else direction)
    scene = paint([tube(axis, diameter_mm / 2)], tube(axis, diameter_mm / 3, -3, 3),
                  (spacing_z, 0.8, 0.8), half_mm=16)
    assert angle_degrees(frame_of(scene).axis, axis) < 5


@pytest.mark.parametrize("seed", range(6))
def test_near_a_bifurcation_the_axis_is_the_parents(seed: int) -> None:
    rng = np.random.default_rng(seed)
    axis, radius = unit(rng.normal(size=3)), rng.uniform(2, 5)
    side, fork = across(axis, rng), 1.5 * radius * axis
    vessels = [tube(axis, radius, end=1.5 * radius),
               *(tube(unit(axis + slope * side), 0.75 * radius, start=0, through=fork)
                 for slope in (0.6, -0.4))]
    scene = paint(vessels, tube(axis, radius * 0.6, -2, 2), random_spacing(rng))
    assert angle_degrees(frame_of(scene).axis, axis) < 5


@pytest.mark.parametrize("seed", range(6))
def test_beside_a_touching_vein_the_axis_is_the_arterys(seed: int) -> None:
    rng = np.random.default_rng(seed)
    axis, radius = unit(rng.normal(size=3)), rng.uniform(2, 4)
    side = across(axis, rng)
    vein = unit(axis + 0.5 * unit(np.cross(axis, side)))
    scene = paint([tube(axis, radius), tube(vein, radius, through=1.9 * radius * side)],
                  tube(axis, 0.6 * radius, -3, 3), random_spacing(rng))
    assert angle_degrees(frame_of(scene).axis, axis) < 10


def test_vessels_that_are_not_connected_do_not_count() -> None:
    axis = unit((1, 2, 3))
    side = unit(np.cross(axis, (1, 0, 0)))
    clot = tube(axis, 1.0, -3, 3)
    alone = paint([tube(axis, 2.0)], clot, (0.8, 0.7, 0.7))
    other = paint([tube(axis, 2.0), tube(side, 3.0, through=8 * unit(np.cross(axis, side)))],
                  clot, (0.8, 0.7, 0.7))
    assert other.vessels.sum() > 1.5 * alone.vessels.sum()
    assert frame_of(other).axis == pytest.approx(frame_of(alone).axis, abs=1e-12)


def test_a_gap_of_one_voxel_between_clot_and_lumen_is_bridged() -> None:
    vessels = np.zeros((31, 9, 9), bool)
    vessels[:13, 3:6, 3:6] = vessels[18:, 3:6, 3:6] = True  # along z, with a clot at 14 to 16
    clot = np.argwhere(np.ones((3, 3, 3), bool)) + (14, 3, 3)
    volume = Volume(np.zeros(vessels.shape, np.int16), (1.0, 1.0, 1.0))
    assert vessel_frame(volume, vessels, clot, clot[13]).axis == pytest.approx((1, 0, 0), abs=1e-9)


def test_the_side_is_the_longest_diameter_of_the_cross_section() -> None:
    vessels = np.zeros((40, 40, 40), bool)
    vessels[:, 14:25, 18:21] = True  # along z, 11 voxels wide to the back, 3 to the left
    volume = Volume(np.zeros(vessels.shape, np.int16), (1.0, 0.8, 0.8))
    frame = vessel_frame(volume, vessels, np.argwhere(np.ones((3, 3, 3))) + (18, 18, 18),
                         np.array([19, 19, 19]))
    assert frame.axis == pytest.approx((1, 0, 0), abs=1e-9)
    assert frame.side == pytest.approx((0, 1, 0), abs=1e-9)


def test_the_frame_is_right_handed_in_the_patient() -> None:
    towards_head, to_the_left = np.array([1.0, 0, 0]), np.array([0.0, 0, 1])
    frame = VesselFrame(np.zeros(3), towards_head, to_the_left)
    assert frame.cross == pytest.approx((0, 1, 0))  # to the back
    rng = np.random.default_rng(3)
    axis = unit(rng.normal(size=3))
    turned = VesselFrame(np.zeros(3), axis, across(axis, rng))
    xyz = np.array([vector[::-1] for vector in (turned.axis, turned.side, turned.cross)])
    assert np.linalg.det(xyz) == pytest.approx(1)


def test_signs_do_not_depend_on_the_order_of_the_voxels() -> None:
    scene = paint([tube(unit((-1, 0.3, 0.2)), 3.0)], ball(1.5), (1.0, 0.8, 0.8))
    voxels = np.argwhere(scene.clot)
    frame = vessel_frame(scene.volume, scene.vessels, voxels, voxels[0])
    again = vessel_frame(scene.volume, scene.vessels, voxels[::-1], voxels[0])
    assert frame.axis == pytest.approx(again.axis)
    assert frame.side == pytest.approx(again.side)
    for direction in (frame.axis, frame.side):
        assert direction.max() == np.abs(direction).max()


@pytest.mark.parametrize("order", [(1, 2, 0), (2, 1, 0)])
def test_the_frame_turns_with_the_volume(order: tuple[int, int, int]) -> None:
    scene = paint([tube(unit((3, 2, 1)), 2.5), tube(unit((1, -1, 4)), 1.5)],
                  ball(1.5, (0.5, 0, 0)), (1.2, 0.8, 0.7))
    frame = frame_of(scene)
    spacing = scene.volume.spacing_mm
    turned = vessel_frame(Volume(scene.volume.hu.transpose(order),
                                 (spacing[order[0]], spacing[order[1]], spacing[order[2]])),
                          scene.vessels.transpose(order), np.argwhere(scene.clot)[:, order],
                          np.rint(frame.centre_mm / spacing)[list(order)])
    index = list(order)
    assert turned.centre_mm == pytest.approx(frame.centre_mm[index])
    assert turned.axis == pytest.approx(frame.axis[index], abs=1e-6)
    assert turned.side == pytest.approx(frame.side[index], abs=1e-6)


@pytest.mark.parametrize("voxels", [
    [(0, 0, 0)], [(4, 4, 4)], [(9, 9, 9)], [(4, 4, 4), (4, 4, 5)],
    [(4, y, x) for y in range(3, 6) for x in range(3, 6)],
    np.argwhere(np.linalg.norm(np.indices((9, 9, 9)) - 4, axis=0) < 3.5)])
@pytest.mark.parametrize("spacing_mm", [(1.0, 1.0, 1.0), (2.5, 0.6, 0.6)])
def test_degenerate_candidates_have_a_frame(voxels: list[tuple[int, int, int]],
                                            spacing_mm: tuple[float, float, float]) -> None:
    volume = Volume(np.zeros((10, 10, 10), np.int16), spacing_mm)
    frame = vessel_frame(volume, np.zeros((10, 10, 10), bool), np.array(voxels),
                         np.array(voxels[len(voxels) // 2]))
    assert_orthonormal(frame)
    assert np.isfinite(frame.centre_mm).all()
    if len(voxels) == 2:
        assert frame.axis == pytest.approx((0, 0, 1))


def test_a_clot_longer_than_the_neighbourhood() -> None:
    vessels = np.zeros((80, 11, 11), bool)
    vessels[:, 4:7, 4:7] = True
    volume = Volume(np.zeros(vessels.shape, np.int16), (1.0, 1.0, 1.0))
    frame = vessel_frame(volume, vessels, np.argwhere(vessels), np.array([39, 5, 5]))
    assert frame.axis == pytest.approx((1, 0, 0), abs=1e-9)
    assert frame.centre_mm == pytest.approx((39, 5, 5))


def test_wrong_arguments_are_refused() -> None:
    volume = Volume(np.zeros((4, 4, 4), np.int16), (1.0, 1.0, 1.0))
    with pytest.raises(ValueError, match="0 voxels"):
        vessel_frame(volume, np.zeros((4, 4, 4), bool), np.zeros((0, 3), int), np.zeros(3))
    with pytest.raises(ValueError, match="shape"):
        vessel_frame(volume, np.zeros((4, 4, 5), bool), np.zeros((1, 3), int), np.zeros(3))
