"""Validation AUC against iterations, from log.csv (Fig. 10)."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from layerwise.contracts import LOG_COLUMNS, read_table
from layerwise.errors import InputError

CONVERGED = 0.95   # share of its own rise in AUC at which a run counts as converged

@dataclass(frozen=True)
class Log:
    """Validations (V,) and training losses (L,) of one run, by rising iteration.

    A validation that gave NaN stays NaN; iterations without a validation (or loss) are left out.
    """

    iterations: np.ndarray
    auc: np.ndarray
    loss_iterations: np.ndarray
    loss: np.ndarray


@dataclass(frozen=True)
class Band:
    """AUC over seeds at the iterations any of them was validated at.

    mean, low and high are NaN unless every seed has a number there: a mean that some seeds have
    dropped out of would rise where they fail. `broken`: whether a seed's validation gave NaN.
    """

    iterations: np.ndarray
    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray
    broken: np.ndarray


@dataclass(frozen=True)
class Converged:
    """When a run converged: after `after` iterations and by `by`, the validation that saw it."""

    after: float
    by: float


def read_log(path: Path) -> Log:
    """Read a log.csv; parts that a resumed run wrote again replace what came before.

    A header line in the middle (logs put one after the other) is skipped. Raises InputError for
    other columns than the contract's or for a value that is no number.
    """
    _, table = read_table(path, LOG_COLUMNS)
    rows: dict[int, tuple[float | None, float | None]] = {}
    for line in table:
        if line["iteration"] == "iteration":
            continue
        try:
            iteration = int(line["iteration"])
            values = [float(line[name]) if line[name] else None
                      for name in ("validation_auc", "loss")]
        except ValueError:
            raise InputError(f"{path}, line {line.number}: expected a number") from None
        for later in [known for known in rows if known >= iteration]:
            del rows[later]  # the run went back to an earlier state and did these again
        rows[iteration] = (values[0], values[1])
    auc = {iteration: value for iteration, (value, _) in rows.items() if value is not None}
    loss = {iteration: value for iteration, (_, value) in rows.items() if value is not None}
    return Log(np.array(list(auc), dtype=np.int64), np.array(list(auc.values())),
               np.array(list(loss), dtype=np.int64), np.array(list(loss.values())))


def band(logs: Sequence[Log]) -> Band:
    """Mean and range over seeds, where all of them have a number."""
    iterations = np.unique(np.concatenate([log.iterations for log in logs]))
    values = np.full((len(logs), iterations.size), np.nan)
    broken = np.zeros(iterations.size, dtype=bool)
    for row, log in zip(values, logs):
        place = np.searchsorted(iterations, log.iterations)
        row[place] = log.auc
        broken[place] |= ~np.isfinite(log.auc)
    return Band(iterations, values.mean(axis=0), values.min(axis=0), values.max(axis=0), broken)


def converged(log: Log, share: float = CONVERGED) -> Converged | None:
    """When a run's validation AUC was first at 0.5 + `share` of its own rise above 0.5.

    Its own, as the paper speaks of the time that each network needs to its highest performance, not
    of how high that is. Iteration 0, not trained, never counts. None when no other validation gave
    a number above 0.5.
    """
    trained = log.iterations > 0
    iterations, auc = log.iterations[trained], np.nan_to_num(log.auc[trained])
    best = float(auc.max(initial=0.0))
    if best <= 0.5:
        return None
    first = int(np.argmax(auc >= 0.5 + share * (best - 0.5)))
    return Converged(float(iterations[first - 1]) if first else 0.0, float(iterations[first]))


def log2_ratio(later: Converged, sooner: Converged) -> tuple[float, float, float]:
    """log2 of `later`'s iterations over `sooner`'s: estimate, and the bounds the validations leave.

    Both know the moment only to a validation step. The estimate takes the validation that saw it.
    """
    def log2(value: float) -> float:
        return float(np.log2(value)) if value > 0 else -np.inf

    return (log2(later.by) - log2(sooner.by), log2(later.after) - log2(sooner.by),
            log2(later.by) - log2(sooner.after))
