"""Whether Caffe can use a GPU, asked in a child process because Caffe aborts when it cannot."""
from __future__ import annotations

import os
import subprocess
import sys

from layerwise.child import fatal_lines
from layerwise.errors import InputError

PROBE_TIMEOUT_S = 120
PROBE = """\
import sys
import caffe
caffe.set_mode_gpu()
caffe.set_device(int(sys.argv[1]))
"""


def use_device(gpu: int | None) -> None:
    """Have this process's Caffe compute on GPU number `gpu`, or on the CPU when that is None."""
    import caffe

    if gpu is None:
        caffe.set_mode_cpu()
    else:
        caffe.set_mode_gpu()
        caffe.set_device(gpu)


def gpu_problem(gpu: int) -> str | None:
    """Why this Caffe cannot use GPU number `gpu`, in a few words; None when it can."""
    try:
        child = subprocess.run(
            [sys.executable, "-c", PROBE, str(gpu)], stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE, text=True, timeout=PROBE_TIMEOUT_S,
            env={**os.environ, "GLOG_minloglevel": "0", "GLOG_logtostderr": "1"})
    except subprocess.TimeoutExpired:
        return f"the driver did not answer within {PROBE_TIMEOUT_S} s"
    if child.returncode == 0:
        return None
    if "CPU-only Caffe" in child.stderr:
        return "this Caffe is built for the CPU only"
    lines = child.stderr.strip().splitlines() or [f"exit code {child.returncode}"]
    fatal = fatal_lines(lines)
    return fatal[0].partition("] ")[2] if fatal else lines[-1]


def check_gpu(gpu: int) -> None:
    """Return when Caffe can use GPU number `gpu`; raise InputError with the reason when not."""
    problem = gpu_problem(gpu)
    if problem is not None:
        raise InputError(f"--gpu {gpu}: {problem}; leave --gpu out to train on the CPU, or use a "
                         "Caffe built for this machine's GPU")
