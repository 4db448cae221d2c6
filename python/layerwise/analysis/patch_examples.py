"""Test patches with the highest and the lowest scores, when the prepared data are still there."""
from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from layerwise.analysis.collect import Run
from layerwise.analysis.marks import positive_scores
from layerwise.contracts import Score, read_index, read_scores
from layerwise.errors import InputError

PER_ROW = 8
SHRINK = 2  # every second pixel is enough on a page


@dataclass(frozen=True)
class PatchRow:
    """Candidates of one kind with their probabilities and PNG images as data URIs."""

    title: str
    candidates: tuple[str, ...]
    scores: tuple[float, ...]
    images: tuple[str, ...]


def choose(scores: Sequence[Score]) -> list[tuple[str, list[int]]]:
    """Titles and row numbers: lesions scored high and low, false positives scored high and low."""
    values = positive_scores(scores)
    positive = np.array([row.label != 0 for row in scores], dtype=bool)
    chosen = []
    for title, of_class, sign in (("positives, highest scores", positive, -1),
                                  ("positives, lowest scores", positive, 1),
                                  ("negatives, highest scores", ~positive, -1),
                                  ("negatives, lowest scores", ~positive, 1)):
        rows = np.flatnonzero(of_class)
        order = rows[np.argsort(sign * values[rows], kind="stable")][:PER_ROW]
        if order.size:
            chosen.append((title, [int(row) for row in order]))
    return chosen


def _png(image: np.ndarray) -> str:
    from matplotlib.image import imsave

    buffer = io.BytesIO()
    imsave(buffer, np.ascontiguousarray(image[::SHRINK, ::SHRINK]), format="png",
           metadata={"Software": ""})
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def read_patches(test: Path, candidates: Sequence[str]) -> dict[str, np.ndarray]:
    """First patch of each candidate from `<test>/lmdb`, uint8 (rows, columns, RGB).

    Needs the lmdb module and Caffe's Datum message; raises InputError when they, or the data, are
    not there.
    """
    try:
        import lmdb
        from caffe.proto import caffe_pb2
    except ImportError as error:
        raise InputError(f"{test}: patches cannot be read here ({error})") from None
    keys: dict[str, str] = {}
    for row in read_index(test / "index.csv"):
        keys.setdefault(row.candidate, row.key)
    patches = {}
    try:
        with lmdb.open(str(test / "lmdb"), readonly=True, lock=False, create=False) as store, \
                store.begin() as view:
            for candidate in candidates:
                datum = caffe_pb2.Datum()
                datum.ParseFromString(view.get(keys[candidate].encode("ascii")) or b"")
                pixels = np.frombuffer(datum.data, dtype=np.uint8)
                patches[candidate] = pixels.reshape(datum.channels, datum.height,
                                                    datum.width)[::-1].transpose(1, 2, 0)
    except (lmdb.Error, KeyError, ValueError) as error:
        raise InputError(f"{test}: not the test patches of this run ({error})") from None
    return patches


def patch_rows(run: Run) -> list[PatchRow]:
    """Example patches of a run; InputError says why there are none."""
    data = run.config.get("data")
    if not isinstance(data, str) or not (Path(data) / "test" / "index.csv").is_file():
        raise InputError(f"{run.folder}: the prepared data folder is not here")
    scores, _ = read_scores(run.folder / "scores.csv")
    chosen = choose(scores)
    names = [scores[row].candidate for _, rows in chosen for row in rows]
    patches = read_patches(Path(data) / "test", names)
    return [PatchRow(title, tuple(scores[row].candidate for row in rows),
                     tuple(sum(scores[row].probabilities[1:]) for row in rows),
                     tuple(_png(patches[scores[row].candidate]) for row in rows))
            for title, rows in chosen]
