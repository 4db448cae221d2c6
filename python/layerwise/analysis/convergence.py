"""Validation AUC against iterations, from log.csv (Fig. 10)."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from layerwise.contracts import LOG_COLUMNS, read_table
from layerwise.errors import InputError


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
    """Mean, lowest and highest AUC over seeds at the iterations any of them was validated at."""

    iterations: np.ndarray
    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray


def read_log(path: Path) -> Log:
    """Read a log.csv; parts that a resumed run wrote again replace what came before.

    A header line in the middle (logs put one after the other) is skipped. Raises InputError for
    other columns than the contract's or for a value that is no number.
    """
    _, table = read_table(path, LOG_COLUMNS)
    rows: dict[int, tuple[float | None, float | None]] = {}
    for number, line in enumerate(table, start=2):
        if line["iteration"] == "iteration":
            continue
        try:
            iteration = int(line["iteration"])
            values = [float(line[name]) if line[name] else None
                      for name in ("validation_auc", "loss")]
        except ValueError:
            raise InputError(f"{path}, line {number}: expected a number") from None
        for later in [known for known in rows if known >= iteration]:
            del rows[later]  # the run went back to an earlier state and did these again
        rows[iteration] = (values[0], values[1])
    auc = {iteration: value for iteration, (value, _) in rows.items() if value is not None}
    loss = {iteration: value for iteration, (_, value) in rows.items() if value is not None}
    return Log(np.array(list(auc), dtype=np.int64), np.array(list(auc.values())),
               np.array(list(loss), dtype=np.int64), np.array(list(loss.values())))


def band(logs: Sequence[Log]) -> Band:
    """Mean and range over seeds; NaN only where no seed has a number."""
    iterations = np.unique(np.concatenate([log.iterations for log in logs]))
    values = np.full((len(logs), iterations.size), np.nan)
    for row, log in zip(values, logs):
        row[np.searchsorted(iterations, log.iterations)] = log.auc
    known = np.isfinite(values)
    count = known.sum(axis=0)
    total = np.where(known, values, 0.0).sum(axis=0)
    return Band(iterations, np.where(count > 0, total / np.maximum(count, 1), np.nan),
                np.where(count > 0, np.where(known, values, np.inf).min(axis=0), np.nan),
                np.where(count > 0, np.where(known, values, -np.inf).max(axis=0), np.nan))


def iterations_to_converge(log: Log, share: float = 0.95) -> int | None:
    """First iteration at which `share` of the way from 0.5 to the run's best AUC was reached.

    None when no validation gave a number above 0.5: such a run has not learnt.
    """
    finite = np.isfinite(log.auc)
    if not finite.any() or log.auc[finite].max() <= 0.5:
        return None
    goal = 0.5 + share * (log.auc[finite].max() - 0.5)
    return int(log.iterations[finite][np.argmax(log.auc[finite] >= goal)])
