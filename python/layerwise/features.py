"""Stored activations at the boundaries of the frozen prefix: computed once, shared by all runs.

Stored as HDF5, not as an LMDB of Datums: float values of a Datum take five bytes each and must be
parsed one by one, while Caffe's HDF5Data layer copies whole arrays. The folder's name is a hash of
what the values' bits depend on: patches, source weights, mean, BLAS kernel and threads, and the
batch size (the matrix product of fc6 runs over the batch, and its rounding depends on that size).
"""
from __future__ import annotations

import hashlib
import io
import json
import math
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from layerwise.contracts import atomic_text, sync, write_bytes
from layerwise.errors import InputError
from layerwise.kept import Kept
from layerwise.score import BATCH, answers, batches, feed, less_mean

FILE_PATCHES = 256
LISTING = "files.txt"     # names, relative, so that the data folder may be moved
PARTIAL = ".partial-"
_HEADER_BYTES, _LABEL_BYTES = 1672, 4    # of a file of two data sets, of a patch


def key_of(content_sha256: str, source_sha1: str, mean_bgr: Sequence[float], batch_size: int,
           arithmetic: str) -> str:
    """Name of the folder for a set's activations: its content, and a hash of all they depend on.

    Args:
        content_sha256: of the set's patches.
        batch_size: of the training for a training set, `score.BATCH` for the others.
        arithmetic: BLAS kernel and threads, or that a GPU computed them.
    """
    key = json.dumps([content_sha256, source_sha1, list(mean_bgr), batch_size, arithmetic])
    return f"{content_sha256[:12]}-{hashlib.sha256(key.encode()).hexdigest()[:16]}"


def is_of(key: str, content_sha256: str) -> bool:
    """Whether a folder of this name holds activations of the patches with this content."""
    return key.rpartition("-")[0] == content_sha256[:12]


def is_stored(folder: Path) -> bool:
    """Whether the activations are complete: the listing is written last."""
    return (folder / LISTING).is_file()


def files(folder: Path) -> list[Path]:
    """The HDF5 files of stored activations, in set order."""
    return [folder / name for name in (folder / LISTING).read_text(encoding="utf-8").split()]


def size_bytes(patches: int, bytes_per_patch: int) -> int:
    """Disk space of stored activations, to within 1%."""
    return (patches * (bytes_per_patch + _LABEL_BYTES)
            + math.ceil(patches / FILE_PATCHES) * _HEADER_BYTES)


def stored_bytes(folder: Path) -> int:
    """Disk space of all that is stored below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*.h5"))


def stored_sets(folder: Path) -> int:
    """How many sets of activations are complete in `<folder>/<key>/<blob>/`."""
    return sum(PARTIAL not in path.parent.name for path in folder.glob(f"*/*/*/{LISTING}"))


def hdf5(arrays: Mapping[str, np.ndarray]) -> memoryview:
    """An HDF5 file with these data sets; equal values give equal bytes.

    Made in memory: HDF5 itself loses values without a word when the disk is full.
    """
    import h5py

    image = io.BytesIO()
    with h5py.File(image, "w") as archive:
        for name, values in arrays.items():
            archive.create_dataset(name, data=values, track_times=False)
    return image.getbuffer()


def store(net: Any, patches: Path, targets: dict[str, Path], mean_bgr: Sequence[float],
          batch_size: int, progress: Callable[[int], None]) -> None:
    """Run all patches of an LMDB through the network once, storing several boundaries.

    Args:
        net: pycaffe deploy network (TEST phase: dropout does nothing) with the source weights.
        targets: folder of each boundary blob.
        progress: called with the number of patches done since the last call.

    Raises InputError when the LMDB is unusable, OSError when the disk is full.
    """
    partial = {blob: folder.with_name(f".{folder.name}{PARTIAL}{os.getpid()}")
               for blob, folder in targets.items()}
    top = [layer for layer, blob in zip(net._layer_names, _tops(net)) if blob in targets][-1]
    writers = {blob: _Writer(folder, blob) for blob, folder in partial.items()}
    try:
        for images, labels in batches(patches, batch_size):
            feed(net, "data", less_mean(images, mean_bgr))
            net.forward(end=top)
            for blob, writer in writers.items():
                writer.add(net.blobs[blob].data, labels)
            progress(len(labels))
        for blob, writer in writers.items():
            names = writer.close()
            with atomic_text(partial[blob] / LISTING) as handle:
                handle.writelines(f"{name}\n" for name in names)
            shutil.rmtree(targets[blob], ignore_errors=True)      # without a listing
            os.replace(partial[blob], targets[blob])
            sync(targets[blob].parent)
    finally:
        for folder in partial.values():
            shutil.rmtree(folder, ignore_errors=True)


def _tops(net: Any) -> list[str]:
    return [net.top_names[name][0] if net.top_names[name] else "" for name in net._layer_names]


class _Writer:
    """HDF5 files of at least FILE_PATCHES rows each, datasets `<blob>` and `label`."""

    def __init__(self, folder: Path, blob: str) -> None:
        folder.mkdir(parents=True)
        self._folder, self._blob = folder, blob
        self._values: list[np.ndarray] = []
        self._labels: list[np.ndarray] = []
        self._names: list[str] = []

    def add(self, values: np.ndarray, labels: np.ndarray) -> None:
        self._values.append(values.copy())
        self._labels.append(labels)
        if sum(len(part) for part in self._labels) >= FILE_PATCHES:
            self._flush()

    def _flush(self) -> None:
        if not self._values:
            return
        name = f"{len(self._names):05d}.h5"
        write_bytes(self._folder / name, hdf5({
            self._blob: np.concatenate(self._values),
            "label": np.concatenate(self._labels).astype(np.float32)}))
        self._names.append(name)
        self._values, self._labels = [], []

    def close(self) -> list[str]:
        """Write what is left; names of all files in order."""
        self._flush()
        return self._names


def predict(net: Any, folder: Path, blob: str,
            progress: Callable[[int], None] = lambda count: None, kept: Kept | None = None
            ) -> tuple[np.ndarray, np.ndarray]:
    """Labels (n,) and probabilities (n, classes) from stored activations, in set order.

    `net` is the deploy network's tail. Batches, `progress` and `kept` are those of `score.predict`.
    """
    import h5py

    kept = kept or Kept()
    progress(kept.done)
    passed = 0                # patches of the files before this one
    for path in files(folder):
        try:
            with h5py.File(str(path), "r") as archive:
                labels = archive["label"][()].astype(np.int64)
                values = archive[blob][kept.done - passed:]
        except OSError as error:
            raise InputError(f"{path}: unreadable stored activations ({error}); "
                             f"delete {folder}") from None
        for begin in range(0, len(values), BATCH):
            part = values[begin:begin + BATCH]
            kept.add(labels[kept.done - passed:][:len(part)], answers(net, part, blob))
            progress(len(part))
        passed += len(labels)
    return kept.all()
