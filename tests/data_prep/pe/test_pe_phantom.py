"""The phantom: reproducible, with emboli exactly where its truth says."""
from __future__ import annotations

import csv
import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from data_prep.manifest import origin_of
from data_prep.pe import stand_in
from data_prep.pe.anatomy import ARTERY, LUNG, VEIN, Anatomy, draw, skeleton
from data_prep.pe.emboli import LEVELS, SHAPES, SMALLEST_MM3, Embolus, claim, connected, mask, place
from data_prep.pe.painter import Technique, draw_technique, paint
from data_prep.pe.phantom import PhantomSettings, draw_scan, emboli_counts, write_phantom
from data_prep.pe.reader import load, read_scans
from layerwise.errors import InputError

SMALL = PhantomSettings(patients=3, spacing_mm=4.0, terminal_radius_mm=2.5)


def _digests(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(folder.rglob("*")) if path.is_file()}


def _quiet(rng: np.random.Generator) -> Technique:
    """No blur, noise or artefact: every voxel of blood shows its own HU."""
    return replace(draw_technique(rng), noise_hu=0.0, in_plane_mm=0.0, across_mm=0.0, streak_hu=0.0,
                   moved_slabs=0, nodes=0, artery_dips=0, vein_dips=0)


@pytest.fixture(scope="module")
def anatomy() -> Anatomy:
    return draw(2.0, 1.5, np.random.default_rng(1))


@pytest.fixture(scope="module")
def emboli(anatomy: Anatomy) -> list[Embolus]:
    return place(anatomy, 20, np.random.default_rng(2))


def test_the_same_seed_gives_the_same_files_whatever_the_number_of_processes(
        tmp_path: Path) -> None:
    write_phantom(tmp_path / "one", SMALL, seed=3)
    write_phantom(tmp_path / "two", SMALL, seed=3, jobs=2)
    assert _digests(tmp_path / "one") == _digests(tmp_path / "two")


def test_another_seed_gives_other_voxels() -> None:
    first, other = (draw_scan(SMALL, seed, 0).volume.hu for seed in (3, 4))
    assert first.shape != other.shape or np.mean(first != other) > 0.5


def test_the_written_set_is_what_the_reader_expects(tmp_path: Path) -> None:
    settings = replace(SMALL, patients=2, scans_per_patient=2)
    write_phantom(tmp_path / "set", settings, seed=5)
    scans = read_scans(tmp_path / "set")
    assert [(scan.case, scan.group) for scan in scans] == [
        ("p000_s0", "p000"), ("p000_s1", "p000"), ("p001_s0", "p001"), ("p001_s1", "p001")]
    assert json.loads((tmp_path / "set" / "origin.json").read_text()) == {"stand_in": "phantom"}
    assert origin_of(tmp_path / "set") == "phantom"
    with open(tmp_path / "set" / "truth.csv", newline="") as stream:
        truth = list(csv.DictReader(stream))
    for number, scan in enumerate(scans):
        volume, ids = load(scan)
        drawn = draw_scan(settings, 5, number)
        np.testing.assert_array_equal(volume.hu, drawn.volume.hu)
        assert volume.spacing_mm == (4.0, 4.0, 4.0)
        rows = [row for row in truth if row["case"] == scan.case]
        assert (scan.emboli_path is None) == (not rows)
        assert [int(row["embolus"]) for row in rows] == list(range(1, ids.max() + 1))
        for row in rows:
            assert float(row["volume_mm3"]) == np.sum(ids == int(row["embolus"])) * 64
    assert "STAND-IN" in (tmp_path / "set" / "README.txt").read_text()


def test_scans_of_a_patient_share_the_anatomy() -> None:
    """Blood of the first patient's trunk is bright in both scans, elsewhere in the other's."""
    settings = replace(SMALL, patients=2, scans_per_patient=2)
    first, second, other = (draw_scan(settings, 5, index) for index in range(3))
    anatomy = draw(4.0, 2.5, np.random.default_rng([5, 1, 0]))
    deep = ndimage.binary_erosion(anatomy.labels == ARTERY, iterations=2)
    for scan in (first, second):
        assert scan.volume.hu.shape == deep.shape
        assert np.median(scan.volume.hu[deep]) > 200
        for embolus in scan.emboli:
            assert np.all(anatomy.labels[tuple(embolus.voxels.T)] == ARTERY)
    assert not np.array_equal(first.volume.hu, second.volume.hu)
    assert other.volume.hu.shape != deep.shape or np.median(other.volume.hu[deep]) < 200


