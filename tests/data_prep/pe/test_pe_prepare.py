"""The embolism task's data set, from volumes to views, and its reductions by emboli."""
from __future__ import annotations

import csv
from collections import Counter
from dataclasses import replace
from pathlib import Path

import lmdb
import numpy as np
import pytest

from data_prep.pe import planes, prepare, reader, volume
from data_prep.pe.phantom import PhantomSettings, write_phantom
from data_prep.pe.prepare import RECIPE
from data_prep.request import Request
from layerwise import contracts
from layerwise.contracts import VesselCandidate
from layerwise.profiles import Sizes, profile_named

FRACTIONS = (1.0, 0.5, 0.25)
SETS = [f"{kind}-{percent}" for percent in (100, 50, 25) for kind in ("train", "validation")]


@pytest.fixture(scope="module")
def scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Coarse volumes of eight patients."""
    folder = tmp_path_factory.mktemp("source") / "scans"
    write_phantom(folder, PhantomSettings(8, 1, 2.5, 2.5), 5, 1)
    return folder


@pytest.fixture(scope="module")
def dataset(scans: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    profile = replace(profile_named("mini"), batch_size=4,
                      sizes={"pe": Sizes(80, 3, 20, 8, 1)})
    return prepare.prepare(Request(scans, tmp_path_factory.mktemp("data"), profile,
                                   fractions=FRACTIONS))


def rows_of(path: Path) -> list[VesselCandidate]:
    rows = contracts.read_candidates(path)
    assert all(isinstance(row, VesselCandidate) for row in rows)
    return rows  # type: ignore[return-value]


def test_a_candidate_hits_the_embolus_that_its_place_lies_in(scans: Path, dataset: Path) -> None:
    rows = rows_of(dataset / "candidates.csv")
    assert Counter(row.case for row in rows).most_common(1)[0][1] <= 20
    hits = 0
    for scan in reader.read_scans(scans):
        image, emboli = reader.load(scan)
        for row in (row for row in rows if row.case == scan.case):
            place = np.divide((row.z_mm, row.y_mm, row.x_mm), image.spacing_mm)
            assert place == pytest.approx(np.rint(place))
            number = int(emboli[tuple(np.rint(place).astype(int))])
            assert row.lesion == (f"{scan.case}:{number}" if number else "")
            hits += number > 0
    assert hits == sum(row.label for row in rows) > 0


def test_axes_are_unit_vectors_at_right_angles(dataset: Path) -> None:
    for row in rows_of(dataset / "candidates.csv"):
        axis = np.array([row.axis_x, row.axis_y, row.axis_z])
        side = np.array([row.side_x, row.side_y, row.side_z])
        assert (axis @ axis, side @ side, axis @ side) == pytest.approx((1, 1, 0))


def test_every_case_counts_with_all_its_emboli(scans: Path, dataset: Path) -> None:
    cases = {case.case: case.lesions for case in contracts.read_cases(dataset / "cases.csv")}
    assert cases == {scan.case: int(reader.load(scan)[1].max())
                     for scan in reader.read_scans(scans)}


def test_sets_are_balanced_and_keep_patients_apart(dataset: Path) -> None:
    sides = {case.group: case.split for case in contracts.read_cases(dataset / "cases.csv")}
    groups = {}
    for name in SETS:
        rows = contracts.read_index(dataset / name / "index.csv")
        assert 2 * sum(row.label for row in rows) == len(rows) > 0
        assert {row.augmentation for row in rows} <= set(planes.VIEW_NAMES)
        groups[name] = {row.group for row in rows}
        assert {sides[group] for group in groups[name]} == {"train"}
    assert not groups["train-100"] & groups["validation-100"]
    tested = contracts.read_index(dataset / "test" / "index.csv")
    assert [row.augmentation for row in tested[:3]] == list(planes.TEST_ORDER[:3])


def test_reduced_sets_have_fewer_emboli_and_all_false_positives(dataset: Path) -> None:
    for kind in ("train", "validation"):
        pools = [rows_of(dataset / f"{kind}-{percent}" / "candidates.csv")
                 for percent in (100, 50, 25)]
        emboli = [{row.lesion for row in pool if row.label} for pool in pools]
        whole = len(emboli[0])
        assert [len(each) for each in emboli] == [
            max(1, int(whole * fraction + 0.5)) for fraction in FRACTIONS]
        assert emboli[2] <= emboli[1] <= emboli[0]
        assert len({sum(not row.label for row in pool) for pool in pools}) == 1


def test_patches_are_views_of_the_volume(scans: Path, dataset: Path) -> None:
    from caffe.proto import caffe_pb2

    row = contracts.read_index(dataset / "train-100" / "index.csv")[0]
    candidate = next(each for each in rows_of(dataset / "candidates.csv")
                     if each.candidate == row.candidate)
    path = next(scan.volume_path for scan in reader.read_scans(scans) if scan.case == row.case)
    with lmdb.open(str(dataset / "train-100" / "lmdb"), readonly=True, lock=False) as store, \
            store.begin() as view:
        datum = caffe_pb2.Datum.FromString(view.get(row.key.encode()))
    stored = np.frombuffer(datum.data, np.uint8).reshape(3, 227, 227)
    expected = prepare.cut(volume.read_volume(path), candidate, row.augmentation)
    assert (stored == expected.transpose(2, 0, 1)).all()
    assert (stored[1] == stored[2]).all()


def test_every_candidate_has_features(dataset: Path) -> None:
    candidates = {row.candidate for row in rows_of(dataset / "candidates.csv")}
    with (dataset / "detections" / "features.csv").open(newline="") as handle:
        rows = list(csv.DictReader(handle))
    assert candidates <= {row["candidate"] for row in rows}
    assert tuple(rows[0])[1:] == RECIPE.features


def test_what_stands_in_is_told(scans: Path, tmp_path: Path) -> None:
    assert "phantom" in RECIPE.origin(scans)
    assert RECIPE.origin(tmp_path) == f"{tmp_path.name} volumes"
