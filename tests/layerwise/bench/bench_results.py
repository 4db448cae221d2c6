"""Results of a benchmark with round numbers, for the arithmetic that follows the measuring."""
from __future__ import annotations

from typing import Any

from layerwise import prefix


def made_up() -> dict[str, Any]:
    """All parts complete; plain fc8 takes 1 s an iteration and conv1 3 s."""
    sections = {
        "limits": {"plain": {"kernel": "Zen", "gflops": [40.0]},
                   "ours": {"kernel": "Zen", "gflops": [50.0, 49.0, 51.0]},
                   "gigabytes_per_second": [10.0]},
        "lmdb": {"cores": [{"seconds": 0.0005, "processor_seconds": 0.001, "images": 7,
                            "patches": 4000}],
                 "one": [{"seconds": 0.001, "processor_seconds": 0.001, "images": 7,
                          "patches": 4000}],
                 "single": [{"seconds": 0.004, "processor_seconds": 0.002, "images": 7,
                             "patches": 400}],
                 "stages": {"Datum": 0.04, "PNG, write": 2.0, "PNG, read": 1.0,
                            "png_bytes": 50_000.0, "raw_bytes": 200_000.0}},
        "scoring": {"plain": [0.02], "ours": [0.01],
                    "tails": {blob: [0.001] for blob in prefix.BOUNDARIES.values()}},
        "sweep": {"iterations": 80, "evaluate_every": 20, "train-100": 1600,
                  "validation-100": 400, "test": 1000, "seconds": [100.0]},
        "depths": {"fc8": {"plain": [1.0, 0.9, 1.1], "plain_test_batch": [2.0], "whole": [0.5],
                           "tail": [0.01, 0.0125, 0.02]},
                   "conv1": {"plain": [3.0], "plain_test_batch": [2.0], "whole": [1.5, 2.0, 1.2]}},
        "pytorch": {"version": "2", "fc8, 1 thread": {"caffe": [0.5], "torch": [0.25]}},
    }
    return {"scale": "full", "bars": [],
            "machine": {"processor": "P", "cores": 2, "memory_gb": 24, "system": "Linux",
                        "python": "3.9", "caffe": "1.0.0", "versions": {"numpy": "1.19"},
                        "blas": "OpenBLAS", "kernel": "Zen", "variables": {}},
            "sections": {name: {"complete": True, "minutes": 1.0, "git": "0123456789abcdef",
                                "samples": samples} for name, samples in sections.items()}}
