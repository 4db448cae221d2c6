"""Scoring patches with an exported network, inside the child process that owns Caffe."""
from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from layerwise.score import BATCH, answers, less_mean


def score(request: Mapping[str, Any], progress: Callable[[int], None]) -> None:
    """Probabilities of patches; the request is made by `predict.predict`.

    Args:
        request: deploy and weights (files), mean_bgr, patches (.npy, (n, 3, 227, 227) uint8 BGR)
            and probabilities (.npy to write, (n, classes) float32).
        progress: called with the number of patches done since the last call.
    """
    import caffe

    net = caffe.Net(request["deploy"], caffe.TEST, weights=request["weights"])
    patches = np.load(request["patches"], mmap_mode="r")
    found = []
    for begin in range(0, len(patches), BATCH):
        part = np.asarray(patches[begin:begin + BATCH])
        found.append(answers(net, less_mean(part, request["mean_bgr"])))
        progress(len(part))
    np.save(Path(request["probabilities"]), np.concatenate(found))
