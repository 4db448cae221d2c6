"""Cutting many patches out of many frames, in any order, each frame read as rarely as possible."""
from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from data_prep import images, patches
from data_prep.lmdb_store import datum_bytes
from data_prep.parallel import ordered_map

WINDOW = 1024  # patches held in memory (160 MB) to be cut frame by frame and put back in order
BATCH = 32     # patches per message of a worker


@dataclass(frozen=True)
class Cut:
    """One patch to cut out of a frame's file."""

    image_path: Path
    box: patches.Box
    augmentation: patches.Augmentation
    label: int


def _cut(cuts: Sequence[Cut]) -> list[bytes]:
    """Serialized Datums; consecutive cuts of the same frame decode it once."""
    path, image, values = None, None, []
    for cut in cuts:
        if image is None or cut.image_path != path:
            path = cut.image_path
            image = images.to_bgr8(images.decode(path, images.read_bytes(path)))
        values.append(datum_bytes(patches.extract(image, cut.box, cut.augmentation), cut.label))
    return values


def cut_all(cuts: Sequence[Cut], jobs: int, title: str) -> Generator[bytes, None, None]:
    """Serialized Datums in the order of `cuts`.

    A shuffled set would decode one frame per patch. Within a window the patches are cut sorted by
    frame and then put back in their order.
    """
    import caffe.proto.caffe_pb2  # noqa: F401  # here once, so that forked workers have it already
    windows = [range(start, min(start + WINDOW, len(cuts)))
               for start in range(0, len(cuts), WINDOW)]
    positions = [sorted(window, key=lambda i: (cuts[i].image_path, i)) for window in windows]
    by_frame = [cuts[i] for part in positions for i in part]
    with closing(ordered_map(_cut, by_frame, jobs, BATCH, title, "patches")) as stream:
        for window, part in zip(windows, positions):
            values = dict(zip(part, stream))
            yield from (values.pop(i) for i in window)
