"""The child process that owns Caffe: `python3 -m layerwise.worker VERB FOLDER [SOURCE]`.

Caffe ends its process on many errors, so it never runs in the process the user talks to. The child
writes events as JSON lines on standard output; Caffe's log goes to standard error.
"""
from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from layerwise.contracts import read_candidates, read_cases, write_scores
from layerwise.errors import LayerwiseError
from layerwise.runs import BEST, PATCHES, SCORES, Run, load_run
from layerwise.score import average, checked_index, predict
from layerwise.train import train


def emit(event: dict[str, Any]) -> None:
    """One event for the parent."""
    print(json.dumps(event), flush=True)


def evaluate(folder: Path, run: Run) -> None:
    """Score the test set with the best snapshot: patches.h5 and scores.csv."""
    import caffe

    if run.gpu is not None:
        caffe.set_mode_gpu()
        caffe.set_device(run.gpu)
    data = Path(run.data)
    rows = checked_index(data / "test")
    tested = {case.case for case in read_cases(data / "cases.csv") if case.split == "test"}
    candidates = [row for row in read_candidates(data / "candidates.csv") if row.case in tested]
    net = caffe.Net(str(folder / "deploy.prototxt"), caffe.TEST, weights=str(folder / BEST))
    keys, labels, probabilities = predict(net, data / "test" / "lmdb", run.mean_bgr,
                                          lambda done: emit({"patches": done}))
    _write_patches(folder / PATCHES, keys, labels, probabilities)
    write_scores(folder / SCORES, average(rows, keys, probabilities, candidates), run.classes)


def _write_patches(path: Path, keys: list[str], labels: np.ndarray,
                   probabilities: np.ndarray) -> None:
    import h5py

    partial = path.with_name(f".{path.name}.partial")
    with h5py.File(str(partial), "w") as archive:
        archive["key"] = np.array(keys, dtype="S8")
        archive["label"] = labels.astype(np.int32)
        archive["probability"] = probabilities.astype(np.float32)
    partial.replace(path)


def main(arguments: Sequence[str]) -> int:
    """Run one verb; the last event is `ended` or `error`."""
    verb, folder = arguments[0], Path(arguments[1])
    source = Path(arguments[2]) if len(arguments) > 2 else None
    try:
        run = load_run(folder)
        if verb == "train":
            for name in ("train", "validation"):
                checked_index(Path(run.data) / f"{name}-{run.fraction}")
            emit({"ended": train(folder, run, source, emit)})
        else:
            evaluate(folder, run)
            emit({"ended": "scored"})
    except LayerwiseError as error:
        emit({"error": str(error), "exit_code": error.exit_code})
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
