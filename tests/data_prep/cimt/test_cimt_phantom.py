"""Simulated carotids: exact lines, realistic echoes, the same bytes for the same seed."""
from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from data_prep.cimt import phantom, reader, tissue, ultrasound
from layerwise.errors import InputError

SETTINGS = phantom.PhantomSettings(6, 2)


@pytest.fixture(scope="module")
def drawn() -> list[phantom.Drawn]:
    return [phantom.draw_region(SETTINGS, 1, index) for index in range(12)]


def test_the_same_seed_gives_the_same_pixels(drawn: list[phantom.Drawn]) -> None:
    again, other = (phantom.draw_region(SETTINGS, seed, 3) for seed in (1, 2))
    assert (again.image == drawn[3].image).all() and (again.lines == drawn[3].lines).all()
    assert (other.image != drawn[3].image).any()


def test_subjects_share_scale_and_differ(drawn: list[phantom.Drawn]) -> None:
    for one, two in zip(drawn[::2], drawn[1::2]):
        assert (one.group, one.pixel_um) == (two.group, two.pixel_um)
    assert len({each.group for each in drawn}) == 6
    assert len({each.pixel_um for each in drawn}) > 2
    assert np.ptp([each.image.mean() for each in drawn]) > 10


def test_thickness_and_place(drawn: list[phantom.Drawn]) -> None:
    means_um = []
    for each in drawn:
        thickness_um = np.diff(each.lines, axis=0)[0] * each.pixel_um
        assert (thickness_um >= 400).all() and (thickness_um <= 1200).all()
        means_um.append(thickness_um.mean())
        x, y, w, h = each.roi
        inside = each.lines[:, x:x + w] - y
        assert inside.min() > 4 and inside.max() < h - 5
        margin = min(x, y, each.image.shape[1] - x - w, each.image.shape[0] - y - h)
        assert margin >= phantom.CONTEXT_PX
    assert np.ptp(means_um) > 150


def test_it_gets_brighter_at_the_lines(drawn: list[phantom.Drawn]) -> None:
    """Averaged along the wall, the steepest rise is within a pixel of where the tissue is."""
    profiles = np.zeros((2, 17))
    for each in drawn:
        x, _, w, _ = each.roi
        smooth = gaussian_filter(each.image.astype(float), (0.7, 0))
        rise = np.diff(smooth, axis=0)                              # at row + 1/2
        for number, line in enumerate(each.lines[:, x:x + w]):
            for offset in range(-8, 9):
                rows = line + offset - 0.5
                below = np.floor(rows).astype(int)
                at = rise[[below, below + 1], np.arange(x, x + w)]
                part = rows - below
                profiles[number, offset + 8] += (at[0] * (1 - part) + at[1] * part).mean()
    for profile, away in zip(profiles, ((0, 1, 2), (14, 15, 16))):      # lumen, adventitia
        assert abs(int(profile.argmax()) - 8) <= 1
        assert profile.max() > 4 * np.abs(profile[list(away)]).mean()


def test_it_is_not_solved_by_the_brightest_or_steepest_pixel(drawn: list[phantom.Drawn]) -> None:
    missed = []
    for each in drawn:
        x, y, w, h = each.roi
        grey = gaussian_filter(each.image.astype(float), 1.0)[y:y + h, x:x + w]
        truth = each.lines[:, x:x + w] - y
        guesses = np.stack([np.gradient(grey, axis=0).argmax(0), grey.argmax(0)])
        missed.append((np.abs(guesses - truth) > 3).mean(axis=1))
    assert (np.mean(missed, axis=0) > 0.15).all()


def test_layers_are_as_bright_as_they_should_be(drawn: list[phantom.Drawn]) -> None:
    for each in drawn:
        x, _, w, _ = each.roi
        rows = np.arange(each.image.shape[0])[:, None]
        grey, (upper, lower) = each.image[:, x:x + w].astype(float), each.lines[:, x:x + w]
        lumen = grey[(rows < upper - 5) & (rows > upper - 20)].mean()
        adventitia = grey[(rows > lower) & (rows < lower + 5)].mean()
        assert adventitia > 2 * lumen and adventitia > 80 and (grey == 255).mean() < 0.1


