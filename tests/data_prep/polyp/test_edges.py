"""Edges, and their kinds, on drawings."""
from __future__ import annotations

import cv2
import numpy as np
import pytest

from data_prep.polyp import edge_kinds, edges
from data_prep.polyp.edge_kinds import LUMEN, OTHER, POLYP, SPECULAR, UNCLEAR, VESSEL

GROUND = (70, 100, 150)


def plain() -> np.ndarray:
    return np.full((288, 384, 3), GROUND, np.uint8)


def test_the_edges_of_a_disc_lie_on_its_rim_and_point_to_the_bright_side() -> None:
    image = plain()
    cv2.circle(image, (190, 140), 40, (90, 130, 200), -1, cv2.LINE_AA)
    found = edges.find_edges(image)
    away = found.at - (190, 140)
    radius = np.hypot(*away.T)
    np.testing.assert_allclose(radius, 40, atol=2.5)
    inwards = -(away * found.normal).sum(1) / radius
    assert inwards.min() > 0.95
    assert 40 < len(found) < 2 * np.pi * 40


@pytest.mark.parametrize("channel", [0, 1, 2])
def test_one_channel_is_enough(channel: int) -> None:
    image = plain()
    image[:, 190:, channel] += 40
    assert len(edges.find_edges(image)) > 40


def test_one_edge_a_cell() -> None:
    noise = np.random.default_rng(1).integers(0, 255, (288, 384, 3)).astype(np.uint8)
    found = edges.find_edges(noise)
    cells = (found.at // 4).astype(int)
    assert len(np.unique(cells, axis=0)) == len(found)


def test_turning_the_frame_turns_the_edges() -> None:
    image = plain()
    cv2.ellipse(image, (150, 120), (60, 30), 20, 0, 360, (90, 140, 210), -1, cv2.LINE_AA)
    one = edges.find_edges(image)
    two = edges.find_edges(np.ascontiguousarray(np.rot90(image)))
    turned = np.stack([one.at[:, 1], 383 - one.at[:, 0]], 1)
    near = np.hypot(*(turned[:, None] - two.at[None]).transpose(2, 0, 1)).min(1)
    assert np.quantile(near, 0.9) <= 2 and abs(len(one) - len(two)) < 0.1 * len(one)


def test_nothing_on_plain_ground_or_at_the_border() -> None:
    image = plain()
    assert len(edges.find_edges(image)) == 0
    image[:, :50] = 8
    assert len(edges.find_edges(image)) == 0
    assert not edges.field_of(image)[:, :54].any()
    assert len(edges.find_edges(np.zeros((288, 384, 3), np.uint8))) == 0


def test_other_sizes_are_brought_to_the_working_width() -> None:
    small, scale = edges.working_size(np.zeros((576, 768, 3), np.uint8))
    assert small.shape == (288, 384, 3) and scale == 0.5
    for wrong in (np.zeros((9, 9), np.uint8), np.zeros((9, 9, 3), float)):
        with pytest.raises(ValueError, match="uint8"):
            edges.working_size(wrong)


def scene() -> tuple[np.ndarray, np.ndarray]:
    """A polyp, a vessel, a lumen, a highlight, and a step that is none of these."""
    image, mask = plain(), np.zeros((288, 384), np.uint8)
    image[:, 300:] = (80, 120, 180)
    cv2.circle(image, (70, 70), 35, (90, 130, 200), -1, cv2.LINE_AA)
    cv2.circle(mask, (70, 70), 35, 255, -1)
    cv2.circle(image, (70, 70), 10, (100, 150, 220), -1, cv2.LINE_AA)
    cv2.line(image, (160, 40), (260, 60), (50, 75, 130), 4, cv2.LINE_AA)
    cv2.circle(image, (80, 210), 40, (5, 10, 20), -1, cv2.LINE_AA)
    cv2.circle(image, (220, 200), 5, (250, 250, 250), -1, cv2.LINE_AA)
    return image, mask > 0


def test_kinds_of_a_drawn_scene() -> None:
    image, mask = scene()
    found = edges.find_edges(image)
    truth = edge_kinds.label(image, mask, found)
    x, y = found.at.T

    def kinds_near(cx: float, cy: float, low: float, high: float) -> set[int]:
        distance = np.hypot(x - cx, y - cy)
        return set(truth.kind[(distance >= low) & (distance <= high)].tolist())

    assert kinds_near(70, 70, 30, 40) == {POLYP}
    assert kinds_near(70, 70, 0, 15) == {OTHER}
    assert kinds_near(80, 210, 33, 47) == {LUMEN}
    assert kinds_near(220, 200, 0, 10) == {SPECULAR}
    assert set(truth.kind[(x > 170) & (x < 250) & (y > 30) & (y < 70)].tolist()) == {VESSEL}
    assert set(truth.kind[x > 290].tolist()) == {OTHER}
    assert truth.inward[truth.kind == POLYP].all()  # the polyp is the bright side


def test_a_map_of_kinds_takes_the_place_of_the_rules() -> None:
    image, mask = scene()
    found = edges.find_edges(image)
    by_rules = edge_kinds.label(image, mask, found).kind
    marked = np.zeros(mask.shape, np.uint8)
    marked[:, 290:310] = VESSEL
    x = found.at[:, 0]
    kind = edge_kinds.label(image, mask, found, marked).kind
    assert set(kind[(x > 295) & (x < 305)].tolist()) == {VESSEL}
    assert not np.isin(kind, (SPECULAR, LUMEN)).any()
    assert np.array_equal(kind == POLYP, by_rules == POLYP)


def test_a_dark_polyps_edges_point_outwards() -> None:
    image, mask = plain(), np.zeros((288, 384), np.uint8)
    for drawn, colour in ((image, (50, 75, 110)), (mask, 255)):
        cv2.circle(drawn, (190, 140), 40, colour, -1)
    truth = edge_kinds.label(image, mask > 0, edges.find_edges(image))
    assert (truth.kind == POLYP).sum() > 40
    assert not truth.inward[truth.kind == POLYP].any()


def test_near_the_outline_but_across_it_is_unclear() -> None:
    image, mask = plain(), np.zeros((288, 384), bool)
    mask[:144] = True
    image[:, 190:] = (90, 130, 200)      # an edge at right angles to the outline
    found = edges.find_edges(image)
    truth = edge_kinds.label(image, mask, found)
    near = np.abs(found.at[:, 1] - 144) < 6
    assert near.any() and (truth.kind[near] == UNCLEAR).all()
    assert (truth.kind[np.abs(found.at[:, 1] - 144) > 10] == OTHER).all()


def test_without_a_polyp_nothing_is_a_boundary() -> None:
    image, mask = scene()
    truth = edge_kinds.label(image, np.zeros_like(mask), edges.find_edges(image))
    assert not (truth.kind == POLYP).any() and not (truth.kind == UNCLEAR).any()
