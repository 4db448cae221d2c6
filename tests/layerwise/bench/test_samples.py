"""Spreads, their ratios, and the iterations of a log."""
from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from layerwise.bench.samples import (
    Spread,
    inverse,
    iteration_seconds,
    ratio,
    scaled,
    spread,
    total,
)

SAMPLES = st.lists(st.floats(0.01, 100), min_size=1, max_size=9)


def test_by_hand() -> None:
    assert spread([3.0, 1.0, 2.0]) == Spread(2.0, 1.0, 3.0)
    assert scaled(Spread(2.0, 1.0, 3.0), 2.0) == Spread(4.0, 2.0, 6.0)
    assert total([Spread(2.0, 1.0, 3.0), Spread(20.0, 10.0, 30.0)]) == Spread(22.0, 11.0, 33.0)
    assert ratio(Spread(8.0, 6.0, 9.0), Spread(2.0, 1.0, 3.0)) == Spread(4.0, 2.0, 9.0)
    assert inverse(Spread(2.0, 1.0, 4.0)) == Spread(0.5, 0.25, 1.0)


@given(SAMPLES, SAMPLES)
def test_every_quotient_of_samples_lies_within_the_ratio(above: list[float], below: list[float]
                                                         ) -> None:
    found = ratio(spread(above), spread(below))
    assert found.low <= found.middle <= found.high
    assert all(found.low <= one / other <= found.high for one in above for other in below)


def write_log(path: Path, seconds: list[float]) -> Path:
    path.write_text("iteration,epoch,lr,loss,validation_auc,seconds\n" + "".join(
        f"{number},0,0,0,,{clock}\n" for number, clock in enumerate(seconds)))
    return path


def test_warm_up_and_the_validated_iteration_are_left_out(tmp_path: Path) -> None:
    log = write_log(tmp_path / "log.csv", [5.0, 9.0, 10.0, 12.0, 15.0, 99.0])
    assert iteration_seconds(log, warm_up=1, windows=3) == pytest.approx([1.0, 2.0, 3.0])
    assert iteration_seconds(log, warm_up=2, windows=1) == pytest.approx([2.5])


def test_a_rest_that_fills_no_window_is_left_out(tmp_path: Path) -> None:
    log = write_log(tmp_path / "log.csv", [0.0, 1.0, 2.0, 3.0, 5.0, 7.0, 107.0, 200.0])
    assert iteration_seconds(log, warm_up=1, windows=2) == pytest.approx([1.0, 2.0])
