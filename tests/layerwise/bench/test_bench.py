"""The benchmark itself, with tiny settings: real Caffe, real sweep, numbers that mean nothing."""
from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

from layerwise.bench.__main__ import main
from layerwise.bench.document import render
from layerwise.bench.parts import PARTS
from layerwise.bench.processes import BLAS_VARIABLES, plain_environment


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the results of a tiny run of all parts."""
    path = tmp_path_factory.mktemp("bench")
    wanted = [name for name in PARTS if name != "pytorch" or importlib.util.find_spec("torch")]
    assert run(path, *wanted) == 0
    return path


def run(path: Path, *arguments: str) -> int:
    return main([*arguments, "--tiny", "--out", str(path), "--work", str(path / "work")])


def read(path: Path) -> Any:
    return json.loads((path / "bench.json").read_text(encoding="utf-8"))


def test_every_part_answers_with_positive_samples(folder: Path) -> None:
    results = read(folder)
    assert all(section["complete"] and section["minutes"] > 0
               for section in results["sections"].values())
    samples = {name: section["samples"] for name, section in results["sections"].items()}
    assert set(samples["limits"]) == {"plain", "ours", "gigabytes_per_second"}
    assert samples["limits"]["ours"]["gflops"][0] > 0
    assert {len(samples["lmdb"][name]) for name in ("cores", "one", "single")} == {1}
    assert samples["lmdb"]["stages"]["png_bytes"] < samples["lmdb"]["stages"]["raw_bytes"]
    assert samples["scoring"]["plain"][0] > 0 and samples["scoring"]["tails"]["fc6"][0] > 0
    assert samples["sweep"]["seconds"][0] > 0 and samples["sweep"]["validation-100"] == 32
    assert {name: len(clock) for name, clock in samples["depths"]["fc8"].items()} == {
        "plain": 2, "plain_test_batch": 1, "whole": 1, "tail": 1}
    assert {"processor", "cores", "memory_gb", "blas", "kernel", "caffe", "python", "versions"} \
        <= set(results["machine"])
    assert len(results["bars"]) == 5


def test_the_document_is_written_beside_it(folder: Path) -> None:
    assert (folder / "benchmarks.md").read_text(encoding="utf-8") == render(read(folder))


def test_what_is_measured_is_not_measured_again(folder: Path) -> None:
    before = read(folder)
    assert run(folder, "limits", "depths", "sweep") == 0
    assert read(folder) == before


def test_a_part_can_be_measured_again(folder: Path) -> None:
    before = read(folder)["sections"]
    assert run(folder, "limits", "--again") == 0
    after = read(folder)["sections"]
    assert after["limits"] != before["limits"] and after["depths"] == before["depths"]


def test_results_of_another_machine_are_not_added_to(
        folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results = read(folder)
    results["machine"]["processor"] = "an abacus"
    (tmp_path / "bench.json").write_text(json.dumps(results))
    assert run(tmp_path, "limits") == 2
    assert "of another machine (processor an abacus, here" in capsys.readouterr().err


def test_tiny_results_are_kept_apart(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--tiny"])
    assert "--tiny needs an --out" in capsys.readouterr().err


def test_plain_caffe_chooses_for_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in BLAS_VARIABLES:
        monkeypatch.setenv(name, "1")
    assert not set(BLAS_VARIABLES) & set(plain_environment())
