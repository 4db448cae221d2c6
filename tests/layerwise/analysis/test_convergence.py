"""Reading log.csv: resumed runs, NaN, and the mean over seeds."""
from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from layerwise.analysis.convergence import band, iterations_to_converge, read_log
from layerwise.errors import InputError

HEADER = "iteration,epoch,lr,loss,validation_auc,seconds\n"


def log_file(path: Path, *rows: str) -> Path:
    path.write_text(HEADER + "".join(f"{row}\n" for row in rows))
    return path


def test_a_resumed_log_is_joined(tmp_path: Path) -> None:
    log = read_log(log_file(
        tmp_path / "log.csv", "10,0.1,0.001,0.7,0.6,1", "20,0.2,0.001,0.6,0.7,2",
        "30,0.3,0.001,0.5,0.8,3", HEADER.strip(),
        "20,0.2,0.001,0.65,0.71,2", "40,0.4,0.001,0.4,0.9,4"))
    assert log.iterations.tolist() == [10, 20, 40]
    assert log.auc.tolist() == [0.6, 0.71, 0.9]


def test_nan_stays_and_unvalidated_iterations_do_not(tmp_path: Path) -> None:
    log = read_log(log_file(tmp_path / "log.csv", "1,0,0.1,0.7,,1", "2,0,0.1,0.6,nan,2",
                            "3,0,0.1,nan,0.5,3"))
    assert log.iterations.tolist() == [2, 3]
    assert np.isnan(log.auc[0]) and log.auc[1] == 0.5
    assert log.loss_iterations.tolist() == [1, 2, 3]
    assert np.isnan(log.loss[2])


@pytest.mark.parametrize("row", ["ten,0,0,0,0.5,1", "10,0,0,x,0.5,1", "10,0,0"])
def test_no_numbers(tmp_path: Path, row: str) -> None:
    with pytest.raises(InputError, match="log.csv, line 2"):
        read_log(log_file(tmp_path / "log.csv", row))


def test_band_over_seeds(tmp_path: Path) -> None:
    first = read_log(log_file(tmp_path / "a", "10,0,0,0,0.6,1", "20,0,0,0,nan,1", "30,0,0,0,nan,1"))
    second = read_log(log_file(tmp_path / "b", "10,0,0,0,0.8,1", "20,0,0,0,0.7,1"))
    found = band([first, second])
    assert found.iterations.tolist() == [10, 20, 30]
    assert found.mean[:2] == pytest.approx([0.7, 0.7])
    assert (found.low[0], found.high[0]) == (0.6, 0.8)
    assert np.isnan(found.mean[2])  # no seed has a number: shown as a cross


def test_iterations_to_converge(tmp_path: Path) -> None:
    log = read_log(log_file(tmp_path / "a", "10,0,0,0,0.5,1", "20,0,0,0,0.7,1",
                            "30,0,0,0,0.895,1", "40,0,0,0,0.9,1"))
    assert iterations_to_converge(log) == 30
    assert iterations_to_converge(log, share=1.0) == 40
    stuck = read_log(log_file(tmp_path / "b", "10,0,0,0,0.4,1", "20,0,0,0,nan,1"))
    assert iterations_to_converge(stuck) is None
