"""Features of analytic vessels: what they should measure is known."""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_prep.pe.alignment import VesselFrame
from data_prep.pe.clusters import Cluster
from data_prep.pe.features import FEATURES, features
from data_prep.pe.segment import Segmentation
from data_prep.pe.volume import Volume

BLOOD_HU, CLOT_HU, LUNG_HU, NOISE_HU = 350.0, 50.0, -850.0, 15.0
SIZE_MM = 46.0
Scene = tuple[Volume, Segmentation, Cluster, VesselFrame]
Spacing = tuple[float, float, float]


def frame_along(axis: tuple[float, float, float], centre_mm: np.ndarray) -> VesselFrame:
    along = np.array(axis) / np.linalg.norm(axis)
    side = np.cross(along, np.eye(3)[np.abs(along).argmin()])
    return VesselFrame(centre_mm, along, side / np.linalg.norm(side))


def scene(axis: tuple[float, float, float] = (1, 0, 0), spacing: Spacing = (0.7, 0.7, 0.7),
          radius_mm: float = 5.0, clot_mm: tuple[float, float] = (2.5, 6.0), shift_mm: float = 0.0,
          tapered: bool = False) -> Scene:
    """A straight vessel in lung, and in it an ellipsoid of clot: half axes across and along, its
    centre `shift_mm` off the vessel's axis to the frame's side."""
    shape = tuple(round(SIZE_MM / step) for step in spacing)
    frame = frame_along(axis, (np.array(shape) // 2) * np.array(spacing))
    offsets = np.moveaxis(np.indices(shape), 0, -1) * np.array(spacing) - frame.centre_mm
    along, side, cross = (offsets @ way for way in (frame.axis, frame.side, frame.cross))
    wall = radius_mm - np.hypot(side, cross) - (0.1 * np.abs(along) if tapered else 0.0)
    size = np.sqrt(((side - shift_mm) ** 2 + cross ** 2) / clot_mm[0] ** 2
                   + along ** 2 / clot_mm[1] ** 2)
    clot = (size <= 1) & (wall > 0)
    share = np.clip(wall / np.mean(spacing) + 0.5, 0, 1)  # of blood in a voxel of the wall
    hu = LUNG_HU + share * (BLOOD_HU - LUNG_HU)
    hu[clot] = CLOT_HU
    hu += np.random.default_rng(0).normal(0, NOISE_HU, shape)
    voxels = np.argwhere(clot).astype(np.int32)
    at = VesselFrame(frame.centre_mm + shift_mm * frame.side, frame.axis, frame.side)
    return (Volume(np.round(hu).astype(np.int16), spacing),
            Segmentation(lungs=wall < 0, vessels=(wall >= 0) & ~clot),
            Cluster(voxels, voxels[0], 1.0), at)


def measured(parts: Scene) -> dict[str, float]:
    found = features(*parts)
    assert found.shape == (len(FEATURES),) and found.dtype == np.float64
    assert np.isfinite(found).all()
    return dict(zip(FEATURES, found.tolist()))


def test_names_are_unique() -> None:
    assert len(set(FEATURES)) == len(FEATURES)


@pytest.mark.parametrize("spacing", [(0.7, 0.7, 0.7), (2.0, 0.6, 0.6), (1.25, 0.8, 0.8)])
@pytest.mark.parametrize("axis", [(1, 0, 0), (0, 0, 1), (1, 2, -1), (3, -1, 2)])
def test_a_central_clot_in_a_cylinder_of_10_mm(axis: tuple[float, float, float],
                                               spacing: Spacing) -> None:
    seen = measured(scene(axis, spacing))
    assert seen["calibre_mm"] == pytest.approx(10, rel=0.05)
    assert 8.7 < seen["inner_diameter_mm"] < 10.3  # rough edges take from it
    assert seen["calibre_here_to_beyond"] == pytest.approx(1, abs=0.05)
    assert seen["eccentricity"] < 0.05
    # Cuts at 0 and +-2 mm through an ellipsoid of half axes 2.5 and 6 mm in a radius of 5 mm.
    assert seen["obstruction"] == pytest.approx(0.25 * (1 - 2 / 3 * (2 / 6) ** 2), rel=0.2)
    assert seen["cluster_hu"] == pytest.approx(CLOT_HU, abs=3)
    assert seen["cluster_sd_hu"] == pytest.approx(NOISE_HU, rel=0.25)
    assert seen["lumen_hu"] == pytest.approx(BLOOD_HU, abs=NOISE_HU)
    assert seen["contrast_hu"] == pytest.approx(BLOOD_HU - CLOT_HU, abs=NOISE_HU)
    assert seen["around_hu"] == pytest.approx(LUNG_HU, abs=NOISE_HU)
    assert seen["rim_vessel_share"] == 1 and seen["rim_air_share"] == 0
    assert seen["rim_contrast_hu"] == pytest.approx(BLOOD_HU - CLOT_HU, abs=NOISE_HU)
    assert seen["rays_enclosed_share"] == 1
    assert seen["volume_mm3"] == pytest.approx(4 / 3 * np.pi * 2.5 ** 2 * 6, rel=0.08)
    # Voxels' corners reach past the ellipsoid, at most by a voxel's diagonal.
    assert 11 < seen["length_along_vessel_mm"] < 12 + float(np.linalg.norm(spacing))
    diameters = [seen["major_mm"], seen["middle_mm"], seen["minor_mm"]]
    assert diameters == pytest.approx([12, 5, 5], abs=max(spacing))
    assert seen["elongation"] == pytest.approx(diameters[0] / diameters[1])
    assert seen["flatness"] == pytest.approx(diameters[1] / diameters[2])
    assert seen["ellipsoid_fill"] == pytest.approx(1, abs=0.05)
    assert seen["alignment"] == pytest.approx(1, abs=0.01)


@settings(max_examples=15)
@given(st.tuples(*[st.floats(-1, 1)] * 3).filter(lambda v: np.linalg.norm(v) > 0.3),
       st.floats(3.5, 12))
def test_calibre_at_any_orientation_and_width(axis: tuple[float, float, float], radius_mm: float
                                              ) -> None:
    seen = measured(scene(axis, (1.25, 0.7, 0.7), radius_mm))
    assert seen["calibre_mm"] == pytest.approx(2 * radius_mm, rel=0.06)
    assert 1.6 * radius_mm < seen["inner_diameter_mm"] < 2.05 * radius_mm


def test_a_clot_at_the_wall() -> None:
    central, mural = measured(scene()), measured(scene(shift_mm=3.4))
    # What the wall cuts off moves the clot's middle a little inwards.
    assert 0.45 < mural["eccentricity"] < 0.68
    assert mural["rays_enclosed_share"] < 0.8 < central["rays_enclosed_share"]
    assert mural["rim_vessel_share"] < 0.95
    assert mural["calibre_mm"] == pytest.approx(10, rel=0.05)
    assert mural["contrast_hu"] == pytest.approx(BLOOD_HU - CLOT_HU, abs=NOISE_HU)


def test_a_clot_that_fills_the_vessel() -> None:
    seen = measured(scene(clot_mm=(30.0, 5.0)))
    assert seen["obstruction"] > 0.9
    assert seen["eccentricity"] < 0.05
    assert seen["calibre_mm"] == pytest.approx(10, rel=0.05)
    assert seen["contrast_hu"] == pytest.approx(BLOOD_HU - CLOT_HU, abs=NOISE_HU)  # blood beyond


def test_a_vessel_that_is_wider_here() -> None:
    assert measured(scene(tapered=True))["calibre_here_to_beyond"] > 1.06


def test_a_vessel_beside_it_widens_the_area_only() -> None:
    volume, segmentation, cluster, frame = scene(radius_mm=4.0)
    vessels = segmentation.vessels.copy()
    vessels[:, :, 39:50] |= np.roll(vessels | _mask(volume, cluster), 11, axis=2)[:, :, 39:50]
    seen = measured((volume, replace(segmentation, vessels=vessels), cluster, frame))
    assert seen["calibre_mm"] > 10 and seen["inner_diameter_mm"] < 9.5


def _mask(volume: Volume, cluster: Cluster) -> np.ndarray:
    mask = np.zeros(volume.hu.shape, bool)
    mask[tuple(cluster.voxels.T)] = True
    return mask


def _moved(parts: Scene, change: Callable[[np.ndarray], np.ndarray], matrix: np.ndarray) -> Scene:
    """The scene with its arrays changed, and vectors by the signed permutation `matrix`."""
    volume, segmentation, cluster, frame = parts
    spacing = np.abs(matrix) @ np.array(volume.spacing_mm)
    extent = np.abs(matrix) @ (np.array(volume.hu.shape) - 1) * spacing
    centre = matrix @ frame.centre_mm + np.where((matrix < 0).any(axis=1), extent, 0.0)
    return (Volume(np.ascontiguousarray(change(volume.hu)), tuple(spacing.tolist())),
            Segmentation(change(segmentation.lungs), change(segmentation.vessels)),
            Cluster(np.argwhere(change(_mask(volume, cluster))).astype(np.int32), cluster.place,
                    cluster.score),
            VesselFrame(centre, matrix @ frame.axis, matrix @ frame.side))


@pytest.mark.parametrize("axis", [(1, 0, 0), (2, 1, -1)])
def test_mirrors_quarter_turns_and_the_frames_signs_change_nothing(
        axis: tuple[float, float, float]) -> None:
    parts = scene(axis, (1.5, 0.75, 0.75), shift_mm=1.5)
    expected = features(*parts)
    frame = parts[3]
    variants = [
        _moved(parts, lambda a: a[::-1], np.diag([-1.0, 1, 1])),
        _moved(parts, lambda a: a[:, :, ::-1], np.diag([1.0, 1, -1])),
        _moved(parts, lambda a: np.rot90(a, axes=(0, 2)),
               np.array([[0.0, 0, -1], [0, 1, 0], [1, 0, 0]])),
        _moved(parts, lambda a: a.transpose(1, 2, 0),
               np.array([[0.0, 1, 0], [0, 0, 1], [1, 0, 0]])),
        (*parts[:3], replace(frame, axis=-frame.axis)),
        (*parts[:3], replace(frame, side=-frame.side))]
    for variant in variants:
        np.testing.assert_allclose(features(*variant), expected, rtol=1e-4, atol=1e-4)


def test_moving_by_whole_voxels_changes_nothing() -> None:
    parts = scene(clot_mm=(2.0, 4.0), radius_mm=4.0)
    volume, segmentation, cluster, frame = parts
    steps = np.array([0, 3, -2])

    def shifted(array: np.ndarray) -> np.ndarray:
        return np.roll(array, steps, axis=(0, 1, 2))

    moved = (Volume(shifted(volume.hu), volume.spacing_mm),
             Segmentation(shifted(segmentation.lungs), shifted(segmentation.vessels)),
             Cluster((cluster.voxels + steps).astype(np.int32), cluster.place + steps,
                     cluster.score),
             replace(frame, centre_mm=frame.centre_mm + steps * np.array(volume.spacing_mm)))
    here, there = measured(parts), measured(moved)
    del here["lung_share"], there["lung_share"]  # the cut reaches over the volume's border
    assert there == pytest.approx(here, rel=1e-4, abs=1e-4)


def test_turning_the_frame_about_a_round_vessel_changes_little() -> None:
    parts = scene((1, 0, 0))
    frame = parts[3]
    turned = replace(frame, side=(frame.side + frame.cross) / np.sqrt(2))
    first, second = measured(parts), measured((*parts[:3], turned))
    assert second["calibre_mm"] == pytest.approx(first["calibre_mm"], rel=0.03)
    assert second["contrast_hu"] == pytest.approx(first["contrast_hu"], abs=NOISE_HU)
    for name in ("cross_plane_entropy", "cross_4mm_straight_hu", "long_4mm_across_hu"):
        assert second[name] == pytest.approx(first[name], rel=0.25)


def test_texture_tells_a_smooth_clot_from_a_coarse_one() -> None:
    """The patent's rule: a clot has low entropy, high energy, low contrast, high homogeneity."""
    volume, segmentation, cluster, frame = scene(clot_mm=(4.0, 6.0))
    coarse = volume.hu.copy()
    coarse[tuple(cluster.voxels.T)] = np.random.default_rng(1).integers(-50, 150,
                                                                        len(cluster.voxels))
    smooth = measured((volume, segmentation, cluster, frame))
    rough = measured((Volume(coarse, volume.spacing_mm), segmentation, cluster, frame))
    for view in ("long", "cross"):
        assert smooth[f"{view}_cluster_entropy"] < rough[f"{view}_cluster_entropy"]
        assert smooth[f"{view}_cluster_energy"] > rough[f"{view}_cluster_energy"]
        assert smooth[f"{view}_cluster_contrast"] < rough[f"{view}_cluster_contrast"]
        assert smooth[f"{view}_cluster_homogeneity"] > rough[f"{view}_cluster_homogeneity"]


def test_walls_show_across_the_vessel_and_not_along() -> None:
    seen = measured(scene((1, 2, -1), clot_mm=(1.0, 1.0)))
    assert seen["long_4mm_across_hu"] > 5 * seen["long_4mm_along_hu"]


@pytest.mark.parametrize("voxel", [(0, 0, 0), (20, 20, 20), (39, 39, 39)])
def test_degenerate_candidates_have_finite_features(voxel: tuple[int, int, int]) -> None:
    """One voxel, no vessel anywhere, padding far below air, at the volume's corners too."""
    shape, nothing = (40, 40, 40), np.zeros((40, 40, 40), bool)
    volume = Volume(np.full(shape, -32768, np.int16), (0.7, 0.7, 0.7))
    frame = frame_along((1, 0, 0), np.array(voxel) * 0.7)
    for lungs in (nothing, ~nothing):
        seen = measured((volume, Segmentation(lungs, nothing),
                         Cluster(np.array([voxel], np.int32), np.array(voxel), 0.0), frame))
        assert seen["contrast_hu"] == 0 and seen["rays_enclosed_share"] == 0
        assert seen["volume_mm3"] == pytest.approx(0.7 ** 3)


def test_a_cluster_that_fills_its_volume_has_no_rim() -> None:
    volume = Volume(np.full((4, 4, 4), 40, np.int16), (1.0, 1.0, 1.0))
    every = np.argwhere(np.ones((4, 4, 4), bool)).astype(np.int32)
    nothing = np.zeros((4, 4, 4), bool)
    seen = measured((volume, Segmentation(nothing, nothing), Cluster(every, every[0], 0.0),
                     frame_along((1, 0, 0), np.full(3, 1.5))))
    assert seen["rim_vessel_share"] == 0 and seen["length_along_vessel_mm"] == 4


def test_a_cluster_without_voxels_is_refused() -> None:
    volume, segmentation, _, frame = scene()
    with pytest.raises(ValueError, match="without voxels"):
        features(volume, segmentation, Cluster(np.empty((0, 3), np.int32), np.zeros(3), 0.0), frame)
