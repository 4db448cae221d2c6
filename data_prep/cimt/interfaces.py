"""Hand-traced interfaces of a carotid wall: polylines in CSV or JSON, or a label mask.

Coordinates are pixels of the frame, x right and y down, (0, 0) being the centre of the first pixel.
"""
from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from data_prep import images
from layerwise.contracts import read_table
from layerwise.errors import InputError

INTERFACES = ("lumen_intima", "media_adventitia")     # from the lumen outwards: upper, lower
TABLE_COLUMNS = ("interface", "x", "y")
SUFFIXES = (".csv", ".json", *images.IMAGE_SUFFIXES)

Traces = tuple[np.ndarray, np.ndarray]
"""Polyline of each of INTERFACES, (points, 2) float64: x, y; x strictly increases."""


def read_traces(path: Path, frame: tuple[int, int]) -> Traces:
    """The two traced interfaces of a frame of (rows, columns), by the file's suffix:

    * .csv with the columns interface, x, y, a point per line, the points of a line in their order;
    * .json, `{"lumen_intima": [[x, y], ...], "media_adventitia": [[x, y], ...]}`;
    * an image as large as the frame: not 0 between the two interfaces, 0 elsewhere. Interfaces run
      along the edges of its pixels, half a pixel from their centres.

    Points of equal x become one at their mean y. InputError for: missing, unreadable or other file,
    another interface or fewer than two points, numbers that are not finite, a line that turns back,
    a mask of another size, with several values, empty, or interrupted.
    """
    kind = path.suffix.lower()
    if kind not in SUFFIXES:
        raise InputError(f"{path}: lines of another kind, expected {', '.join(SUFFIXES)}")
    if kind in images.IMAGE_SUFFIXES:
        return _from_mask(path, frame)
    points = _from_table(path) if kind == ".csv" else _from_json(path)
    upper, lower = (_polyline(path, name, points[name]) for name in INTERFACES)
    return upper, lower


def _from_table(path: Path) -> dict[str, np.ndarray]:
    _, rows = read_table(path, TABLE_COLUMNS)
    points: dict[str, list[list[float]]] = {name: [] for name in INTERFACES}
    for row in rows:
        name = row["interface"].strip()
        if name not in points:
            raise InputError(f"{path}, line {row.number}: interface {name!r}, expected "
                             f"{' or '.join(INTERFACES)}")
        try:
            points[name].append([float(row["x"]), float(row["y"])])
        except ValueError:
            raise InputError(f"{path}, line {row.number}: x and y are {row['x']!r} and "
                             f"{row['y']!r}, expected numbers (pixels)") from None
    return {name: np.array(line).reshape(-1, 2) for name, line in points.items()}


def _from_json(path: Path) -> dict[str, np.ndarray]:
    expected = f"expected {{{', '.join(f'{name!r}: [[x, y], ...]' for name in INTERFACES)}}}"
    try:
        content = json.loads(images.read_bytes(path))
    except ValueError as error:
        raise InputError(f"{path}: not a JSON file ({error}); {expected}") from None
    if not isinstance(content, Mapping) or set(content) != set(INTERFACES):
        raise InputError(f"{path}: {expected}")
    points = {}
    for name in INTERFACES:
        try:
            points[name] = np.array(content[name], np.float64)
        except (TypeError, ValueError):
            points[name] = np.empty(0)
        if points[name].ndim != 2 or points[name].shape[1] != 2:
            raise InputError(f"{path}: {name} is no list of points; {expected}")
    return points


def _polyline(path: Path, name: str, points: np.ndarray) -> np.ndarray:
    """A line's points from left to right, one per x."""
    if len(points) < 2:
        raise InputError(f"{path}: {name} has {len(points)} points; a line needs two at least")
    if not np.isfinite(points).all():
        raise InputError(f"{path}: {name} holds a number that is not finite")
    steps = np.diff(points[:, 0])
    if (steps < 0).any():
        points, steps = points[::-1], -steps[::-1]
    if (steps < 0).any():
        turn = points[int(np.argmax(steps < 0)), 0]
        raise InputError(f"{path}: {name} turns back at x = {turn:g}; list its points from left to "
                         "right")
    across, which = np.unique(points[:, 0], return_inverse=True)
    return np.column_stack((across, np.bincount(which, points[:, 1]) / np.bincount(which)))


def _from_mask(path: Path, frame: tuple[int, int]) -> Traces:
    pixels = images.decode(path, images.read_bytes(path))
    if pixels.shape[:2] != frame:
        raise InputError(f"{path}: mask of {pixels.shape[1]}x{pixels.shape[0]} pixels, the frame "
                         f"has {frame[1]}x{frame[0]}")
    lossy = path.suffix.lower() in images.JPEG_SUFFIXES
    if not lossy and len(np.unique(pixels.reshape(frame[0] * frame[1], -1), axis=0)) > 2:
        raise InputError(f"{path}: mask of more than two values; expected 0 outside and one other "
                         "value between the interfaces")
    wall = images.to_mask(pixels, lossy)
    columns = np.flatnonzero(wall.any(axis=0))
    if len(columns) < 2:
        raise InputError(f"{path}: empty mask; paint the wall between the interfaces")
    gaps = np.flatnonzero(np.diff(columns) > 1)
    if len(gaps):
        raise InputError(f"{path}: no wall at column {columns[gaps[0]] + 1}, but on both sides of "
                         "it")
    inside = wall[:, columns]
    first = inside.argmax(axis=0)
    last = frame[0] - 1 - inside[::-1].argmax(axis=0)
    holes = np.flatnonzero(inside.sum(axis=0) != last - first + 1)
    if len(holes):
        raise InputError(f"{path}: wall interrupted in column {columns[holes[0]]}; paint every "
                         "column from interface to interface")
    return np.column_stack((columns, first - 0.5)), np.column_stack((columns, last + 0.5))


def at_columns(traces: Traces, columns: np.ndarray) -> np.ndarray:
    """(2, columns) float64: rows of the interfaces, linear between the points.

    NaN where a line does not reach.
    """
    return np.stack([np.interp(columns, line[:, 0], line[:, 1], left=np.nan, right=np.nan)
                     for line in traces])
