"""Folders of CT angiograms: `volumes/`, `emboli/`, manifest.csv and origin.json.

* `volumes/NAME.nii`, `volumes/NAME.nii.gz` or the DICOM series `volumes/NAME/`;
* `emboli/NAME.nii` or `.nii.gz`, missing for a volume without an embolus;
* manifest.csv with the columns case (NAME), group (the patient) and optionally split (train or
  test); without it every volume is a patient of its own;
* origin.json, `{"stand_in": "..."}`, where the data stand in for real ones: what they are.
"""
from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Optional

import numpy as np

from data_prep.manifest import MANIFEST, Member, check_groups, no_repeats, read_columns
from data_prep.pe import nifti
from data_prep.pe.volume import Volume, read_emboli, read_on_grid
from layerwise.errors import InputError

VOLUMES, EMBOLI = "volumes", "emboli"


@dataclass(frozen=True)
class Scan:
    """One volume: unique name, its patient, its files; `split` is "" where not given."""

    case: str
    group: str
    split: str
    volume_path: Path
    emboli_path: Optional[Path]     # None: no emboli


def read_scans(folder: Path) -> list[Scan]:
    """All volumes of a folder, sorted by case; no volume is opened.

    Raises InputError naming the file for: no such folder, no volumes, a file of another kind, two
    of one name, emboli of no volume, a volume that the manifest does not list or that is listed but
    missing, a patient missing or on both sides of the split, a single patient.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder")
    volumes = _files_by_case(folder / VOLUMES, series=True)
    if not volumes:
        raise InputError(f"{folder / VOLUMES}: no volumes (.nii, .nii.gz or DICOM folders)")
    emboli = _files_by_case(folder / EMBOLI, series=False)
    for case, path in emboli.items():
        if case not in volumes:
            raise InputError(f"{path}: no volume of this name in {folder / VOLUMES}")
    manifest = folder / MANIFEST
    members = _listed(manifest, volumes) if manifest.exists() \
        else [Member(case, case, "") for case in volumes]
    check_groups(manifest if manifest.exists() else folder, members)
    return [Scan(case, group, split, volumes[case], emboli.get(case))
            for case, group, split in sorted(members)]


def load(scan: Scan) -> tuple[Volume, np.ndarray]:
    """A scan's volume and its emboli, (z, y, x) int32, which must lie on one grid."""
    volume, grid = read_on_grid(scan.volume_path)
    if scan.emboli_path is None:
        return volume, np.zeros(volume.hu.shape, np.int32)
    return volume, read_emboli(scan.emboli_path, grid.shape, grid)


def _files_by_case(folder: Path, series: bool) -> dict[str, Path]:
    """NIfTI files, and folders where they may be DICOM `series`, by name without suffix."""
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; expected {VOLUMES}/ and {EMBOLI}/ "
                         "(empty where no volume has an embolus)")
    files: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        suffix = next((end for end in nifti.SUFFIXES if path.name.lower().endswith(end)), "")
        if not (path.is_dir() and series) and not (path.is_file() and suffix):
            raise InputError(f"{path}: expected {' or '.join(nifti.SUFFIXES)}"
                             f"{' or the folder of a DICOM series' if series else ''}; "
                             "convert it or move it elsewhere")
        case = path.name if path.is_dir() else path.name[:-len(suffix)]
        if case in files:
            raise InputError(f"{path}: duplicate case, {files[case].name} has the same name")
        files[case] = path
    return files


def _listed(manifest: Path, volumes: dict[str, Path]) -> list[Member]:
    rows = read_columns(manifest, ["case", "group"], ["split"])
    members = [Member(row["case"].strip(), row["group"].strip(), row.get("split", "").strip())
               for row in rows]
    for row, member in zip(rows, members):
        if member.name not in volumes:
            raise InputError(f"{manifest}, line {row.number}: case {member.name!r} is missing from "
                             f"{manifest.parent / VOLUMES}")
    no_repeats(manifest, "case", (member.name for member in members))
    listed = {member.name for member in members}
    for case, path in volumes.items():
        if case not in listed:
            raise InputError(f"{path}: volume has no group; add a line to {manifest.name}")
    return members
