"""regions.h5 comes back as written, and the patch of a pixel is centred on that pixel."""
from __future__ import annotations

from dataclasses import replace

import h5py
import numpy as np
import pytest

from layerwise.errors import InputError
from layerwise.regions import PATCH_PX, Region, cut_patch, margin_for, read_regions, write_regions

SIDE = 9
MARGIN = margin_for(SIDE)


def region(case="s1/r1", rows=4, columns=6, seed=0):
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, (rows + 2 * MARGIN, columns + 2 * MARGIN), dtype=np.uint8)
    return Region(case, "s1", image, rng.uniform(0, rows, (2, columns)), 62.5, MARGIN, SIDE)


def test_regions_come_back_in_order(tmp_path):
    written = [region("b/2", seed=1), region("a/1", seed=2, columns=9)]
    write_regions(tmp_path / "regions.h5", written)
    found = read_regions(tmp_path / "regions.h5")
    for before, after in zip(written, found):
        assert (after.case, after.group, after.pixel_um, after.margin, after.patch_side) == (
            before.case, "s1", 62.5, MARGIN, SIDE)
        assert after.image.dtype == np.uint8 and np.array_equal(after.image, before.image)
        assert np.array_equal(after.truth, before.truth)
    assert len(found) == 2


def test_equal_regions_give_equal_bytes(tmp_path):
    for name in "ab":
        write_regions(tmp_path / name, [region()])
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_the_roi_is_what_the_margin_leaves():
    one = region()
    assert one.roi.shape == (4, 6)
    assert one.roi[0, 0] == one.image[MARGIN, MARGIN]


@pytest.mark.parametrize("changes, fault", [
    ({"margin": 3}, "margin"), ({"pixel_um": 0.0}, "pixel_um"),
    ({"truth": np.zeros((2, 5))}, "truth"), ({"truth": np.full((2, 6), np.nan)}, "truth"),
    ({"image": np.zeros((40, 40))}, "image")])
def test_regions_that_contradict_themselves_are_refused(tmp_path, changes, fault):
    changed = replace(region(), **changes)
    if fault == "margin":      # so that the margin is what is wrong, not what the ROI then is
        changed = replace(changed, truth=np.zeros((2, changed.roi.shape[1])))
    with pytest.raises(InputError, match=fault):
        write_regions(tmp_path / "regions.h5", [changed])
    assert not list(tmp_path.iterdir())


def test_bad_files_are_named(tmp_path):
    path = tmp_path / "regions.h5"
    with pytest.raises(InputError, match="no such file"):
        read_regions(path)
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(InputError, match="not a file of regions"):
        read_regions(path)
    with h5py.File(str(path), "w") as archive:
        archive.create_group("000000")
    with pytest.raises(InputError, match="not a file of regions"):
        read_regions(path)
    write_regions(path, [region(), region()])
    with pytest.raises(InputError, match="twice"):
        read_regions(path)


def test_a_patch_is_centred_on_its_pixel():
    image = np.zeros((21, 21), np.uint8)
    image[10, 10] = 200
    patch = cut_patch(image, 10, 10, SIDE)
    assert patch.shape == (PATCH_PX, PATCH_PX)
    assert patch[PATCH_PX // 2, PATCH_PX // 2] == 200
    # Symmetric but for OpenCV's rounding of places to 1/32 pixel.
    values = patch.astype(int)
    for other in (values[::-1], values[:, ::-1], values.T):
        assert np.abs(values - other).max() <= 2 * 200 / 32
    # A pixel is 227/9 = 25.2 wide; bilinear interpolation makes it a tent of twice that.
    assert np.flatnonzero(patch[PATCH_PX // 2]).size == pytest.approx(2 * PATCH_PX / SIDE, abs=2)


def test_a_ramp_stays_a_ramp_to_the_edges():
    image = np.tile(np.arange(30, dtype=np.uint8) * 8, (30, 1))
    patch = cut_patch(image, 15, 15, SIDE)
    centres = 15 + (np.arange(PATCH_PX) + 0.5) * SIDE / PATCH_PX - SIDE / 2
    assert np.abs(patch[100] - 8 * centres).max() < 0.8      # rounding, and OpenCV's 1/32 pixel


def test_the_border_is_repeated():
    image = np.full((12, 12), 50, np.uint8)
    image[:, 0] = 90
    patch = cut_patch(image, 0, 6, SIDE)
    assert (patch[:, :PATCH_PX // 2 + 1] == 90).all()


def test_the_margin_holds_the_patches_of_the_corners():
    inside = region(rows=3, columns=3)
    wider = np.pad(inside.image, 5, mode="constant")
    for x, y in ((0, 0), (2, 2)):
        assert np.array_equal(
            cut_patch(inside.image, x + MARGIN, y + MARGIN, SIDE),
            cut_patch(wider, x + MARGIN + 5, y + MARGIN + 5, SIDE))
