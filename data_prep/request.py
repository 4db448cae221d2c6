"""What a task's preparation is asked for."""
from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from layerwise.errors import InputError
from layerwise.profiles import Profile

PATCH_SIDES = (8, 227)      # a patch is enlarged to 227 pixels, never reduced


@dataclass(frozen=True)
class Request:
    """One data set to prepare. Raises InputError for a value out of range.

    `source` is the user's folder, None for the task's phantom; `data` the root of prepared data;
    `test_fraction` the part of the groups kept for testing where the source does not say (the
    paper's one half); `fractions` the training sets to make, 1.0 being all training groups;
    `patch_side` the pixels across a patch where a candidate is a pixel. Of your own images,
    `negative` names the class that is label 0 ("" = the most frequent one), and `upright` says that
    patches are neither turned nor mirrored.
    """

    source: Path | None
    data: Path
    profile: Profile
    seed: int = 1
    test_fraction: float = 0.5
    fractions: tuple[float, ...] = (1.0, 0.5, 0.25)
    jobs: int = 1
    patch_side: int = 32
    negative: str = ""
    upright: bool = False

    def __post_init__(self) -> None:
        if self.seed < 0:
            raise InputError(f"seed {self.seed}; expected 0 or more")
        if self.jobs < 1:
            raise InputError(f"{self.jobs} jobs; expected 1 or more")
        low, high = PATCH_SIDES
        if not low <= self.patch_side <= high:
            raise InputError(f"patch side {self.patch_side}; expected {low} to {high} pixels")
        if not 0 < self.test_fraction < 1:
            raise InputError(f"test fraction {self.test_fraction}; expected more than 0, less "
                             "than 1")
        if not self.fractions or not all(0 < fraction <= 1 for fraction in self.fractions):
            raise InputError(f"fractions {self.fractions}; expected numbers above 0, at most 1")
        if len({percent(fraction) for fraction in self.fractions}) != len(self.fractions):
            raise InputError(f"fractions {self.fractions}: two of them are the same percentage")


def percent(fraction: float) -> str:
    """Name of a reduced set: 0.25 is "25", as in the folder train-25."""
    return str(round(100 * fraction))
