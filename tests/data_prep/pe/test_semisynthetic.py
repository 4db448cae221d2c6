"""Painting label volumes: labels in, the reader's layout out, emboli of real shapes."""
from __future__ import annotations

import csv
import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from data_prep.manifest import origin_of
from data_prep.pe import nifti
from data_prep.pe.anatomy import ARTERY, LUNG, draw, from_labels
from data_prep.pe.clots import SMALLEST_KEPT, _turn, dealt, fitted, place_clots, read_clots
from data_prep.pe.emboli import mask
from data_prep.pe.grid import plain_affine
from data_prep.pe.reader import load, read_scans
from data_prep.pe.semisynthetic import read_labels, write_semisynthetic
from layerwise.errors import InputError

SPACING = (2.5, 2.5, 2.5)


@pytest.fixture(scope="module")
def labels() -> np.ndarray:
    return draw(2.5, 2.0, np.random.default_rng(1)).labels


def _write(path: Path, labels: np.ndarray, spacing: tuple[float, float, float] = SPACING) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    nifti.write(path, labels.transpose(2, 1, 0), plain_affine(spacing))
    return path


@pytest.fixture(scope="module")
def clot_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Rods of 5, 9 and 14 mm thickness and 16 to 30 mm length, in voxels of 1 x 0.6 x 0.6 mm."""
    folder = tmp_path_factory.mktemp("clots")
    z, y, x = np.ogrid[-24:25, -24:25, -30:31]
    for name, radius, half in (("thin", 2.5, 8), ("middle", 4.5, 10), ("thick", 7, 15)):
        rod = (np.hypot(z, 0.6 * y) <= radius) & (np.abs(0.6 * x) <= half)
        _write(folder / f"{name}.nii.gz", rod.astype(np.uint8), (1.0, 0.6, 0.6))
    return folder


def test_the_written_set_has_at_least_three_emboli_in_arteries(
        tmp_path: Path, labels: np.ndarray, clot_folder: Path) -> None:
    for name in ("a", "b"):
        _write(tmp_path / "in" / f"{name}.nii.gz", labels)
    write_semisynthetic(tmp_path / "in", clot_folder, tmp_path / "out", seed=7)
    scans = read_scans(tmp_path / "out")
    assert [(scan.case, scan.group, scan.split) for scan in scans] \
        == [("a", "a", "train"), ("b", "b", "test")]
    assert "semi-synthetic" in str(origin_of(tmp_path / "out"))
    cropped = from_labels(labels, SPACING).labels
    with open(tmp_path / "out" / "truth.csv", newline="") as stream:
        truth = list(csv.DictReader(stream))
    for scan in scans:
        volume, ids = load(scan)
        rows = [row for row in truth if row["case"] == scan.case]
        assert volume.hu.shape == cropped.shape
        assert 3 <= ids.max() == len(rows) <= 6
        assert np.all(cropped[ids > 0] == ARTERY)
        assert np.median(volume.hu[ndimage.binary_erosion(cropped == LUNG, iterations=2)]) < -700
    assert {row["shape"].split()[0] for row in truth} <= {"real", "synthetic"}
    shapes = [{row["shape"] for row in truth
               if row["case"] == case and row["shape"].startswith("real ")} for case in "ab"]
    assert shapes[0] and shapes[1] and not shapes[0] & shapes[1]


def test_no_patients_clots_are_in_both_halves(clot_folder: Path) -> None:
    thin = read_clots(clot_folder)[0]
    clots = [replace(thin, name=name) for name in ("p1_1", "p2_1", "p2_2", "p2_3", "p3_1", "p3_2")]
    first, second = dealt(clots)
    assert [clot.name for clot in first] == ["p2_1", "p2_2", "p2_3"]
    assert [clot.name for clot in second] == ["p3_1", "p3_2", "p1_1"]
    assert dealt([]) == ([], [])


def test_the_same_seed_gives_the_same_files_whatever_the_number_of_processes(
        tmp_path: Path) -> None:
    coarse = draw(4.0, 2.5, np.random.default_rng(1)).labels
    for name in ("a", "b"):
        _write(tmp_path / "in" / f"{name}.nii.gz", coarse, (4.0, 4.0, 4.0))
    for jobs, name in ((1, "one"), (2, "two")):
        write_semisynthetic(tmp_path / "in", None, tmp_path / name, seed=7, jobs=jobs)
    one, two = ({str(path.relative_to(tmp_path / name)):
                 hashlib.sha256(path.read_bytes()).hexdigest()
                 for path in (tmp_path / name).rglob("*") if path.is_file()}
                for name in ("one", "two"))
    assert one == two and len(one) == 8


def test_labels_stored_back_to_front_are_turned(tmp_path: Path, labels: np.ndarray) -> None:
    upright, spacing = read_labels(_write(tmp_path / "a.nii.gz", labels))
    turned, _ = read_labels(_write(tmp_path / "b.nii.gz",
                                   np.ascontiguousarray(labels[:, ::-1, ::-1])))
    np.testing.assert_array_equal(upright, labels)
    np.testing.assert_array_equal(turned, labels)
    assert spacing == SPACING


def test_labels_become_shares_and_are_cropped(labels: np.ndarray) -> None:
    anatomy = from_labels(np.pad(labels, ((20, 15), (9, 9), (6, 30))), SPACING)
    filled = ndimage.find_objects((anatomy.labels > 0).astype(np.uint8))[0]
    assert [(part.start, length - part.stop) for part, length
            in zip(filled, anatomy.labels.shape)] == [(4, 4)] * 3     # 12 mm in voxels of 2.5 mm
    assert np.sum(anatomy.labels > 0) == np.sum(labels > 0)
    deep = ndimage.binary_erosion(anatomy.labels == ARTERY, iterations=3)
    assert deep.any() and anatomy.artery[deep].min() > 0.99
    assert np.all(anatomy.artery + anatomy.vein <= 1 + 1e-6)


def test_real_shapes_fill_arteries_of_their_calibre(labels: np.ndarray, clot_folder: Path) -> None:
    anatomy, clots = from_labels(labels, SPACING), read_clots(clot_folder)
    assert [clot.name for clot in clots] == ["middle", "thick", "thin"]
    np.testing.assert_allclose([clot.thickness_mm for clot in clots], [9, 14, 5], atol=1.3)
    for clot in clots:
        np.testing.assert_allclose(np.abs(clot.axis), [0, 0, 1], atol=1e-6)
    volumes = {f"real {clot.name}": clot.mask.sum() * 0.36 for clot in clots}
    found = [fitted(anatomy, clots, level, np.random.default_rng(seed))
             for seed in range(20) for level in ("main", "lobar", "segmental")]
    emboli = [embolus for embolus in found if embolus is not None]
    assert len(emboli) >= 5
    for embolus in emboli:
        assert np.all(anatomy.labels[tuple(embolus.voxels.T)] == ARTERY)
        share = len(embolus.voxels) * 2.5 ** 3 / volumes[embolus.shape]
        assert SMALLEST_KEPT <= share <= 1.5       # voxels of 2.5 mm round a clot up or down
        inside = mask([embolus], anatomy.labels.shape) > 0
        assert ndimage.label(inside, np.ones((3, 3, 3)))[1] == 1


def test_synthetic_emboli_stand_in_where_no_clot_fits(labels: np.ndarray, tmp_path: Path) -> None:
    ball = sum(axis ** 2 for axis in np.ogrid[-20:21, -20:21, -20:21]) <= 400
    _write(tmp_path / "huge.nii.gz", ball.astype(np.uint8), (3.0, 3.0, 3.0))
    emboli = place_clots(from_labels(labels, SPACING), read_clots(tmp_path), 3,
                         np.random.default_rng(0))
    assert [embolus.shape for embolus in emboli] == ["synthetic"] * 3


@pytest.mark.parametrize("angle", [0.0, 1.0, 4.0])
def test_turn_is_a_rotation_that_takes_one_axis_to_the_other(angle: float) -> None:
    source, target = np.array([0.6, 0.0, 0.8]), np.array([0.0, 1.0, 0.0])
    turn = _turn(source, target, angle)
    np.testing.assert_allclose(turn @ source, target, atol=1e-12)
    np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(turn) == pytest.approx(1)


def test_unusable_input_is_refused(tmp_path: Path, labels: np.ndarray) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no label volumes"):
        write_semisynthetic(tmp_path / "empty", None, tmp_path / "out", seed=0)
    _write(tmp_path / "hu" / "a.nii.gz", labels.astype(np.int16) * 100)
    with pytest.raises(InputError, match="a.nii.gz: values 0, 100, 200, 300; expected the labels"):
        write_semisynthetic(tmp_path / "hu", None, tmp_path / "out", seed=0)
    with pytest.raises(InputError, match="no masks of clots"):
        write_semisynthetic(tmp_path / "hu", tmp_path / "empty", tmp_path / "out", seed=0)
    _write(tmp_path / "clots" / "none.nii.gz", np.zeros((4, 4, 4), np.uint8))
    with pytest.raises(InputError, match="none.nii.gz: an empty mask"):
        read_clots(tmp_path / "clots")
    thin = np.where(labels == ARTERY, LUNG, labels)
    thin[20:24, 20:22, 20:22] = ARTERY
    _write(tmp_path / "thin" / "a.nii.gz", thin)
    with pytest.raises(InputError, match="room for 0 emboli"):
        write_semisynthetic(tmp_path / "thin", None, tmp_path / "out", seed=0)
    assert not (tmp_path / "out").exists()
