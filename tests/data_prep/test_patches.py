"""The 120 views of a box, on images whose pixels say where they are."""
from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_prep import patches
from data_prep.patches import AUGMENTATIONS, PATCH_PX, SYMMETRIES, apply_symmetry, stretch
from layerwise.errors import InputError

VIEWS = {view.name: view for view in AUGMENTATIONS}


def ramp(width: int, height: int) -> np.ndarray:
    """(h, w, 3) uint8: blue is x, green is y, red a constant."""
    image = np.full((height, width, 3), 50, np.uint8)
    image[:, :, 0] = np.arange(width)[None]
    image[:, :, 1] = np.arange(height)[:, None]
    return image


def test_there_are_120_views_with_different_names() -> None:
    assert len(AUGMENTATIONS) == 3 * 5 * 8 == len(VIEWS)
    assert {view.scale for view in AUGMENTATIONS} == {1.0, 1.2, 1.5}
    assert {(view.dx, view.dy) for view in AUGMENTATIONS} == \
        {(0, 0), (0.1, 0), (-0.1, 0), (0, 0.1), (0, -0.1)}
    view = VIEWS["s1.2_left_r90m"]
    assert (view.scale, view.dx, view.dy, view.symmetry) == (1.2, -0.1, 0.0, "r90m")


@pytest.mark.parametrize("name, expected", [
    ("s1.0_centre_r0", (100, 50, 40, 20)),
    ("s1.2_centre_r0", (96, 48, 48, 24)),
    ("s1.5_centre_r0", (90, 45, 60, 30)),
    ("s1.0_right_r0", (104, 50, 40, 20)),
    ("s1.5_right_r0", (96, 45, 60, 30)),  # a tenth of the enlarged box, 6 px
    ("s1.5_left_r0", (84, 45, 60, 30)),
    ("s1.5_up_r0", (90, 42, 60, 30)),
    ("s1.2_down_r0", (96, 50.4, 48, 24)),
])
def test_boxes_by_hand(name: str, expected: tuple[float, ...]) -> None:
    assert patches.view_box((100, 50, 40, 20), VIEWS[name]) == pytest.approx(expected)


def test_a_box_of_the_patch_size_is_copied() -> None:
    image = np.random.default_rng(1).integers(0, 255, (300, 320, 3)).astype(np.uint8)
    patch = patches.extract(image, (31, 17, PATCH_PX, PATCH_PX), AUGMENTATIONS[0])
    assert (patch == image[17:17 + PATCH_PX, 31:31 + PATCH_PX]).all()


def test_a_stretched_box_agrees_with_opencv_resizing_the_crop() -> None:
    noise = np.random.default_rng(2).integers(0, 255, (120, 160, 3)).astype(np.uint8)
    image = cv2.GaussianBlur(noise, (7, 7), 0)
    x, y, width, height = 40, 30, 64, 48
    patch = stretch(image, (x, y, width, height))
    resized = cv2.resize(image[y:y + height, x:x + width], (PATCH_PX, PATCH_PX))
    inner = (slice(8, -8), slice(8, -8))  # at its rim the crop does not know what is beside it
    assert np.abs(patch[inner].astype(int) - resized[inner]).max() <= 2  # 1/32 px of warpAffine


@pytest.mark.parametrize("name, dx, dy", [("right", 1, 0), ("left", -1, 0), ("down", 0, 1),
                                          ("up", 0, -1)])
def test_shifts_move_the_window_by_a_tenth_of_its_size(name: str, dx: int, dy: int) -> None:
    image, box = ramp(200, 160), (60.0, 50.0, 60.0, 40.0)
    middle = (slice(40, -40), slice(40, -40))
    centre = stretch(image, patches.view_box(box, VIEWS["s1.0_centre_r0"]))[middle].astype(int)
    moved = stretch(image, patches.view_box(box, VIEWS[f"s1.0_{name}_r0"]))[middle].astype(int)
    assert (moved - centre)[..., 0].mean() == pytest.approx(6.0 * dx, abs=0.05)
    assert (moved - centre)[..., 1].mean() == pytest.approx(4.0 * dy, abs=0.05)


@given(x=st.floats(20, 60), y=st.floats(20, 60), width=st.floats(8, 80), height=st.floats(8, 60))
def test_the_corners_of_the_patch_are_the_corners_of_the_box(x: float, y: float, width: float,
                                                             height: float) -> None:
    patch = stretch(ramp(160, 140), (x, y, width, height)).astype(float)
    for index, where in ((0, 0.5), (113, 113.5), (226, 226.5)):
        part = where / PATCH_PX
        assert patch[:, index, 0].mean() == pytest.approx(x + part * width - 0.5, abs=0.6)
        assert patch[index, :, 1].mean() == pytest.approx(y + part * height - 0.5, abs=0.6)


