"""The run folder's config.json: what may change between two starts, and what may lie beside it."""
from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from training import TAIL, Place, setting

from layerwise.depths import DEPTHS
from layerwise.errors import InputError
from layerwise.frozen import tail_of
from layerwise.plan import make_run
from layerwise.runs import CONFIG, RESULT, STATE, Run, open_run, read_json, write_json
from layerwise.worker import best_network


@pytest.fixture
def run(prepared: Path, tmp_path: Path) -> Run:
    return make_run(setting(prepared, tmp_path), DEPTHS["scratch-gaussian"], 100, 7)


def opened(root: Path, run: Run) -> Path:
    folder = run.folder(root)
    folder.mkdir(parents=True, exist_ok=True)
    open_run(folder, run)
    return folder


def test_settings_may_change_until_something_is_trained(run: Run, tmp_path: Path) -> None:
    folder = opened(tmp_path, replace(run, batch_size=100_000))
    opened(tmp_path, run)
    assert read_json(folder / CONFIG)["batch_size"] == run.batch_size
    for name in (STATE, RESULT, "scores.csv"):
        (folder / name).write_text("{}")
        with pytest.raises(InputError, match="holds a run with batch_size=4, now 5"):
            opened(tmp_path, replace(run, batch_size=5))
        (folder / name).unlink()


def test_a_run_goes_on_on_another_gpu_but_not_on_the_cpu(run: Run, tmp_path: Path) -> None:
    folder = opened(tmp_path, replace(run, gpu=1))
    (folder / STATE).write_text("{}")
    opened(tmp_path, replace(run, gpu=0))
    assert read_json(folder / CONFIG)["gpu"] == 0
    with pytest.raises(InputError, match="holds a run with gpu=0, now None"):
        opened(tmp_path, run)


def test_runs_of_all_fractions_share_the_test_set(run: Run, tmp_path: Path) -> None:
    folder = opened(tmp_path, run)
    less = replace(run, fraction=50, data_sha256="of half the groups")
    opened(tmp_path, less)
    with pytest.raises(InputError, match=f"{folder} holds a run on other data"):
        opened(tmp_path, replace(less, fraction=25, test_sha256="other pixels, the same names"))
    older = read_json(folder / CONFIG)
    del older["test_sha256"]                    # of a version that did not record it
    write_json(folder / CONFIG, older)
    opened(tmp_path, run)


def test_a_lost_network_is_said(run: Run, tmp_path: Path) -> None:
    folder = opened(tmp_path, run)
    with pytest.raises(InputError, match=f"{folder}/best.caffemodel: the network is gone"):
        best_network(folder)


def test_no_space_for_activations_means_that_none_are_used(narrow: Place, tmp_path: Path) -> None:
    place = narrow.without_activations(tmp_path / "data")
    place.store()
    shared = setting(place.data, tmp_path / "runs", place.weights)
    found = make_run(shared, DEPTHS[TAIL], 100, 7)
    assert tail_of(shared, found) is not None
    assert tail_of(replace(shared, cache_bytes=0), found) is None
    assert tail_of(replace(shared, threads=2), found) is None       # other bits
    assert os.listdir(place.data / "features")
