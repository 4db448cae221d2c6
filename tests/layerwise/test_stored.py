"""Stored activations: their size on the disk, the cap, what is forgotten, and equal bytes."""
from __future__ import annotations

import json
from dataclasses import replace

import h5py
import numpy as np
import pytest
from training import TAIL, Place, nothing, setting

from layerwise import features
from layerwise.child import Children
from layerwise.frozen import Item, items_of, store_features

DEPTHS = ("fc8", "fc6", "conv5", "conv4", "conv3")
SIZES = {"train-100": 12, "validation-100": 5, "test": 6}


@pytest.fixture()
def place(narrow, tmp_path) -> Place:
    """The data set with nothing stored."""
    return narrow.without_activations(tmp_path)


def items(place: Place) -> list[Item]:
    return items_of([place.run(depth, place.data.parent / "runs") for depth in DEPTHS], SIZES)


def test_an_estimate_is_within_one_percent(place):
    place.store(DEPTHS)
    files = list((place.data / "features").rglob("*.h5"))
    assert len(files) == len(items(place)) == 15
    for item in items(place):
        found = [path.stat().st_size for path in files
                 if path.parts[-3:-1] == (item.blob, item.name)]
        assert sum(found) == pytest.approx(item.size_bytes, rel=0.01)
    assert features.stored_bytes(place.data / "features") == pytest.approx(
        sum(item.size_bytes for item in items(place)), rel=0.01)


@pytest.mark.parametrize("patches, per_patch", [(10, 16384), (300, 36864), (1000, 16384)])
def test_an_estimate_of_true_sizes(tmp_path, patches, per_patch):
    writer = features._Writer(tmp_path / "set", "fc6")
    for begin in range(0, patches, 32):
        count = min(32, patches - begin)
        writer.add(np.zeros((count, per_patch // 4), np.float32), np.zeros(count))
    writer.close()
    assert features.stored_bytes(tmp_path) == pytest.approx(
        features.size_bytes(patches, per_patch), rel=0.01)


@pytest.mark.parametrize("share", [0.0, 0.2, 0.6, 0.9])
def test_the_cap_holds_for_all_that_is_stored(place, share):
    budget = share * sum(item.size_bytes for item in items(place))
    place.store(DEPTHS, budget)
    first = features.stored_bytes(place.data / "features")
    assert first <= 1.01 * budget and (first > 0) == (share > 0)
    other = setting(place.data, place.data.parent / "runs", place.weights)
    other = replace(other, mean_bgr=(1.0, 2.0, 3.0), cache_bytes=budget)    # other activations
    store_features(other, [place.run(depth, other.runs) for depth in DEPTHS], 1, Children(),
                   nothing)
    assert first <= features.stored_bytes(place.data / "features") <= 1.01 * budget


def test_what_is_stored_is_not_computed_again(place):
    place.store([TAIL])
    times = {path: path.stat().st_mtime_ns for path in (place.data / "features").rglob("*.h5")}
    place.store(DEPTHS)
    assert {path: path.stat().st_mtime_ns for path in times} == times
    assert len(list((place.data / "features").rglob("*.h5"))) == 15


def test_activations_of_other_data_are_forgotten(place):
    place.store()
    before = place.activations()
    facts = json.loads((place.data / "source.json").read_text())
    facts["sets"]["train-100"]["content_sha256"] = "another"
    (place.data / "source.json").unlink()            # a link to that of others
    (place.data / "source.json").write_text(json.dumps(facts))
    place.store()
    after = place.activations()
    kept = {name for name in before if not name.startswith("train-100-")}
    assert kept and {name: before[name] for name in kept} == \
        {name: after[name] for name in after if not name.startswith("another-")}
    assert any(name.startswith("another-") for name in after)


def test_equal_values_give_equal_bytes_that_hdf5_reads(tmp_path):
    arrays = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "key": np.array(["x", "yy"], "S8")}
    image = bytes(features.hdf5(arrays))
    assert bytes(features.hdf5(arrays)) == image
    (tmp_path / "a.h5").write_bytes(image)
    with h5py.File(str(tmp_path / "a.h5"), "r") as archive:
        assert set(archive) == {"a", "key"}
        assert all((archive[name][()] == arrays[name]).all() for name in arrays)