def test_beyond_the_border_the_border_is_repeated() -> None:
    patch = stretch(ramp(64, 48), (-40.0, 8.0, 80.0, 20.0))
    assert (patch[:, :112, 0] == 0).all()
    assert patch[:, -1, 0].mean() == pytest.approx(39.5, abs=0.6)
    far = stretch(ramp(64, 48), (500.0, 500.0, 30.0, 30.0))
    assert (far == (63, 47, 50)).all()


@pytest.mark.parametrize("box", [(10.0, 20.0, 681.0, 454.0), (3.3, 7.7, 500.0, 60.0),
                                 (-200.0, -150.0, 1200.0, 900.0)])
def test_a_large_box_is_averaged_not_sampled(box: patches.Box) -> None:
    checks = np.zeros((700, 900, 3), np.uint8)
    checks[:, ::2] = 255  # stripes one pixel wide: half of the pixels, whatever the window
    patch = stretch(checks, box)[90:-60, 90:-60]
    assert abs(patch.mean() - 127.5) < 3
    assert patch.std() < 130 / int(box[2] / PATCH_PX)  # sampling alone would leave 127


def test_a_large_box_keeps_its_position() -> None:
    image = np.zeros((900, 1200, 3), np.uint8)
    image[..., 0] = (np.arange(1200) // 5)[None]
    image[..., 1] = (np.arange(900) // 5)[:, None]
    patch = stretch(image, (100.0, 60.0, 908.0, 681.0)).astype(float)
    across = (100 + (np.arange(PATCH_PX) + 0.5) * 4 - 0.5) / 5 - 0.4
    down = (60 + (np.arange(PATCH_PX) + 0.5) * 3 - 0.5) / 5 - 0.4
    assert np.abs(patch[..., 0] - across[None]).max() < 0.7
    assert np.abs(patch[..., 1] - down[:, None]).max() < 0.7


def test_a_box_large_in_one_direction_only() -> None:
    image = np.repeat((10 * np.arange(25, dtype=np.uint8))[:, None, None], 1000, axis=1)
    patch = stretch(np.repeat(image, 3, axis=2), (40.0, 5.0, 908.0, 10.0)).astype(float)
    down = 10 * (5 + (np.arange(PATCH_PX) + 0.5) * 10 / PATCH_PX - 0.5)
    assert np.abs(patch - down[:, None, None]).max() < 1.5


def test_a_box_without_area_is_refused() -> None:
    with pytest.raises(ValueError, match="no area"):
        stretch(ramp(10, 10), (1, 1, 0, 5))


def test_symmetries_are_the_eight_of_the_square() -> None:
    patch = np.random.default_rng(3).integers(0, 255, (5, 5, 3)).astype(np.uint8)
    images = {name: apply_symmetry(patch, name) for name in SYMMETRIES}
    as_bytes = {name: image.tobytes() for name, image in images.items()}
    assert len(set(as_bytes.values())) == 8
    assert as_bytes["r0"] == patch.tobytes()
    assert (images["r90"] == np.rot90(patch)).all()
    assert (images["r270m"] == np.rot90(patch, 3)[:, ::-1]).all()
    assert (images["r0m"] == patch[:, ::-1]).all()
    # Closed under composition, and every element has an inverse: a group of order eight.
    products = {a: {apply_symmetry(images[a], b).tobytes() for b in SYMMETRIES}
                for a in SYMMETRIES}
    assert all(products[a] == set(as_bytes.values()) for a in SYMMETRIES)


def test_symmetries_do_not_change_the_argument_and_give_whole_arrays() -> None:
    patch = np.arange(27, dtype=np.uint8).reshape(3, 3, 3)
    before = patch.copy()
    for name in SYMMETRIES:
        assert apply_symmetry(patch, name).flags.c_contiguous
    assert (patch == before).all()


def test_extract_turns_the_resized_box() -> None:
    image, box = ramp(120, 100), (20.0, 30.0, 50.0, 25.0)
    plain = patches.extract(image, box, VIEWS["s1.2_up_r0"])
    turned = patches.extract(image, box, VIEWS["s1.2_up_r90m"])
    assert plain.shape == turned.shape == (PATCH_PX, PATCH_PX, 3)
    assert plain.dtype == np.uint8
    assert (turned == np.rot90(plain)[:, ::-1]).all()


def test_test_views_start_plain_are_nested_and_cover_everything() -> None:
    order = patches.test_augmentations(120)
    assert order[0].name == "s1.0_centre_r0"
    assert {view.name for view in order} == set(VIEWS)
    for count in (1, 4, 24, 120):
        assert patches.test_augmentations(count) == order[:count]
    assert len({view.symmetry for view in order[:8]}) == 8
    assert len({view.dx + 10 * view.dy for view in order[:5]}) == 5
    assert len({view.scale for view in order[:3]}) == 3


@pytest.mark.parametrize("count", [0, -1, 121])
def test_test_views_out_of_range(count: int) -> None:
    with pytest.raises(InputError, match="1 to 120"):
        patches.test_augmentations(count)
