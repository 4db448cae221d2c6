"""Asking Caffe for a GPU without being aborted by it, and the rows of `layerwise doctor`."""
from __future__ import annotations

from pathlib import Path

import pytest

from layerwise import device, doctor
from layerwise.blas import BlasChoice
from layerwise.errors import InputError
from layerwise.weights import BVLC_ALEXNET

ABORTS = """\
import os, sys
def set_mode_gpu(): pass
def set_device(gpu):
    sys.stderr.write("WARNING: Logging before InitGoogleLogging() is written to STDERR\\n"
                     "F1124 05:30:00.000000 1 common.cpp:1] {}\\n*** Check failure stack: ***\\n")
    sys.stderr.flush()
    os.abort()
"""
REASONS = {
    "Cannot use GPU in CPU-only Caffe: check mode.": "this Caffe is built for the CPU only",
    "Check failed: error == cudaSuccess (10 vs. 0)  invalid device ordinal":
        "Check failed: error == cudaSuccess (10 vs. 0)  invalid device ordinal",
}


@pytest.fixture()
def pycaffe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where to write the caffe.py that child processes will import."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return tmp_path / "caffe.py"


@pytest.mark.parametrize("said, reason", REASONS.items())
def test_an_abort_becomes_one_line(pycaffe: Path, said: str, reason: str) -> None:
    pycaffe.write_text(ABORTS.format(said))
    with pytest.raises(InputError) as caught:
        device.check_gpu(3)
    assert str(caught.value).startswith(f"--gpu 3: {reason}; leave --gpu out")
    assert "\n" not in str(caught.value)


def test_a_gpu_that_works_passes(pycaffe: Path) -> None:
    pycaffe.write_text("def set_mode_gpu(): pass\ndef set_device(gpu): assert gpu == 1\n")
    device.check_gpu(1)
    assert device.gpu_problem(1) is None
    assert "AssertionError" in (device.gpu_problem(2) or "")


def test_no_caffe_is_a_reason(pycaffe: Path) -> None:
    pycaffe.write_text("raise ImportError('no module of that name')")
    assert device.gpu_problem(0) == "ImportError: no module of that name"


def test_the_real_caffe_has_no_gpu_99() -> None:
    reason = device.gpu_problem(99)
    assert reason and "\n" not in reason and "Check failure stack" not in reason


@pytest.fixture()
def rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The report on an empty data folder, with a BLAS that needs no measuring."""
    monkeypatch.setattr(doctor, "choose", lambda threads, afresh: BlasChoice(
        "Haswell", threads, 50.0, True, "OpenBLAS 0.3.13", ("SkylakeX: crashed",)))
    monkeypatch.setattr(doctor, "gpu_problem", lambda gpu: "none here")
    monkeypatch.setattr(doctor.machine, "cores", lambda: 4)
    rows = dict(doctor.report(tmp_path / "data"))
    assert not (tmp_path / "data").exists()
    return rows


def test_doctor_reports_caffe_blas_and_machine(rows: dict[str, str]) -> None:
    assert rows["Caffe"].startswith("1.0.0, ")
    assert rows["GPU"] == "no: none here"
    assert rows["BLAS"] == "OpenBLAS 0.3.13"
    assert rows["kernel"] == "Haswell, checked against float64"
    assert rows["kernel rejected"] == "SkylakeX: crashed"
    assert rows["speed, 1 thread"] == rows["speed, 4 threads"] == "50.0 GFLOP/s"
    assert "GiB available of" in rows["memory"] and "GiB free at" in rows["disk"]
    assert rows["tasks"] == "polyp, pe, frames, cimt, own"


def test_doctor_says_which_weights_will_be_used(rows: dict[str, str], tmp_path: Path) -> None:
    assert f"{BVLC_ALEXNET} not found; " in rows["source weights"]
    wrong = tmp_path / "data" / BVLC_ALEXNET
    wrong.parent.mkdir()
    wrong.write_text("not a network")
    assert "SHA-1 is" in doctor._weights(tmp_path / "data")


def test_doctor_without_caffe(pycaffe: Path, tmp_path: Path) -> None:
    pycaffe.write_text("raise ImportError('no module of that name')")
    rows = dict(doctor.report(tmp_path))
    assert rows["Caffe"] == "none: ImportError: no module of that name"
    assert "BLAS" not in rows and "tasks" in rows
