"""What results of round numbers amount to, by hand."""
from __future__ import annotations

import pytest
from bench_results import made_up

from layerwise.bench.samples import Spread
from layerwise.bench.verdict import (
    bars,
    comparisons,
    depth_rows,
    machine_limits,
    plain_sweep,
    sweep_gain,
)


def close(one: Spread, middle: float, low: float, high: float) -> bool:
    return (one.middle, one.low, one.high) == pytest.approx((middle, low, high))


def test_plain_caffe_multiplied_out() -> None:
    """80 iterations, five test phases of 400 / 50 batches, 1,000 patches scored."""
    found = plain_sweep(made_up())
    assert found is not None and list(found) == ["fc8", "conv1"]
    rest = 5 * 8 * 2.0 + 1000 * 0.02
    assert close(found["fc8"], 80 + rest, 72 + rest, 88 + rest)
    assert close(found["conv1"], 240 + rest, 240 + rest, 240 + rest)
    gain = sweep_gain(made_up())
    assert gain is not None and close(gain, 5.2, 5.12, 5.28)


def test_plain_caffe_run_to_the_end_counts_as_it_is() -> None:
    results = made_up()
    results["sections"]["sweep"]["samples"]["plain_seconds"] = {"fc8": 150.0, "conv1": 250.0}
    gain = sweep_gain(results)
    assert gain is not None and close(gain, 4.0, 4.0, 4.0)


def test_gains_of_each_depth() -> None:
    fc8, conv1 = depth_rows(made_up())
    assert close(fc8.gain, 2.0, 1.8, 2.2) and conv1.tail_gain is None
    assert fc8.tail_gain is not None and close(fc8.tail_gain, 80.0, 45.0, 110.0)
    assert close(conv1.gain, 2.0, 1.5, 2.5)


def test_limits_are_of_all_cores() -> None:
    assert machine_limits(made_up()) == (100.0, 10.0)
    fc8, conv1 = depth_rows(made_up())
    tail = 32 * 2 * (4096 * 4096 + 2 * 2 * 4096) / 100e9 + 20 * 2 * 4097 / 10e9
    assert fc8.tail_limit == pytest.approx(tail) and conv1.tail_limit is None


def test_bars() -> None:
    verdicts = {bar.title.split(",")[0].split(":")[0]: bar for bar in bars(made_up())}
    assert {name: bar.passed for name, bar in verdicts.items()} == {
        "whole sweep": True, "fc8": True, "fc7": None, "LMDB": True,
        "nothing slower than plain; the least gain": True}
    assert verdicts["LMDB"].measured == Spread(2000.0, 2000.0, 2000.0)


def test_something_slower_than_plain_fails() -> None:
    results = made_up()
    results["sections"]["depths"]["samples"]["conv1"]["whole"] = [3.1]
    last = bars(results)[-1]
    assert last.passed is False and last.title.endswith("conv1, all layers")


def test_what_is_incomplete_is_not_measured() -> None:
    results = made_up()
    for section in results["sections"].values():
        section["complete"] = False
    assert [bar.passed for bar in bars(results)] == [None] * 5
    assert comparisons(results) == {} and depth_rows(results) == []
