"""Semi-synthetic CT angiograms: Hounsfield units painted on label volumes of real anatomy.

Lungs, arteries and veins are a patient's; everything around them, the contrast, the emboli's places
and the artefacts are invented. The shapes of the emboli may be those of real clots.
"""
from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Optional

import click
import numpy as np

from data_prep.pe import nifti
from data_prep.pe.anatomy import ARTERY, LUNG, VEIN, Anatomy, from_labels
from data_prep.pe.clots import Clot, dealt, place_clots, read_clots
from data_prep.pe.grid import straighten
from data_prep.pe.painter import draw_technique, paint
from data_prep.pe.raster import Triple
from data_prep.pe.stand_in import Drawn, write_set
from layerwise.command import Command
from layerwise.errors import InputError

STAND_IN = "semi-synthetic volumes: HU painted on label volumes of real anatomy"
EMBOLI = (3, 6)     # fewest and most of a volume
SPLITS = ("train", "test")      # of every first and second volume
LABELS = {ARTERY: "artery", VEIN: "vein", LUNG: "lung"}


def write_semisynthetic(anatomy: Path, clots: Optional[Path], out: Path, seed: int,
                        jobs: int = 1) -> None:
    """Paint every label volume of the folder `anatomy` and write the set as `out`.

    Labels: 1 artery, 2 vein, 3 lung, 0 all else; one volume, one patient. Every second volume, by
    name, is for testing. `clots`: a folder of masks of clots for the shapes of the emboli, each
    used on one side of the split only (`clots.dealt`); without it they are synthetic. The bytes do
    not depend on `jobs`. Raises InputError for a folder without volumes, one that is no such label
    volume or has no room for three emboli, and as `stand_in.write_set`.
    """
    paths = sorted(path for path in anatomy.glob("*") if path.name.endswith(nifti.SUFFIXES))
    if not paths:
        raise InputError(f"{anatomy}: no label volumes (.nii or .nii.gz)")
    shapes = dealt(read_clots(clots) if clots is not None else [])
    write_set(out, STAND_IN, partial(_draw, shapes, seed), list(enumerate(paths)), jobs,
              "semi-synthetic (stand-in)", _README.format(seed=seed))


def read_labels(path: Path) -> tuple[np.ndarray, Triple]:
    """A label volume, (z, y, x) uint8, and its spacing in mm.

    Files whose header turns the patient about the long axis (left and right, front and back both
    exchanged) are common where a writer took one convention for the other. The pulmonary trunk lies
    in front of the left atrium, so such a volume is turned back.
    """
    stored = nifti.read(path)
    turned, grid = straighten(path, stored.values, stored.ras)
    found = np.unique(turned)
    if not set(LABELS) <= set(found.tolist()) <= {0, *LABELS}:
        raise InputError(f"{path}: values {', '.join(f'{value:g}' for value in found[:6])}; "
                         "expected the labels 0, 1 artery, 2 vein and 3 lung")
    labels = turned.astype(np.uint8)
    return (labels if _faces_front(labels) else labels[:, ::-1, ::-1]), grid.spacing_mm


def _faces_front(labels: np.ndarray) -> bool:
    """Whether the widest artery lies before the widest vein, by rows of voxels front to back."""
    artery, vein = (_widest(labels == label) for label in (ARTERY, VEIN))
    return bool(artery[1] < vein[1])


def _widest(vessel: np.ndarray) -> np.ndarray:
    """(3,) centre of the part of a mask that is left when it is worn away from outside."""
    coarse = vessel[::2, ::2, ::2]
    left = coarse
    while coarse.any():
        left = coarse
        padded = np.pad(coarse, 1)
        coarse = coarse & padded[:-2, 1:-1, 1:-1] & padded[2:, 1:-1, 1:-1] \
            & padded[1:-1, :-2, 1:-1] & padded[1:-1, 2:, 1:-1] \
            & padded[1:-1, 1:-1, :-2] & padded[1:-1, 1:-1, 2:]
    return np.asarray(np.argwhere(left).mean(axis=0))


def _draw(shapes: tuple[list[Clot], list[Clot]], seed: int, numbered: tuple[int, Path]) -> Drawn:
    number, path = numbered
    side = number % 2
    rng = np.random.default_rng([seed, 3, number])
    anatomy: Anatomy = from_labels(*read_labels(path))
    emboli = place_clots(anatomy, shapes[side], int(rng.integers(EMBOLI[0], EMBOLI[1] + 1)), rng)
    if len(emboli) < EMBOLI[0]:
        raise InputError(f"{path}: its arteries have room for {len(emboli)} emboli; "
                         f"at least {EMBOLI[0]} are wanted")
    case = path.name.split(".")[0]
    return Drawn(case, case, paint(anatomy, emboli, draw_technique(rng), rng), emboli, SPLITS[side])


_README = """A STAND-IN, not patient data: CT pulmonary angiograms whose Hounsfield units were
painted on label volumes of real anatomy by data_prep/pe/semisynthetic.py.

volumes/     HU, NIfTI
emboli/      numbers of the emboli, 0 outside
manifest.csv case, group (the patient) and split; no clot's patient is on both sides of it
truth.csv    kind, shape (synthetic, or real and the clot's name), calibre of the artery and volume
             of every embolus

seed {seed}
"""


@click.command("semisynthetic", cls=Command)
@click.argument("anatomy", type=Path)
@click.argument("out", type=Path)
@click.option("--clots", type=Path, help="Folder of masks of real clots, for shapes.")
@click.option("--seed", default=1, show_default=True)
@click.option("--jobs", default=1, show_default=True, help="Processes.")
def main(anatomy: Path, out: Path, clots: Optional[Path], seed: int, jobs: int) -> None:
    """Make the semi-synthetic set OUT from the label volumes of the folder ANATOMY."""
    write_semisynthetic(anatomy, clots, out, seed, jobs)


if __name__ == "__main__":
    main()
