"""The log of `caffe train`, as Caffe 1.0.0 writes it."""
from __future__ import annotations

import pytest

from layerwise.bench.plain import read_log

LOG = """\
I1124 09:29:49.500000   713 caffe.cpp:206] Using CPU
I1124 09:29:50.000000   713 solver.cpp:346] Iteration 0, Testing net (#0)
I1124 09:29:51.250000   713 solver.cpp:414]     Test net output #0: accuracy = 0.5
I1124 09:29:51.250001   713 solver.cpp:414]     Test net output #1: loss = 0.7 (* 1 = 0.7 loss)
I1124 09:29:59.000000   713 solver.cpp:239] Iteration 0 (0 iter/s, 9.1s/1 iters), loss = 0.8
I1124 09:29:59.000001   713 solver.cpp:258]     Train net output #0: loss = 0.8 (* 1 = 0.8 loss)
I1124 09:29:59.000002   713 sgd_solver.cpp:112] Iteration 0, lr = 0.001
I1124 09:30:00.500000   713 solver.cpp:239] Iteration 1 (0.6 iter/s, 1.5s/1 iters), loss = 0.7
W1124 09:30:01.000000   713 data_layer.cpp:11] a word of warning
I1124 09:30:02.500000   713 solver.cpp:239] Iteration 2 (0.5 iter/s, 2s/1 iters), loss = 0.6
I1124 09:30:03.000000   713 solver.cpp:346] Iteration 3, Testing net (#0)
I1124 09:30:05.000000   713 solver.cpp:414]     Test net output #0: accuracy = 0.5
I1124 09:30:06.000000   713 solver.cpp:239] Iteration 3 (0.3 iter/s, 3.5s/1 iters), loss = 0.5
I1124 09:30:07.000000   713 solver.cpp:239] Iteration 4 (1 iter/s, 1s/1 iters), loss = 0.5
not a line of glog
I1124 09:30:08.000000   713 solver.cpp:327] Iteration 5, loss = 0.4
I1124 09:30:08.000001   713 solver.cpp:332] Optimization Done.
"""


def test_iterations_and_test_phases() -> None:
    """9:29:59 to 9:30:00.5 to 9:30:02.5; the iteration with a test phase in it is left out."""
    times = read_log(LOG)
    assert times.iterations == pytest.approx([1.5, 2.0, 1.0], abs=1e-4)
    assert times.tests == pytest.approx([1.25, 2.0], abs=1e-4)


def test_a_log_without_them() -> None:
    assert read_log("F1124 09:29:49.5 713 io.cpp:36] Check failed\n").iterations == []
