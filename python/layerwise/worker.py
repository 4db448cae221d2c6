"""The child process that owns Caffe: `python3 -m layerwise.worker VERB SUBJECT [SOURCE]`.

Caffe ends its process on many errors, so it never runs in the process the user talks to. The child
writes events as JSON lines on standard output; Caffe's log goes to standard error.
"""
from __future__ import annotations

import ctypes
import hashlib
import json
import os
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from layerwise import features, use
from layerwise.child import OUT_OF_MEMORY
from layerwise.contracts import (
    IndexRow,
    read_cases,
    read_test_candidates,
    write_bytes,
    write_scores,
)
from layerwise.device import use_device
from layerwise.errors import InputError, LayerwiseError, refused
from layerwise.kept import KEPT, Kept, forget
from layerwise.prepared import check_data
from layerwise.runs import BEST, PATCHES, SCORES, TAIL_DEPLOY, Run, load_run, read_tail
from layerwise.score import average, checked_index, keys_of, predict
from layerwise.tasks import task_named
from layerwise.train import train
from layerwise.validation import Judged, write_validation
from layerwise.weights import sha1_of


def emit(event: dict[str, Any]) -> None:
    """One event for the parent."""
    print(json.dumps(event), flush=True)


def best_network(folder: Path, deploy: str = "deploy.prototxt") -> Any:
    """The best snapshot of a run, in a deploy network of its folder."""
    import caffe

    if not (folder / BEST).is_file():
        raise InputError(f"{folder / BEST}: the network is gone; delete the run folder to train it "
                         "again")
    return caffe.Net(str(folder / deploy), caffe.TEST, weights=str(folder / BEST))


def _answers(folder: Path, run: Run, name: str,
             progress: Callable[[int], None] = lambda count: None, keep: bool = False
             ) -> tuple[list[IndexRow], list[str], np.ndarray, np.ndarray]:
    """Index, keys, labels and probabilities of a set, by the best snapshot.

    From its stored activations, if any; where they are gone the whole network gives the same.

    Args:
        keep: keep the answers in parts below the run's folder and go on from those there.
    """
    rows, tail = checked_index(Path(run.data) / name), read_tail(folder)
    stored = tail and {"test": tail.test, f"validation-{run.fraction}": tail.validation}.get(name)
    blob = tail.blob if tail and stored and features.is_stored(stored) else None
    net = best_network(folder, TAIL_DEPLOY if blob else "deploy.prototxt")
    kept = _kept(folder, run, blob) if keep else None
    if stored and blob:
        keys = [row.key for row in rows]
        labels, probabilities = features.predict(net, stored, blob, progress, kept)
    else:
        lmdb_folder = Path(run.data) / name / "lmdb"
        keys = keys_of(lmdb_folder)
        labels, probabilities = predict(net, lmdb_folder, run.mean_bgr, progress, kept)
    check_data(run)
    return rows, keys, labels, probabilities


def _kept(folder: Path, run: Run, blob: str | None) -> Kept:
    """The parts of the same scoring; those of others (trained again, other data) are removed."""
    facts = [sha1_of(folder / BEST), run.data_sha256, blob, run.gpu, run.threads,
             os.environ.get("OPENBLAS_CORETYPE")]
    mine = folder / (KEPT + hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16])
    forget(folder, mine)
    return Kept(mine, lambda: check_data(run))


def evaluate(folder: Path, run: Run) -> None:
    """Score the test set with the best snapshot: patches.h5 and scores.csv."""
    use_device(run.gpu)
    candidates = read_test_candidates(Path(run.data))
    rows, keys, labels, probabilities = _answers(folder, run, "test", _patches_done, keep=True)
    write_bytes(folder / PATCHES, features.hdf5({
        "key": np.array(keys, dtype="S8"), "label": labels.astype(np.int32),
        "probability": probabilities.astype(np.float32)}))
    write_scores(folder / SCORES, average(rows, keys, probabilities, candidates), run.classes)
    forget(folder)


def validate(folder: Path, run: Run, name: str) -> None:
    """Score a validation set with the best snapshot: validation.h5."""
    use_device(run.gpu)
    rows, _, labels, probabilities = _answers(folder, run, name)
    write_validation(folder, Judged(name, np.array([row.key for row in rows]),
                                    np.array([row.group for row in rows]), labels, probabilities))


