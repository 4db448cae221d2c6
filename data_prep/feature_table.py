"""features.csv: one row of numbers per candidate, for a handcrafted system."""
from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from layerwise.contracts import read_table, write_table
from layerwise.errors import InputError


def write_features(path: Path, names: Sequence[str], rows: Iterable[tuple[str, np.ndarray]]
                   ) -> None:
    """Write (candidate, values in the order of `names`) rows, atomically, nine digits."""
    def line(candidate: str, values: np.ndarray) -> list[str]:
        if len(values) != len(names) or not np.isfinite(values).all():
            raise ValueError(f"{candidate}: expected {len(names)} finite features")
        return [candidate, *(f"{value:.9g}" for value in values)]

    write_table(path, ["candidate", *names], (line(*row) for row in rows))


def read_features(path: Path, names: Sequence[str]) -> dict[str, np.ndarray]:
    """float64 (len(names),) by candidate.

    Raises InputError for other columns, a repeated candidate or a value that is no finite number.
    """
    _, table = read_table(path, ["candidate", *names])
    found: dict[str, np.ndarray] = {}
    for line in table:
        if line["candidate"] in found:
            raise InputError(f"{path}: candidate {line['candidate']} occurs twice")
        try:
            values = [float(line[name]) for name in names]
        except ValueError as error:
            raise InputError(f"{path}, line {line.number}: {error}") from None
        if not all(map(math.isfinite, values)):
            raise InputError(f"{path}, line {line.number}: a feature is not finite")
        found[line["candidate"]] = np.array(values)
    return found


def matrix(path: Path, table: dict[str, np.ndarray], candidates: Sequence[str]) -> np.ndarray:
    """(candidates, features) in the order of `candidates`; InputError for one without a row."""
    missing = [name for name in candidates if name not in table]
    if missing:
        raise InputError(f"{path}: no row for candidate {missing[0]} ({len(missing)} missing); "
                         "prepare the data set again")
    return np.array([table[name] for name in candidates])
