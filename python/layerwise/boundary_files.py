"""What a run leaves of the regions it was tested on: confidence.h5, lines.csv, example.npz and,
last, boundary.csv: with it the run is scored.
"""
from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from layerwise.analysis.boundary_error import COLUMNS, INTERFACES
from layerwise.boundary import Lines, error_um
from layerwise.contracts import Case, write_bytes, write_table
from layerwise.errors import InputError
from layerwise.features import hdf5
from layerwise.regions import Region
from layerwise.runs import BOUNDARY, EXAMPLE

LINES, CONFIDENCE = "lines.csv", "confidence.h5"
LINE_COLUMNS = ("case", "interface", "column", "row_px", "missing")


def check_cases(path: Path, regions: Sequence[Region], cases: Sequence[Case]) -> None:
    """InputError unless the regions of a regions.h5 are the test cases of cases.csv."""
    found = {(region.case, region.group) for region in regions}
    if found != {(case.case, case.group) for case in cases if case.split == "test"}:
        raise InputError(f"{path}: holds other regions than the test cases of cases.csv; "
                         "run `layerwise prepare` again")


def write_confidence(folder: Path, regions: Sequence[Region], maps: Sequence[np.ndarray]) -> None:
    """Write confidence.h5: the maps (classes, rows, columns) float32 of each region, in order.

    `case` names them; `patch_um` is the side of the patches that the network was trained on.
    """
    content = {"case": np.array([region.case.encode() for region in regions]),
               "patch_um": np.array([region.patch_side * region.pixel_um for region in regions])}
    content.update((f"maps/{number:06d}", each) for number, each in enumerate(maps))
    write_bytes(folder / CONFIDENCE, hdf5(content))


def write_lines(folder: Path, regions: Sequence[Region], lines: Sequence[Lines]) -> None:
    """Write lines.csv and boundary.csv.

    Rows of lines.csv are in pixels from the centre of the ROI's first row; `missing` is 1 where the
    interface was not seen and the line only bridges a gap. Such columns count in the error.
    """
    write_table(folder / LINES, LINE_COLUMNS, (
        [region.case, interface, column, f"{row:.4f}", int(missing)]
        for region, traced in zip(regions, lines)
        for interface, rows, gaps in zip(INTERFACES, traced.rows, traced.missing)
        for column, (row, missing) in enumerate(zip(rows.tolist(), gaps.tolist()))))
    errors = errors_um(regions, lines)
    write_table(folder / BOUNDARY, COLUMNS, (
        [region.case, region.group, interface, f"{error:.6g}"]
        for region, both in zip(regions, errors.tolist())
        for interface, error in zip(INTERFACES, both)))


def write_example(folder: Path, regions: Sequence[Region], lines: Sequence[Lines],
                  maps: Sequence[np.ndarray]) -> None:
    """Write example.npz for Fig. 8: the region whose error, over both interfaces, is the median."""
    order = np.argsort(errors_um(regions, lines).mean(axis=1), kind="stable")
    middle = int(order[(len(order) - 1) // 2])
    region, traced = regions[middle], lines[middle]
    content = io.BytesIO()
    np.savez_compressed(content, roi=region.roi, confidence=maps[middle][1:], steps=traced.steps,
                        snakes=traced.rows, truth=region.truth)
    write_bytes(folder / EXAMPLE, content.getbuffer())


def errors_um(regions: Sequence[Region], lines: Sequence[Lines]) -> np.ndarray:
    """(regions, 2) error of each interface in micrometres."""
    return np.stack([error_um(traced.rows, region.truth, region.pixel_um)
                     for region, traced in zip(regions, lines)])
