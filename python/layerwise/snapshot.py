"""Caffe's snapshots on disk: taken, checked to be whole, kept and removed."""
from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from layerwise.contracts import replacing, sync
from layerwise.errors import InputError

PREFIX = "state"               # snapshot_prefix of the solver, in the run folder
_LAYER = 100                   # NetParameter.layer
_LAST_OF_STATE = 4             # SolverState.current_step, which Caffe always sets
_FIXED_BYTES = {1: 8, 5: 4}    # length by wire type, where no length is written


def stem(folder: Path, iteration: int) -> Path:
    """Caffe's name for the snapshot of an iteration, without its two suffixes."""
    return folder / f"{PREFIX}_iter_{iteration}"


def state_file(folder: Path, iteration: int) -> Path:
    """The solver state of an iteration, which names the weights beside it."""
    return stem(folder, iteration).with_suffix(".solverstate")


def take(folder: Path, solver: Any, iteration: int) -> Path:
    """Write weights and solver state of an iteration; the weights' path.

    Raises InputError when a file came out short.
    """
    solver.snapshot()
    model = stem(folder, iteration).with_suffix(".caffemodel")
    check_whole(model, _LAYER, len(solver.net.layers))
    check_whole(state_file(folder, iteration), _LAST_OF_STATE, 1)
    return model


def save_net(net: Any, path: Path) -> None:
    """Write a network's weights atomically. Raises InputError when the file came out short."""
    with replacing(path) as partial:
        net.save(str(partial))
        check_whole(partial, _LAYER, len(net.layers))


def keep(model: Path, path: Path) -> None:
    """Give a snapshot's weights a second name, without a copy where the disk can."""
    with replacing(path) as partial:
        try:
            os.link(model, partial)
        except OSError:                # a file system without hard links
            shutil.copyfile(model, partial)


def remove(folder: Path, but: int | None = None) -> None:
    """Remove all snapshots but that of one iteration."""
    kept = "" if but is None else stem(folder, but).name
    for path in folder.glob(f"{PREFIX}_iter_*"):
        if path.stem != kept:
            path.unlink()


def check_whole(path: Path, field: int, count: int) -> None:
    """Raise InputError unless the file is a whole message with `count` of a field; sync it.

    Caffe leaves up to the last 1023 bytes to the closing of the file and does not look whether they
    were written: on a full disk it goes on with a file cut short.
    """
    try:
        found = sum(number == field for number in _fields(path))
    except EOFError:
        found = -1
    if found != count:
        raise InputError(f"{path}: was cut short, most likely by a full disk; free some space, "
                         "then the same command goes on")
    sync(path)
    sync(path.parent)


def _fields(path: Path) -> Iterator[int]:
    """Numbers of a protobuf message's fields in file order; EOFError when the last is cut short."""
    size = path.stat().st_size
    with path.open("rb") as handle:
        while handle.tell() < size:
            key = _varint(handle)
            if key & 7 == 0:
                _varint(handle)
            else:
                # An unknown type leads past the end.
                length = _varint(handle) if key & 7 == 2 else _FIXED_BYTES.get(key & 7, size)
                if handle.seek(length, os.SEEK_CUR) > size:
                    raise EOFError
            yield key >> 3


def _varint(handle: BinaryIO) -> int:
    value = shift = 0
    while True:
        byte = handle.read(1)
        if not byte:
            raise EOFError
        value |= (byte[0] & 127) << shift
        if byte[0] < 128:
            return value
        shift += 7
