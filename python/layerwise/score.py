"""Probabilities from a network: patches of an LMDB, averaged over the patches of a candidate."""
from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from layerwise.contracts import Candidate, IndexRow, Score, read_index
from layerwise.errors import InputError
from layerwise.kept import Kept
from layerwise.ranking import area_under_roc, questions

BATCH = 32


@contextmanager
def _reading(lmdb_folder: Path) -> Iterator[Any]:
    """A transaction of an LMDB; InputError when that is missing or corrupt."""
    import lmdb
    from google.protobuf.message import DecodeError

    if not (lmdb_folder / "data.mdb").is_file():
        raise InputError(f"{lmdb_folder}: no LMDB here; run `layerwise prepare` again")
    try:
        with lmdb.open(str(lmdb_folder), readonly=True, lock=False) as env, env.begin() as view:
            yield view
    except lmdb.MemoryError:
        raise MemoryError from None
    except (lmdb.Error, DecodeError, ValueError) as error:
        raise InputError(f"{lmdb_folder}: corrupt LMDB ({error}); "
                         "delete its folder and run `layerwise prepare` again") from None


def keys_of(lmdb_folder: Path) -> list[str]:
    """All keys of an LMDB, in order; InputError when it is missing, corrupt or empty."""
    with _reading(lmdb_folder) as view:
        return [key.decode() for key in _keys(lmdb_folder, view)]


def _keys(lmdb_folder: Path, view: Any) -> list[bytes]:
    keys = list(view.cursor().iternext(values=False))
    if not keys:
        raise InputError(f"{lmdb_folder}: the LMDB is empty")
    return keys


def batches(lmdb_folder: Path, size: int, begin: int = 0
            ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Images (n, 3, 227, 227) uint8 BGR and labels (n,), n = `size` but for the last.

    Args:
        begin: number of the first datum.

    Raises InputError when the LMDB is missing, corrupt or empty.
    """
    from caffe.proto import caffe_pb2

    with _reading(lmdb_folder) as view:
        keys = _keys(lmdb_folder, view)
        for first in range(begin, len(keys), size):
            images, labels = [], []
            for key in keys[first:first + size]:
                datum = caffe_pb2.Datum.FromString(view.get(key))
                images.append(np.frombuffer(datum.data, np.uint8).reshape(
                    datum.channels, datum.height, datum.width))
                labels.append(datum.label)
            yield np.stack(images), np.array(labels)


def less_mean(images: np.ndarray, mean_bgr: Sequence[float]) -> np.ndarray:
    """Images (n, 3, rows, columns) uint8 BGR as float32 less the channel means."""
    return images.astype(np.float32) - np.asarray(mean_bgr, np.float32).reshape(1, -1, 1, 1)


def feed(net: Any, blob: str, values: np.ndarray) -> None:
    """Put a batch into an input blob of a pycaffe net, which takes the batch's size."""
    if net.blobs[blob].data.shape != values.shape:
        net.blobs[blob].reshape(*values.shape)
    net.blobs[blob].data[...] = values


def answers(net: Any, values: np.ndarray, blob: str = "data") -> np.ndarray:
    """Class probabilities (n, classes) of a batch put into an input blob of a deploy network."""
    feed(net, blob, values)
    return np.array(net.forward()["prob"].reshape(len(values), -1))


def predict(net: Any, lmdb_folder: Path, mean_bgr: Sequence[float],
            progress: Callable[[int], None] = lambda count: None, kept: Kept | None = None
            ) -> tuple[np.ndarray, np.ndarray]:
    """Labels (n,) and class probabilities (n, classes) of every datum of an LMDB, in its order.

    Args:
        net: pycaffe deploy network, input `data`, output `prob`.
        mean_bgr: subtracted from each channel, on the 0..255 scale.
        progress: called with the number of patches done since the last call.
        kept: what is answered already; the rest is added to it.
    """
    kept = kept or Kept()
    progress(kept.done)
    for images, labels in batches(lmdb_folder, BATCH, kept.done):
        kept.add(labels, answers(net, less_mean(images, mean_bgr)))
        progress(len(labels))
    return kept.all()


def auc(labels: np.ndarray, probabilities: np.ndarray, rule: str = "lesion") -> float:
    """Area under the ROC curve, the mean over a rule's questions (see `ranking`).

    Args:
        rule: `Task.ranking`: everything but the background (class 0) against it, or each class
            against the rest.

    Raises ValueError when all labels are the same or a score is NaN.
    """
    asked = questions(labels, probabilities, rule)
    if not asked:
        raise ValueError("all labels are the same")
    return float(np.mean([area_under_roc(one.scores[~one.positive], one.scores[one.positive])
                          for one in asked]))


def checked_index(folder: Path) -> list[IndexRow]:
    """index.csv of a prepared set; InputError when it does not match its LMDB's size."""
    import lmdb

    rows = read_index(folder / "index.csv")
    try:
        with lmdb.open(str(folder / "lmdb"), readonly=True, lock=False, create=False) as env:
            entries = env.stat()["entries"]
    except lmdb.MemoryError:
        raise MemoryError from None
    except lmdb.Error as error:
        raise InputError(f"{folder / 'lmdb'}: missing or corrupt LMDB ({error}); "
                         "delete its folder and run `layerwise prepare` again") from None
    _check_lock(folder / "lmdb")
    if entries != len(rows):
        raise InputError(f"{folder}: {entries} images in the LMDB, {len(rows)} rows in index.csv; "
                         "delete the folder and run `layerwise prepare` again")
    return rows


def _check_lock(lmdb_folder: Path) -> None:
    """InputError where Caffe would abort: it opens an LMDB with its lock file, even to read."""
    lock = lmdb_folder / "lock.mdb"
    writable = os.access(lock, os.R_OK | os.W_OK) if lock.exists() \
        else os.access(lmdb_folder, os.W_OK)
    if not writable and not os.statvfs(lmdb_folder).f_flag & os.ST_RDONLY:
        raise InputError(f"{lmdb_folder}: belongs to another user, and Caffe must write its lock "
                         "file; prepare the data as the same user or choose another --data folder")


def average(rows: Sequence[IndexRow], keys: Sequence[str], probabilities: np.ndarray,
            candidates: Sequence[Candidate]) -> list[Score]:
    """Mean probability of each candidate over its patches (section IV-A), in candidate order.

    Args:
        rows: the index of the test LMDB.
        keys: LMDB keys in the order of `probabilities` (n, classes).

    Raises InputError when index and keys differ or a candidate has no patch.
    """
    if [row.key for row in rows] != list(keys):
        raise InputError("index.csv and the LMDB of the test set hold different keys; "
                         "run `layerwise prepare` again")
    members: dict[str, list[int]] = {}
    for position, row in enumerate(rows):
        members.setdefault(row.candidate, []).append(position)
    scores = []
    for one in candidates:
        if one.candidate not in members:
            raise InputError(f"candidate {one.candidate} has no patch in the test set")
        mean = probabilities[members[one.candidate]].astype(np.float64).mean(axis=0)
        scores.append(Score(one.case, one.group, one.candidate, one.lesion, one.label,
                            tuple(float(value) for value in np.clip(mean, 0.0, 1.0))))
    return scores