def test_a_point_is_imaged_where_it_lies() -> None:
    """The envelope of one scatterer peaks at it; its width is the pulse's and the beam's."""
    scanner = ultrasound.Scanner(8.0, 2.0, 0.4, 5.0, 0.0, 0.0, 0.0, 60.0, 1.0, 0.0)
    depths_mm = (np.arange(600) + 0.5) / 60
    echoes = np.zeros((600, 41))
    echoes[300, 20] = 1.0
    signal = ultrasound.received(scanner, echoes, depths_mm, 0.1, np.random.default_rng(0))
    image = ultrasound.shown(scanner, 2.5 * signal / signal.max(), 6)
    assert np.unravel_index(image.argmax(), image.shape) == (50, 20)
    # -6 dB is 1 - 6.02/60 of white: half the envelope. The pulse is 2 cycles of 0.096 mm long,
    # the beam 0.4 mm wide.
    wide = image >= 255 * (1 - 6.02 / 60) - 0.5
    assert 2 <= wide[:, 20].sum() <= 3 and 3 <= wide[50].sum() <= 5


def test_diffuse_speckle_is_rayleigh() -> None:
    scanner = ultrasound.Scanner(8.0, 2.0, 0.4, 20.0, 0.0, 0.0, 0.0, 60.0, 1.0, 0.0)
    rng = np.random.default_rng(0)
    depths_mm = (np.arange(3000) + 0.5) / 60
    signal = ultrasound.received(scanner, rng.standard_normal((3000, 200)), depths_mm, 0.1, rng)
    from scipy.signal import hilbert
    envelope = np.abs(hilbert(signal, axis=0))[:, 20:-20]
    assert envelope.mean() / envelope.std() == pytest.approx(1.913, abs=0.06)


def test_noise_of_unit_variance() -> None:
    rng = np.random.default_rng(0)
    values = np.concatenate([tissue.smooth(rng, 400, 5.0) for _ in range(200)])
    assert values.std() == pytest.approx(1.0, abs=0.05)
    assert np.corrcoef(values[:-1], values[1:])[0, 1] > 0.95


def test_the_folder_reads_as_drawn(tmp_path: Path) -> None:
    folder = tmp_path / "phantom"
    settings = phantom.PhantomSettings(2, 2)
    phantom.write_phantom(folder, settings, 5)
    regions = reader.read_regions(folder)
    assert [region.case for region in regions] == ["s000_r00", "s000_r01", "s001_r00", "s001_r01"]
    for index, region in enumerate(regions):
        drawn, opened = phantom.draw_region(settings, 5, index), reader.annotated(region)
        assert (opened.image == drawn.image).all()
        assert (opened.roi, opened.pixel_um) == (drawn.roi, drawn.pixel_um)
        x, _, w, _ = drawn.roi
        np.testing.assert_allclose(opened.lines, drawn.lines[:, x:x + w], atol=1e-4)
    assert json.loads((folder / "origin.json").read_text()) == {"stand_in": "phantom"}
    assert "STAND-IN" in (folder / "README.txt").read_text()
    phantom.write_phantom(tmp_path / "again", settings, 5, jobs=2)
    files = sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    assert len(files) == 11
    for name in files:
        assert (folder / name).read_bytes() == (tmp_path / "again" / name).read_bytes()


@pytest.mark.parametrize("changes", [{"subjects": 0}, {"regions_per_subject": 0}, {"width": 120},
                                     {"height": 100}])
def test_bad_settings(changes: dict[str, int]) -> None:
    with pytest.raises(InputError, match=f"phantom: {next(iter(changes))} is"):
        phantom.PhantomSettings(**changes)