def test_a_failed_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, volume: object) -> None:
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(stand_in, "write_volume", full)
    with pytest.raises(OSError, match="No space"):
        write_phantom(tmp_path / "set", SMALL, seed=5)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_something_in_it_is_kept(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(InputError, match="already there"):
        write_phantom(tmp_path, SMALL, seed=5)
    assert (tmp_path / "mine.txt").read_text() == "mine"


@pytest.mark.parametrize("wrong", [
    {"patients": 0}, {"scans_per_patient": 0}, {"spacing_mm": 20.0}, {"spacing_mm": 0.1},
    {"terminal_radius_mm": 0.0}])
def test_impossible_settings_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(InputError, match="phantom:"):
        PhantomSettings(**wrong)  # type: ignore[arg-type]


def test_emboli_per_scan_are_those_of_the_paper() -> None:
    counts = emboli_counts(PhantomSettings(patients=121), seed=9)
    assert counts.mean() == pytest.approx(326 / 121, abs=0.05)
    assert counts.max() == 6
    assert np.mean(counts == 0) == pytest.approx(0.2, abs=0.01)
    assert np.any(counts != np.sort(counts))


def test_lungs_and_vessels_are_of_human_size(anatomy: Anatomy) -> None:
    litres = [np.sum(anatomy.labels == label) * 8e-6 for label in (ARTERY, VEIN, LUNG)]
    assert 0.1 < litres[0] < 0.5 and 0.1 < litres[1] < 0.5
    assert 3 < litres[2] < 7
    calibre = 2 * anatomy.arteries.radius_mm
    assert 25 <= calibre.max() <= 30
    assert calibre.min() == pytest.approx(3, rel=0.02)     # the terminal radius of this anatomy


def test_both_lungs_have_arteries_and_veins(anatomy: Anatomy) -> None:
    half = anatomy.labels.shape[2] // 2
    for side in (anatomy.labels[:, :, :half], anatomy.labels[:, :, half:]):
        for label in (ARTERY, VEIN, LUNG):
            assert np.mean(side == label) > 0.005


def test_arteries_hang_together(anatomy: Anatomy) -> None:
    parts, _ = ndimage.label(anatomy.labels == ARTERY, np.ones((3, 3, 3)))
    sizes = np.bincount(parts.ravel())[1:]
    assert sizes.max() > 0.97 * sizes.sum()


def test_shares_never_add_up_to_more_than_a_voxel(anatomy: Anatomy) -> None:
    assert np.all(anatomy.artery + anatomy.vein <= 1 + 1e-6)
    np.testing.assert_array_equal(anatomy.labels == ARTERY, anatomy.artery >= 0.5)


def test_emboli_lie_in_arteries_connected_and_apart(anatomy: Anatomy, emboli: list[Embolus]
                                                    ) -> None:
    ids = mask(emboli, anatomy.labels.shape)
    assert len(emboli) >= 12
    assert np.all(anatomy.labels[ids > 0] == ARTERY)
    for number, embolus in enumerate(emboli, start=1):
        inside = ids == number
        assert np.sum(inside) == len(embolus.voxels) >= SMALLEST_MM3 / 8
        assert ndimage.label(inside, np.ones((3, 3, 3)))[1] == 1
        grown = ndimage.binary_dilation(inside, np.ones((3, 3, 3)))
        assert set(np.unique(ids[grown])) <= {0, number}


def test_emboli_are_of_every_level_and_shape(anatomy: Anatomy) -> None:
    emboli = [one for seed in range(6) for one in place(anatomy, 8, np.random.default_rng(seed))]
    kinds = {embolus.kind for embolus in emboli}
    assert {kind.split()[0] for kind in kinds} == {name for name, *_ in LEVELS}
    assert {kind.split()[1] for kind in kinds} == {name for name, *_ in SHAPES}
    assert "main occlusive" not in kinds
    for embolus in emboli:
        low, high = next(row[1:3] for row in LEVELS if row[0] == embolus.kind.split()[0])
        assert low <= embolus.calibre_mm < high


def test_a_central_embolus_leaves_a_rim_and_an_occlusive_one_none(anatomy: Anatomy) -> None:
    """Of the artery's voxels at the embolus's middle slice, which share it fills."""
    emboli = [one for seed in range(8) for one in place(anatomy, 8, np.random.default_rng(seed))]
    wall = (anatomy.labels == ARTERY) & ~ndimage.binary_erosion(anatomy.labels == ARTERY)
    shares = {name: [wall[tuple(one.voxels.T)].mean() for one in emboli
                     if one.kind == f"lobar {name}"] for name, *_ in SHAPES}
    assert np.mean(shares["central"]) < 0.5 * np.mean(shares["wall-adherent"])
    assert np.mean(shares["central"]) < 0.5 * np.mean(shares["occlusive"])


def test_emboli_are_darker_than_their_artery_by_the_stated_contrast(
        anatomy: Anatomy, emboli: list[Embolus]) -> None:
    rng = np.random.default_rng(3)
    hu = paint(anatomy, emboli, _quiet(rng), rng).hu
    ids = mask(emboli, anatomy.labels.shape)
    full = anatomy.artery == 1
    blood = hu[full & (ids == 0) & ~ndimage.binary_dilation(ids > 0, np.ones((3, 3, 3)))]
    for number, embolus in enumerate(emboli, start=1):
        clot = hu[full & (ids == number)]
        assert 30 <= embolus.hu <= 80
        assert len(clot) and np.all(np.abs(clot - embolus.hu) <= 1)
        assert blood.min() - embolus.hu >= 120


def test_a_wall_that_is_partly_clot_shows_no_blood(anatomy: Anatomy) -> None:
    """No bright shell around an occlusive embolus: the voxels of its wall are lung and clot."""
    emboli = [one for seed in range(8) for one in place(anatomy, 8, np.random.default_rng(seed))
              if one.kind.endswith("occlusive")]
    embolus = emboli[0]
    rng = np.random.default_rng(3)
    hu = paint(anatomy, [embolus], _quiet(rng), rng).hu
    inside = mask([embolus], hu.shape) > 0
    shell = ndimage.binary_dilation(inside, np.ones((3, 3, 3))) & (anatomy.labels == LUNG) \
        & (anatomy.vein == 0)
    assert shell.any() and hu[shell].max() <= embolus.hu + 1


def test_tissues_have_their_hounsfield_units(anatomy: Anatomy) -> None:
    rng = np.random.default_rng(3)
    technique = replace(_quiet(rng), noise_hu=20.0)
    hu = paint(anatomy, [], technique, rng).hu
    deep = {label: hu[ndimage.binary_erosion(anatomy.labels == label, iterations=2)]
            for label in (ARTERY, VEIN, LUNG)}
    assert np.median(deep[ARTERY]) == pytest.approx(technique.artery_hu, rel=0.06)
    assert np.median(deep[VEIN]) == pytest.approx(technique.vein_hu, rel=0.06)
    assert np.median(deep[LUNG]) == pytest.approx(technique.lung_hu, abs=40)
    assert hu.dtype == np.int16 and hu.min() >= -1024 and hu.max() <= 3071


def test_noise_has_the_stated_strength(anatomy: Anatomy) -> None:
    quiet = _quiet(np.random.default_rng(3))
    plain, noisy = (paint(anatomy, [], replace(quiet, noise_hu=sd), np.random.default_rng(4)).hu
                    for sd in (0.0, 20.0))
    soft = plain > -900    # nothing is clipped there
    assert np.std(noisy[soft].astype(float) - plain[soft]) == pytest.approx(20, rel=0.03)


def test_skeleton_of_a_cylinder_has_its_radius_and_course() -> None:
    """Radius 5.5 mm along z with voxels of 1 mm."""
    y, x = np.ogrid[:24, :24]
    vessel = np.broadcast_to((y - 12) ** 2 + (x - 12) ** 2 <= 5.5 ** 2, (40, 24, 24))
    line = skeleton(np.pad(vessel, ((4, 4), (0, 0), (0, 0))), (1.0, 1.0, 1.0))
    middle = np.abs(line.points_mm[:, 0] - 24) < 10
    assert middle.any()
    np.testing.assert_allclose(line.radius_mm[middle], 5.5, atol=0.6)
    np.testing.assert_allclose(np.abs(line.tangent[middle][:, 0]), 1, atol=0.02)
    np.testing.assert_allclose(line.points_mm[middle][:, 1:], 12, atol=1)


def test_connected_keeps_the_part_nearest_to_the_centre() -> None:
    voxels = np.array([(5, 5, 5), (5, 6, 6), (9, 9, 9), (9, 9, 10), (9, 9, 11)])
    assert connected(voxels, np.array([5, 5, 4])).tolist() == [[5, 5, 5], [5, 6, 6]]
    assert connected(voxels[:0], np.zeros(3)).shape == (0, 3)


def test_claim_refuses_what_touches_or_nearly_touches() -> None:
    taken = np.zeros((12, 12, 12), bool)
    assert claim(taken, np.array([[1, 1, 1]]))
    assert not claim(taken, np.array([[3, 3, 3]]))
    assert claim(taken, np.array([[4, 4, 4]]))
    assert taken.sum() == 4 ** 3 + 5 ** 3 - 2 ** 3
