"""Errors of traced interfaces: boundary.csv, one row per region and interface.

Columns `case, group, interface, error_um`: mean distance between the traced and the annotated
interface over the columns of the region, in micrometres (paper, section VI-D).
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from layerwise.contracts import Case, read_table
from layerwise.errors import InputError

INTERFACES = ("lumen_intima", "media_adventitia")
COLUMNS = ("case", "group", "interface", "error_um")


@dataclass(frozen=True)
class BoundaryError:
    """Error of one interface in one region of interest, in micrometres."""

    case: str
    group: str
    interface: str
    error_um: float


def read_boundary_errors(path: Path, cases: Sequence[Case]) -> list[BoundaryError]:
    """Rows of a boundary.csv: both interfaces of every test case, each exactly once.

    Raises InputError for an unknown case or interface, a negative or infinite error, a row that
    occurs twice or one that is missing.
    """
    groups = {case.case: case.group for case in cases if case.split == "test"}
    _, table = read_table(path, COLUMNS)
    errors: dict[tuple[str, str], BoundaryError] = {}
    for line in table:
        where = f"{path}, line {line.number}"
        if groups.get(line["case"]) != line["group"]:
            raise InputError(f"{where}: case {line['case']} of group {line['group']} is no test "
                             "case of cases.csv")
        if line["interface"] not in INTERFACES:
            raise InputError(f"{where}: unknown interface {line['interface']!r}; expected "
                             f"{' or '.join(INTERFACES)}")
        try:
            value = float(line["error_um"])
        except ValueError:
            value = -1.0
        if not 0 <= value < float("inf"):
            raise InputError(f"{where}: error_um is {line['error_um']!r}, expected a distance")
        key = (line["interface"], line["case"])
        if key in errors:
            raise InputError(f"{where}: {line['interface']} of case {line['case']} occurs twice")
        errors[key] = BoundaryError(line["case"], line["group"], line["interface"], value)
    absent = [f"{interface} of {case}" for interface in INTERFACES for case in groups
              if (interface, case) not in errors]
    if absent:
        raise InputError(f"{path}: {absent[0]} is missing ({len(absent)} rows in all)")
    return [errors[interface, case] for interface in INTERFACES for case in sorted(groups)]


def errors_um(rows: Sequence[BoundaryError], interface: str) -> np.ndarray:
    """Errors of one interface by case name, float64 (cases,): paired between systems."""
    return np.array([row.error_um for row in sorted(rows, key=lambda row: row.case)
                     if row.interface == interface])
