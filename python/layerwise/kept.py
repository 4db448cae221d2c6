"""Answers of a long scoring, kept in parts: stopped or killed, it goes on after the last one."""
from __future__ import annotations

import io
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from layerwise.contracts import write_bytes
from layerwise.errors import InputError

KEPT = "scoring-"         # begins the name of the folder of parts in a run's folder
PART_PATCHES = 4096       # of a part: a multiple of all batch sizes, some two minutes of one core


class Kept:
    """Labels and class probabilities of a set's patches, in set order.

    Args:
        folder: where parts are written and those of an earlier attempt are read; None keeps all in
            memory.
        check: called before a part is written; raises when the answers are not worth keeping.

    Raises InputError for an unreadable part.
    """

    def __init__(self, folder: Path | None = None, check: Callable[[], None] = lambda: None
                 ) -> None:
        self._folder, self._check = folder, check
        self._parts = [_read(path) for path in sorted(folder.glob("*.npz"))] if folder else []
        self._new: list[tuple[np.ndarray, np.ndarray]] = []
        self.done = sum(len(labels) for labels, _ in self._parts)

    def add(self, labels: np.ndarray, probabilities: np.ndarray) -> None:
        """The next patches' labels (n,) and class probabilities (n, classes)."""
        self._new.append((labels, probabilities))
        self.done += len(labels)
        if self._folder and sum(len(labels) for labels, _ in self._new) >= PART_PATCHES:
            self._check()
            part = _joined(self._new)
            image = io.BytesIO()
            np.savez(image, labels=part[0], probabilities=part[1])
            write_bytes(self._folder / f"{len(self._parts):06d}.npz", image.getvalue())
            self._parts.append(part)
            self._new = []

    def all(self) -> tuple[np.ndarray, np.ndarray]:
        """Labels (n,) and probabilities (n, classes) of all patches."""
        return _joined([*self._parts, *self._new])


def parts_of(run_folder: Path) -> int:
    """How many parts of an unfinished scoring there are."""
    return len(list(run_folder.glob(f"{KEPT}*/*.npz")))


def forget(run_folder: Path, but: Path | None = None) -> None:
    """Remove all parts, but for one folder of them."""
    for path in run_folder.glob(f"{KEPT}*"):
        if path != but:
            shutil.rmtree(path)


def _joined(parts: list[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    labels, probabilities = zip(*parts)
    return np.concatenate(labels), np.concatenate(probabilities)


def _read(path: Path) -> tuple[np.ndarray, np.ndarray]:
    try:
        with np.load(str(path)) as archive:
            return archive["labels"], archive["probabilities"]
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise InputError(f"{path}: unreadable ({error}); delete {path.parent}") from None
