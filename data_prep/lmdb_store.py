"""Patches as Caffe reads them: an LMDB of Datum messages with an index.csv beside it.

Keys are eight digits in ascending order, values serialized `caffe.proto.caffe_pb2.Datum` with
uint8 BGR pixels, channels first. Caffe's data layer reads in key order and never reshuffles, so
the order of the rows is the order of training.
"""
from __future__ import annotations

import hashlib
import itertools
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import cv2
import lmdb
import numpy as np

from layerwise.contracts import IndexRow, read_index, write_rows
from layerwise.errors import InputError, LayerwiseError
from layerwise.machine import check_free

BATCH = 32                  # rows per transaction: 5 MB of patches, which the cache holds
_PAGE_BYTES = 4096          # LMDB's overflow pages on every machine Caffe runs on
_SPARE_BYTES = 1 << 20      # branch pages, meta pages, freed pages


def key_of(position: int) -> str:
    """The key of the row at `position`."""
    return f"{position:08d}"


def datum_bytes(patch: np.ndarray, label: int) -> bytes:
    """A serialized Datum of a (h, w, 3) uint8 BGR patch."""
    from caffe.proto import caffe_pb2  # needs pycaffe; everything else here does not
    height, width, channels = patch.shape
    datum = caffe_pb2.Datum(channels=channels, height=height, width=width, label=label,
                            data=b"".join(plane.tobytes() for plane in cv2.split(patch)))
    return bytes(datum.SerializeToString())


def estimated_bytes(rows: int, value_bytes: int) -> int:
    """Size of the data file for `rows` values of about `value_bytes` each."""
    pages = -(-(value_bytes + 64) // _PAGE_BYTES)
    return rows * pages * _PAGE_BYTES + _SPARE_BYTES


def write_set(folder: Path, rows: Sequence[IndexRow], values: Iterable[bytes],
              value_bytes: int) -> str:
    """Write lmdb/ and index.csv into an existing folder and verify them; SHA-256 of the values.

    `rows` must carry the keys `key_of(0)`, `key_of(1)`, ... and `values` the same number of
    serialized Datums; `value_bytes` estimates the size of one. The same rows and values give the
    same bytes on disk. Raises InputError when the disk is full and LayerwiseError when the number
    of values is not the number of rows.
    """
    needed = estimated_bytes(len(rows), value_bytes)
    check_free(folder.parent, needed)
    path = folder / "lmdb"
    path.mkdir()
    content = hashlib.sha256()
    # Without a lock file and with the default meminit no byte of the file is left to chance.
    try:
        with lmdb.open(str(path), map_size=needed, lock=False, sync=False, meminit=True) as store:
            for batch in _batches(rows, values):
                for _, value in batch:
                    content.update(value)
                _put(store, batch)
            store.sync(True)
    except (lmdb.Error, OSError) as error:
        # LMDB reports a full disk as an input/output error: the write came out short.
        free = shutil.disk_usage(folder.parent).free
        reason = "disk full" if free < BATCH * value_bytes else f"writing failed ({error})"
        raise InputError(f"{folder.parent}: {reason}, {needed / 1e9:.2f} GB needed and "
                         f"{free / 1e9:.2f} GB free; free some space or choose another data folder"
                         ) from error
    write_rows(folder / "index.csv", rows, IndexRow)
    check_set(folder)
    return content.hexdigest()


def _batches(rows: Sequence[IndexRow], values: Iterable[bytes]
             ) -> Iterator[list[tuple[bytes, bytes]]]:
    stream = iter(values)
    for start in range(0, len(rows), BATCH):
        keys = [row.key.encode() for row in rows[start:start + BATCH]]
        part = list(zip(keys, itertools.islice(stream, len(keys))))
        if len(part) != len(keys):
            raise LayerwiseError(f"{start + len(part)} patches for {len(rows)} index rows")
        yield part
    if next(stream, None) is not None:
        raise LayerwiseError(f"more patches than the {len(rows)} index rows")


def _put(store: lmdb.Environment, batch: Sequence[tuple[bytes, bytes]]) -> None:
    """One transaction; the map is enlarged by half and the transaction repeated if it is full."""
    while True:
        try:
            with store.begin(write=True) as transaction:
                for key, value in batch:
                    if not transaction.put(key, value, append=True, overwrite=False):
                        raise LayerwiseError(f"LMDB key {key.decode()} occurs twice")
            return
        except lmdb.MapFullError:
            store.set_mapsize(store.info()["map_size"] * 3 // 2)


def check_set(folder: Path) -> int:
    """Number of rows of a written set, after comparing LMDB and index key by key.

    Raises InputError when the LMDB cannot be opened or the two disagree.
    """
    index = read_index(folder / "index.csv")
    path = folder / "lmdb"
    try:
        with lmdb.open(str(path), readonly=True, lock=False, create=False) as store:
            entries = store.stat()["entries"]
            with store.begin() as transaction:
                keys = [key.decode() for key in transaction.cursor().iternext(values=False)]
    except lmdb.Error as error:
        raise InputError(f"{path}: cannot be read as LMDB ({error}); prepare the data again"
                         ) from None
    if entries != len(index) or keys != [row.key for row in index]:
        raise InputError(f"{path}: {entries} entries do not match the {len(index)} rows of "
                         "index.csv; prepare the data again")
    return len(index)
