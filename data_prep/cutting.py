"""Cutting many patches out of many images, in any order, each image read as rarely as possible."""
from __future__ import annotations

import functools
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_prep.lmdb_store import datum_bytes
from data_prep.parallel import ordered_map
from data_prep.recipe import Views
from layerwise.contracts import Candidate

WINDOW = 1024  # patches held in memory (160 MB) to be cut image by image and put back in order
BATCH = 32     # patches per message of a worker


@dataclass(frozen=True)
class Cut:
    """One patch to cut out of an image's file."""

    path: Path
    candidate: Candidate
    view: str


@functools.lru_cache(maxsize=1)
def _image(load: Callable[[Path], Any], path: Path) -> Any:
    """What patches are cut from, loaded once for those that follow each other in a worker."""
    return load(path)


def _cut(views: Views, cuts: Sequence[Cut]) -> list[bytes]:
    """Serialized Datums."""
    return [datum_bytes(views.cut(_image(views.load, cut.path), cut.candidate, cut.view),
                        cut.candidate.label) for cut in cuts]


def cut_all(views: Views, cuts: Sequence[Cut], jobs: int, title: str
            ) -> Generator[bytes, None, None]:
    """Serialized Datums in the order of `cuts`.

    A shuffled set would load one image per patch. Within a window the patches are cut sorted by
    image and then put back in their order.
    """
    import caffe.proto.caffe_pb2  # noqa: F401  # here once, so that forked workers have it already
    _image.cache_clear()      # the file may be another by now
    windows = [range(start, min(start + WINDOW, len(cuts)))
               for start in range(0, len(cuts), WINDOW)]
    positions = [sorted(window, key=lambda i: (cuts[i].path, i)) for window in windows]
    by_image = [cuts[i] for part in positions for i in part]
    with closing(ordered_map(functools.partial(_cut, views), by_image, jobs, BATCH, title,
                             "patches")) as stream:
        for window, part in zip(windows, positions):
            values = dict(zip(part, stream))
            yield from (values.pop(i) for i in window)