def evaluate_regions(folder: Path, run: Run) -> None:
    """Trace the interfaces of the test regions with the best snapshot, see `boundary_files`."""
    from layerwise import boundary, boundary_files
    from layerwise.dense import Convolutional
    from layerwise.regions import REGIONS, read_regions

    use_device(run.gpu)
    path = Path(run.data) / "test" / REGIONS
    regions = read_regions(path)
    boundary_files.check_cases(path, regions, read_cases(Path(run.data) / "cases.csv"))
    net = Convolutional(best_network(folder))
    maps = [net.maps(region, run.mean_bgr, progress=_patches_done) for region in regions]
    check_data(run)
    lines = [boundary.trace(each) for each in maps]
    boundary_files.write_confidence(folder, regions, maps)
    boundary_files.write_example(folder, regions, lines, maps)
    boundary_files.write_lines(folder, regions, lines)


def confidence(request: dict[str, Any]) -> None:
    """Confidence maps of one region; the request is made by `trace`."""
    from layerwise.dense import Convolutional
    from layerwise.regions import REGIONS, read_regions

    folder = Path(request["run"])
    net = Convolutional(best_network(folder))
    region = read_regions(Path(request["folder"]) / REGIONS)[0]
    np.save(request["maps"], net.maps(region, load_run(folder).mean_bgr, request["side_px"]))


def _patches_done(count: int) -> None:
    emit({"patches": count})


def store_features(request: dict[str, Any]) -> None:
    """Store the activations of one set; the request is made by `frozen.store_features`."""
    import caffe

    use_device(request["gpu"])
    net = caffe.Net(request["deploy"], caffe.TEST, weights=request["source"])
    features.store(net, Path(request["patches"]),
                   {blob: Path(folder) for blob, folder in request["targets"].items()},
                   request["mean_bgr"], request["batch_size"], _patches_done)


def die_with_parent() -> None:
    """Have Linux kill this process when the thread that started it ends, however that ends.

    A parent that is gone already is noticed at the first event, which nobody reads.
    """
    if sys.platform == "linux":
        PR_SET_PDEATHSIG = 1
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def main(arguments: Sequence[str]) -> int:
    """Run one verb; the last event is `ended` or `error`."""
    die_with_parent()
    verb, subject = arguments[:2]
    place = subject
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))   # so that temporary files go
    try:
        if verb == "features":
            request = json.loads(subject)
            place = request["folder"]
            store_features(request)
            ended = "stored"
        elif verb == "confidence":
            request = json.loads(subject)
            place = request["run"]
            confidence(request)
            ended = "mapped"
        elif verb == "train":
            folder, run = Path(subject), load_run(Path(subject))
            for name in ("train", "validation"):
                checked_index(Path(run.data) / f"{name}-{run.fraction}")
            source = Path(arguments[2]) if len(arguments) > 2 else None
            ended = train(folder, run, source, emit)
        elif verb == "validate":
            data, name = arguments[2:]        # a finished run may name another place of its data
            validate(Path(subject), replace(load_run(Path(subject)), data=data), name)
            ended = "validated"
        elif verb == "use":
            request = json.loads(subject)
            place = request["folder"]
            use.score(request, _patches_done)
            ended = "used"
        else:
            run = load_run(Path(subject))
            by_region = task_named(run.task).by_region
            (evaluate_regions if by_region else evaluate)(Path(subject), run)
            ended = "scored"
    except LayerwiseError as error:
        emit({"error": str(error), "exit_code": error.exit_code})
        return error.exit_code
    except MemoryError:
        emit({"error": f"{place}: {OUT_OF_MEMORY}", "exit_code": LayerwiseError.exit_code})
        return LayerwiseError.exit_code
    except BrokenPipeError:          # nobody listens any more
        return LayerwiseError.exit_code
    except OSError as error:
        refusal = refused(error, place)
        emit({"error": str(refusal), "exit_code": refusal.exit_code})
        return refusal.exit_code
    emit({"ended": ended})
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
