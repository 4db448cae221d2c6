"""Measures of clusters worked out by hand, and the score's order."""
from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from data_prep.pe.lumen_scene import Scene
from data_prep.pe.suspicion import MEASURES, measure, score

SHAPE = (9, 9, 9)


def _scene(clot_hu: float = 50.0) -> tuple[Scene, np.ndarray]:
    """A clot of 3 x 3 x 3 in the middle of blood; label 2, label 1 a single voxel."""
    labels = np.zeros(SHAPE, np.int32)
    labels[0, 0, 0] = 1
    labels[3:6, 3:6, 3:6] = 2
    surface = np.where(labels == 2, clot_hu, 350.0).astype(np.float32)
    yes = np.ones(SHAPE, np.bool_)
    return Scene(surface, np.full(SHAPE, 200, np.float32), yes, labels != 2, labels == 2, yes,
                 np.full(SHAPE, 4, np.float32), np.full(SHAPE, 26, np.uint8)), labels


def _named(clot_hu: float = 50.0, spacing: tuple[float, ...] = (1.0, 1.0, 1.0)
           ) -> dict[str, float]:
    scene, labels = _scene(clot_hu)
    measured = measure(labels, scene, spacing)
    assert measured.labels.tolist() == [2]     # the single voxel is too small
    assert measured.in_field.tolist() == [True]
    return dict(zip(MEASURES, measured.measures[0].tolist()))


def test_measures_of_a_clot_in_blood() -> None:
    assert _named() == pytest.approx({
        "size": np.log10(27), "darkness": 1, "mass": 27**0.5, "enclosure": 1, "bright": 1,
        "dark": 0, "tissue": 1, "depth": 4})


def test_darkness_is_half_at_the_limit() -> None:
    assert _named(200.0)["darkness"] == pytest.approx(0.5)
    assert _named(350.0)["darkness"] == 0


def test_sizes_are_in_mm() -> None:
    assert _named(spacing=(2.0, 0.5, 0.5))["size"] == pytest.approx(np.log10(13.5))


def test_no_clusters() -> None:
    scene, labels = _scene()
    measured = measure(np.zeros_like(labels), scene, (1.0, 1.0, 1.0))
    assert measured.measures.shape == (0, len(MEASURES)) and score(measured).shape == (0,)


@pytest.mark.parametrize("in_field", [True, False])
def test_darker_clots_are_more_suspicious(in_field: bool) -> None:
    scores = []
    for clot_hu in (50.0, 120.0, 180.0):
        scene, labels = _scene(clot_hu)
        scene = dataclasses.replace(scene, field=np.full(SHAPE, in_field))
        scores.append(float(score(measure(labels, scene, (1.0, 1.0, 1.0)))[0]))
    assert scores == sorted(scores, reverse=True) and scores[0] > scores[2]
