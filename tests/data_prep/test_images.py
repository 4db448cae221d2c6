"""Image files: whole or refused, and the rules for 16 bits and masks."""
from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_prep import images
from layerwise.errors import InputError


def encoded(suffix: str) -> bytes:
    noise = np.random.default_rng(0).integers(0, 255, (24, 32, 3)).astype(np.uint8)
    return bytes(cv2.imencode(suffix, cv2.GaussianBlur(noise, (5, 5), 0))[1].tobytes())


WHOLE = {suffix: encoded(suffix) for suffix in (".png", ".jpg", ".tif")}


@pytest.mark.parametrize("suffix", sorted(WHOLE))
def test_a_whole_file_is_decoded(suffix: str) -> None:
    assert images.damage(WHOLE[suffix]) == ""
    assert images.decode(Path("a"), WHOLE[suffix]).shape == (24, 32, 3)


@pytest.mark.parametrize("suffix", sorted(WHOLE))
@given(data=st.data())
def test_a_truncated_file_is_refused_wherever_it_ends(suffix: str, data: st.DataObject) -> None:
    whole = WHOLE[suffix]
    length = data.draw(st.integers(0, len(whole) - 1))
    with pytest.raises(InputError, match="frame"):
        images.decode(Path(f"frame{suffix}"), whole[:length])


@given(position=st.integers(0, len(WHOLE[".png"]) - 1))
def test_a_changed_byte_of_a_png_is_noticed(position: int) -> None:
    changed = bytearray(WHOLE[".png"])
    changed[position] ^= 0xFF
    assert images.damage(bytes(changed)) != ""


def test_the_end_of_a_thumbnail_is_not_the_end_of_a_jpeg() -> None:
    thumbnail, picture = encoded(".jpg"), WHOLE[".jpg"]
    # An application segment with a whole JPEG in it, as cameras write them.
    segment = b"\xff\xe1" + (len(thumbnail) + 2).to_bytes(2, "big") + thumbnail
    whole = picture[:2] + segment + picture[2:]
    assert images.damage(whole) == ""
    assert images.damage(whole + b"\0" * 16) == ""
    assert "truncated JPEG" in images.damage(whole[:-2])


@pytest.mark.parametrize("data", [b"", b"frame,group\n1,2\n", b"GIF89a" + b"\0" * 40])
def test_other_files_are_refused(data: bytes) -> None:
    with pytest.raises(InputError, match=r"frame\.png: "):
        images.decode(Path("frame.png"), data)


def test_floating_point_pixels_are_refused() -> None:
    data = cv2.imencode(".tif", np.ones((8, 8), np.float32))[1].tobytes()
    with pytest.raises(InputError, match="float32"):
        images.decode(Path("frame.tif"), data)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone\.png"):
        images.read_bytes(tmp_path / "gone.png")


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_sixteen_bits_become_eight_over_the_full_range(suffix: str) -> None:
    values = np.array([[0, 128, 129, 257, 32768, 65278, 65279, 65535]], np.uint16)
    data = cv2.imencode(suffix, values)[1].tobytes()
    image = images.to_bgr8(images.decode(Path("a"), data))
    by_hand = np.round(values / 257.0)
    assert image.dtype == np.uint8
    assert (image == by_hand[..., None]).all()


def test_channels_are_bgr_grey_is_repeated_and_alpha_dropped() -> None:
    colour = np.zeros((4, 4, 4), np.uint8)
    colour[...] = (1, 2, 3, 99)
    data = cv2.imencode(".png", colour)[1].tobytes()
    assert (images.to_bgr8(images.decode(Path("a"), data)) == (1, 2, 3)).all()
    grey = images.to_bgr8(np.full((4, 5), 7, np.uint8))
    assert grey.shape == (4, 5, 3)
    assert (grey == 7).all()


def test_mask_thresholds() -> None:
    values = np.array([[0, 1, 127, 128, 255]], np.uint8)
    assert images.to_mask(values, lossy=False).tolist() == [[False, True, True, True, True]]
    assert images.to_mask(values, lossy=True).tolist() == [[False, False, False, True, True]]
    deep = np.array([[0, 32767, 32768]], np.uint16)
    assert images.to_mask(deep, lossy=True).tolist() == [[False, False, True]]
    red = np.zeros((1, 1, 3), np.uint8)
    red[..., 2] = 200
    assert images.to_mask(red, lossy=True).tolist() == [[True]]
