"""Clusters in tubes whose clot is known."""
from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from data_prep.pe import clusters
from data_prep.pe.clusters import Cluster, find_clusters, representative
from data_prep.pe.segment import Segmentation
from data_prep.pe.volume import Volume

LUNG, SOFT, BLOOD, CLOT = -850.0, 40.0, 350.0, 50.0
CUBE = (44, 44, 44)
Triple = tuple[float, float, float]


def _mm(shape: tuple[int, ...], spacing: Triple) -> list[np.ndarray]:
    """z, y, x from the middle voxel."""
    return [((np.arange(n) - n // 2) * mm).reshape([-1 if a == b else 1 for b in range(3)])
            for a, (n, mm) in enumerate(zip(shape, spacing))]


def _across(shape: tuple[int, ...], spacing: Triple, axis: Triple) -> np.ndarray:
    """Distance from a line through the middle."""
    at = np.stack(np.broadcast_arrays(*_mm(shape, spacing)), -1)
    along = np.array(axis) / np.linalg.norm(axis)
    return np.asarray(np.linalg.norm(at - (at @ along)[..., None] * along, axis=-1))


def _ball(shape: tuple[int, ...], spacing: Triple, radius: float,
          centre: Triple = (0.0, 0.0, 0.0)) -> np.ndarray:
    return np.asarray(sum((a - c) ** 2 for a, c in zip(_mm(shape, spacing), centre))
                      < radius**2)


def _scan(hu: np.ndarray, spacing: Triple = (1.0, 1.0, 1.0), noise: float = 15
          ) -> tuple[Volume, Segmentation]:
    blurred = ndimage.gaussian_filter(hu, [0.65 / mm for mm in spacing])
    noisy = blurred + np.random.default_rng(8).normal(0, noise, hu.shape)
    return (Volume(np.round(noisy).astype(np.int16), spacing),
            Segmentation(blurred < -400, blurred > 100))


def _tube(radius: float = 6.0, around: float = LUNG, shape: tuple[int, ...] = CUBE,
          spacing: Triple = (1.0, 1.0, 1.0), axis: Triple = (1.0, 0.0, 0.0)) -> np.ndarray:
    return np.where(_across(shape, spacing, axis) < radius, BLOOD, around)


def _places(found: list[Cluster]) -> np.ndarray:
    return np.array([cluster.place for cluster in found])


@pytest.mark.parametrize("axis", [(1.0, 0.0, 0.0), (0.0, 0.0, 1.0), (1.0, 1.0, 0.3)])
@pytest.mark.parametrize("around", [LUNG, SOFT], ids=["lung", "mediastinum"])
def test_a_clot_in_the_middle_of_a_tube(axis: Triple, around: float) -> None:
    hu = _tube(around=around, axis=axis)
    clot = _ball(CUBE, (1.0, 1.0, 1.0), 4.0)
    hu[clot] = CLOT
    volume, segmentation = _scan(hu)
    best = find_clusters(volume, segmentation)[0]
    assert np.abs(best.place - 22).max() <= 1
    assert np.abs(best.voxels.mean(0) - 22).max() <= 1
    assert clot[tuple(best.voxels.T)].all()


@pytest.mark.parametrize("spacing", [(2.0, 1.0, 1.0), (1.25, 0.7, 0.7), (1.0, 1.5, 0.8)])
def test_voxels_need_not_be_cubes(spacing: Triple) -> None:
    shape = tuple(int(44 / mm) for mm in spacing)
    hu = _tube(shape=shape, spacing=spacing)
    clot = _ball(shape, spacing, 4.0)
    hu[clot] = CLOT
    volume, segmentation = _scan(hu, spacing)
    place = find_clusters(volume, segmentation)[0].place
    assert np.abs(place - np.array(shape) // 2).max() <= 1


def test_a_clot_that_fills_a_thin_artery() -> None:
    hu = _tube(radius=3.0)
    clot = (hu == BLOOD) & (np.abs(_mm(CUBE, (1.0, 1.0, 1.0))[0]) < 6)
    hu[clot] = CLOT
    volume, segmentation = _scan(hu)
    assert clot[tuple(_places(find_clusters(volume, segmentation))[0])]


def test_a_clot_at_the_wall() -> None:
    hu = _tube(radius=7.0)
    clot = _ball(CUBE, (1.0, 1.0, 1.0), 5.0, (0.0, 5.0, 0.0)) & (hu == BLOOD)
    hu[clot] = CLOT
    volume, segmentation = _scan(hu)
    assert clot[tuple(_places(find_clusters(volume, segmentation))[0])]


@pytest.mark.parametrize("radius", [1.5, 2.0, 3.0, 6.0, 10.0])
@pytest.mark.parametrize("around", [LUNG, SOFT], ids=["lung", "mediastinum"])
def test_a_tube_without_a_clot_has_no_candidate(radius: float, around: float) -> None:
    # Its wall is a rim of every HU between blood and air.
    assert find_clusters(*_scan(_tube(radius, around), noise=10)) == []


def _node(around: float) -> tuple[np.ndarray, np.ndarray]:
    """A lymph node of 7 mm that lies against a tube."""
    hu = _tube(radius=4.0, around=around)
    node = _ball(CUBE, (1.0, 1.0, 1.0), 3.5, (0.0, 7.0, 0.0)) & (hu != BLOOD)
    hu[node] = CLOT
    return hu, node


def test_a_node_in_the_lung_is_found_as_a_clot_would_be() -> None:
    # As dark as a clot and next to an artery: left to the classifier.
    hu, node = _node(LUNG)
    volume, segmentation = _scan(hu)
    places = _places(find_clusters(volume, segmentation))
    assert len(places) and node[tuple(places[0])]


def test_a_node_in_the_mediastinum_is_not_found() -> None:
    hu, _ = _node(SOFT)
    assert find_clusters(*_scan(hu)) == []


def test_clusters_come_best_first_and_apart() -> None:
    shape = (90, 44, 44)
    hu = _tube(shape=shape)
    for z, radius in ((-25.0, 3.0), (0.0, 4.5), (25.0, 3.5)):
        hu[_ball(shape, (1.0, 1.0, 1.0), radius, (z, 0.0, 0.0))] = CLOT
    volume, segmentation = _scan(hu)
    found = find_clusters(volume, segmentation)
    scores = [cluster.score for cluster in found]
    assert scores == sorted(scores, reverse=True)
    places = _places(found)
    assert {round(z / 25) for z in places[:3, 0] - 45} == {-1, 0, 1}
    apart = np.linalg.norm(places[:, None] - places[None], axis=-1)
    assert (apart + 99 * np.eye(len(found)) >= clusters.APART_MM).all()
    for cluster in found:
        assert cluster.voxels.dtype == np.int32
        assert sorted(map(tuple, cluster.voxels)) == [tuple(v) for v in cluster.voxels]


def test_at_most_a_stated_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clusters, "MOST", 1)
    shape = (90, 44, 44)
    hu = _tube(shape=shape)
    for z, radius in ((-20.0, 3.0), (20.0, 4.5)):
        hu[_ball(shape, (1.0, 1.0, 1.0), radius, (z, 0.0, 0.0))] = CLOT
    volume, segmentation = _scan(hu)
    assert len(find_clusters(volume, segmentation)) == 1


def test_a_volume_without_vessels() -> None:
    nothing = np.zeros((6, 7, 8), np.bool_)
    volume = Volume(np.full(nothing.shape, -850, np.int16), (1.0, 1.0, 1.0))
    assert find_clusters(volume, Segmentation(~nothing, nothing)) == []


def test_the_same_volume_gives_the_same_clusters() -> None:
    hu = _tube()
    hu[_ball(CUBE, (1.0, 1.0, 1.0), 4.0)] = CLOT
    volume, segmentation = _scan(hu)
    one = find_clusters(volume, segmentation)
    two = find_clusters(Volume(volume.hu.copy(), volume.spacing_mm), segmentation)
    assert [c.score for c in one] == [c.score for c in two]
    assert all(np.array_equal(a.voxels, b.voxels) for a, b in zip(one, two))


def test_positions_are_those_of_the_volume_not_of_the_box() -> None:
    shape = (44, 80, 90)
    hu = np.full(shape, LUNG)
    hu[:, 30:74, 40:84] = _tube()
    hu[18:27, 48:57, 58:67][_ball((9, 9, 9), (1.0, 1.0, 1.0), 4.0)] = CLOT
    volume, segmentation = _scan(hu)
    place = find_clusters(volume, segmentation)[0].place
    assert np.abs(place - (22, 52, 62)).max() <= 1


def test_the_representative_is_deep_among_the_darker_half() -> None:
    # A rod of 9 x 3 x 3 whose far end is bright.
    voxels = np.argwhere(np.ones((9, 3, 3))).astype(np.int32) + 5
    hu = np.full((20, 20, 20), 300, np.int16)
    hu[5:10, 5:8, 5:8] = 50
    hu[10:14, 5:8, 5:8] = 120
    place = representative(Volume(hu, (1.0, 1.0, 1.0)), voxels)
    assert place[0] in (6, 7, 8) and place[1:].tolist() == [6, 6]


def test_the_representative_of_one_voxel() -> None:
    volume = Volume(np.zeros((3, 3, 3), np.int16), (1.0, 1.0, 1.0))
    assert representative(volume, np.array([[0, 2, 1]], np.int32)).tolist() == [0, 2, 1]
