"""validation.h5 of a run: the probabilities of its best snapshot on a validation set, by group."""
from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from layerwise.analysis.auc_bootstrap import Pairs, pairs_of
from layerwise.contracts import Score, write_bytes
from layerwise.errors import InputError
from layerwise.features import hdf5
from layerwise.ranking import questions

VALIDATION = "validation.h5"


@dataclass(frozen=True)
class Judged:
    """Labels (n,) int, probabilities (n, classes) and group names (n,) of patches or candidates.

    `name` is the set's, `keys` (n,) tell its members apart.
    """

    name: str
    keys: np.ndarray
    groups: np.ndarray
    labels: np.ndarray
    probabilities: np.ndarray

    def pairs(self, rule: str) -> list[Pairs]:
        """Of each question that a rule of ranking asks, over the groups in order of their names.

        Raises InputError when all labels are the same.
        """
        names, index = np.unique(self.groups, return_inverse=True)
        asked = questions(self.labels, self.probabilities, rule)
        if not asked:
            raise InputError(f"{self.name}: all labels are the same, there is nothing to tell "
                             "apart; add groups of the other classes")
        return [pairs_of(one, index, len(names)) for one in asked]


def write_validation(folder: Path, judged: Judged) -> None:
    """Write validation.h5 into a run's folder, atomically."""
    write_bytes(folder / VALIDATION, hdf5({
        "set": np.array([judged.name.encode()]), "key": judged.keys.astype("S8"),
        "group": np.array([str(group).encode() for group in judged.groups]),
        "label": judged.labels.astype(np.int32),
        "probability": judged.probabilities.astype(np.float32)}))


def read_validation(folder: Path) -> Judged | None:
    """Read it back; None where there is none. InputError when it is damaged."""
    import h5py

    path = folder / VALIDATION
    if not path.is_file():
        return None
    try:
        with h5py.File(str(path), "r") as archive:
            name, keys, groups, labels, probabilities = (
                archive[key][()] for key in ("set", "key", "group", "label", "probability"))
    except (OSError, KeyError) as error:
        raise InputError(f"{path}: damaged ({error}); delete it") from None
    return Judged(name[0].decode(), keys, np.array([group.decode() for group in groups]),
                  labels.astype(int), probabilities)


def judged_scores(name: str, scores: list[Score]) -> Judged:
    """The same of the candidates of a scores.csv."""
    return Judged(name, np.array([row.candidate for row in scores]),
                  np.array([row.group for row in scores]),
                  np.array([row.label for row in scores]),
                  np.array([row.probabilities for row in scores]))
