"""The phantom of the pulmonary embolism task: seeded CT angiograms, a stand-in for recorded ones.

`draw_scan` makes one volume with its emboli; `write_phantom` writes many in the layout of a real
data set. What is in a volume: `anatomy` (lungs and vessels), `emboli`, `chest` (all around them)
and `painter` (HU, what looks like an embolus and is none, artefacts).
"""
from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np

from data_prep.pe.anatomy import draw
from data_prep.pe.emboli import place
from data_prep.pe.painter import draw_technique, paint
from data_prep.pe.stand_in import Drawn, write_set
from layerwise.errors import InputError

EMBOLI_SHARES = (0.2, 0.08, 0.16, 0.2, 0.18, 0.1, 0.08)
"""Shares of the scans with 0, 1, ..., 6 emboli. On average 2.7, as the paper's 326 in 121 scans."""
SPACING_RANGE_MM = (0.6, 6.0)


@dataclass(frozen=True)
class PhantomSettings:
    """How many patients, scans of each, and how finely they are drawn."""

    patients: int = 16
    scans_per_patient: int = 1
    spacing_mm: float = 1.25            # cubic voxels; 216 x 170 x 236 of them at 1.25 mm
    terminal_radius_mm: float = 1.0     # of the thinnest vessels

    def __post_init__(self) -> None:
        for name in ("patients", "scans_per_patient"):
            if getattr(self, name) < 1:
                raise InputError(f"phantom: {name} is {getattr(self, name)}; it must be at least 1")
        low, high = SPACING_RANGE_MM
        if not low <= self.spacing_mm <= high:
            raise InputError(f"phantom: spacing_mm is {self.spacing_mm}; "
                             f"it must be between {low} and {high}")
        if not 0.5 <= self.terminal_radius_mm <= 4:
            raise InputError(f"phantom: terminal_radius_mm is {self.terminal_radius_mm}; "
                             "it must be between 0.5 and 4")


def emboli_counts(settings: PhantomSettings, seed: int) -> np.ndarray:
    """Emboli of every scan, (patients * scans_per_patient,): EMBOLI_SHARES, spread by the seed."""
    scans = settings.patients * settings.scans_per_patient
    quantiles = (np.arange(scans) + 0.5) / scans
    counts = np.searchsorted(np.cumsum(EMBOLI_SHARES)[:-1], quantiles, side="right")
    return np.asarray(np.random.default_rng([seed, 0]).permutation(counts))


def draw_scan(settings: PhantomSettings, seed: int, index: int) -> Drawn:
    """Scan `index`; the same settings, seed and index give the same voxels.

    Scans of a patient share the anatomy; emboli, contrast and noise are those of each.
    """
    patient, scan = divmod(index, settings.scans_per_patient)
    anatomy = draw(settings.spacing_mm, settings.terminal_radius_mm,
                   np.random.default_rng([seed, 1, patient]))
    rng = np.random.default_rng([seed, 2, index])
    emboli = place(anatomy, int(emboli_counts(settings, seed)[index]), rng)
    group = f"p{patient:03d}"
    case = group if settings.scans_per_patient == 1 else f"{group}_s{scan}"
    return Drawn(case, group, paint(anatomy, emboli, draw_technique(rng), rng), emboli)


_README = """A STAND-IN, not patient data: synthetic CT pulmonary angiograms drawn by
data_prep/pe/phantom.py.

volumes/     HU, NIfTI
emboli/      numbers of the emboli, 0 outside; no file for a scan without one
manifest.csv case and group (the patient)
truth.csv    kind, shape, calibre of the artery and volume of every embolus

seed {seed}; {settings}
"""


def write_phantom(folder: Path, settings: PhantomSettings, seed: int, jobs: int = 1) -> None:
    """Write the phantom as `folder`, complete or not at all; the bytes do not depend on `jobs`.

    Raises InputError when `folder` exists and is not empty, or its parent cannot be written.
    """
    write_set(folder, "phantom", partial(draw_scan, settings, seed),
              range(settings.patients * settings.scans_per_patient), jobs, "phantom (stand-in)",
              _README.format(seed=seed, settings=asdict(settings)))
