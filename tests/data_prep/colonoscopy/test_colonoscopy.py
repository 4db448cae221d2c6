"""Lens and growths of the simulated colonoscopy, by geometry."""
from __future__ import annotations

import numpy as np
import pytest

from data_prep.colonoscopy.endoscope import Camera, field_mask, make_endoscope, pixel_rays, project
from data_prep.colonoscopy.growths import growth_distance, make_growth, union


def test_projection_undoes_the_rays() -> None:
    scope = make_endoscope(np.random.default_rng(0), 384, 288)
    camera = Camera(np.array([1.0, -2.0, 3.0]), np.eye(3))
    ray = pixel_rays(scope, camera, np.array([250.0]), np.array([90.0]))[0]
    x, y, distance = project(scope, camera, camera.position_mm + 17.0 * ray)
    assert (x, y, distance) == pytest.approx((250, 90, 17), abs=0.05)
    assert field_mask(scope)[90, 250] == 255


def test_union_of_far_bodies_is_the_nearer_one() -> None:
    distance, share = union(np.array([1.0, 5.0]), np.array([5.0, 1.0]), 0.5)
    np.testing.assert_allclose(distance, [1, 1])
    np.testing.assert_allclose(share, [0, 1])


def test_a_growth_is_negative_inside_and_reaches_no_farther_than_it_says() -> None:
    rng = np.random.default_rng(1)
    for is_polyp in (True, False) * 10:
        growth = make_growth(rng, is_polyp, np.zeros(3), np.array([0.0, 0.0, 1.0]), 4.0)
        inside = growth_distance(growth, growth.lobes_mm[-1:, :3].astype(np.float32))
        shell = rng.standard_normal((500, 3))
        shell *= (growth.reach_mm + growth.blend_mm) / np.linalg.norm(shell, axis=1)[:, None]
        assert inside[0] < 0
        assert np.all(growth_distance(growth, shell.astype(np.float32)) > 0)
