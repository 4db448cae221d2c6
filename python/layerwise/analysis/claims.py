"""The verdicts on the paper's claims as a table for reading, and as files."""
from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from layerwise.analysis.bootstrap import FEW_GROUPS_NOTE
from layerwise.analysis.claim_rows import (
    CHANCE_MARGIN,
    ERROR_MARGIN_UM,
    SENSITIVITY_FLOOR,
    SENSITIVITY_MARGIN,
)
from layerwise.analysis.collect import Study, collect
from layerwise.analysis.convergence import CONVERGED
from layerwise.analysis.operating import point_label
from layerwise.analysis.textable import TextTable
from layerwise.analysis.verdicts import MIN_GROUPS, MIN_SEEDS, Verdict, judge_all
from layerwise.contracts import write_bytes


def _interval(one: Verdict) -> str:
    if not np.isfinite(one.estimate):
        return "-"
    if np.isnan(one.low):
        return f"{one.estimate:+.3f} [no interval] {one.unit}"
    level = "" if abs(one.level - 0.95) < 1e-9 else f" ({100 * one.level:.3g}%)"
    ends = ", ".join(f"{value:+.3f}" if np.isfinite(value) else f"{value:+}".replace("inf", "∞")
                     for value in (one.low, one.high))
    return f"{one.estimate:+.3f} [{ends}]{level} {one.unit}"


def claim_table(study: Study, verdicts: Sequence[Verdict]) -> TextTable:
    """The verdicts for reading."""
    rows = tuple((one.section, one.text, one.verdict, _interval(one), one.contrast,
                  ", ".join(point_label(study.task, point) for point in one.points) or "-",
                  one.evidence or "-", str(one.seeds) if one.contrast else "-", one.reason)
                 for one in verdicts)
    return TextTable(
        "claims", f"The paper's claims on {study.dataset}",
        ("section", "the paper says", "verdict", "deciding difference [95%]", "between", "at",
         "evidence", "training runs", "remark"), rows, _note(study, len(verdicts)), study.origin())


def _note(study: Study, claims: int) -> str:
    """How the verdicts are reached."""
    allowed = f"{ERROR_MARGIN_UM:g} µm" if study.task.evaluation == "boundary" else \
        f"{SENSITIVITY_MARGIN:g} sensitivity, of {SENSITIVITY_FLOOR:g} at least"
    return (
        f"{study.stand_ins()}. Paired bootstrap over test groups and training runs, at points that "
        "the test set resolves. Support needs the 95% interval and the p value of every "
        "comparison; contradiction by one of several needs them at a level corrected for their "
        f"number. The {claims} claims are each decided at 95%, with no correction over claims: the "
        f"chance of at least one wrong verdict can reach {min(1.0, 0.05 * claims):.0%}. At least "
        f"{MIN_GROUPS} {study.evidence} and {MIN_SEEDS} training runs of each system. "
        f"{FEW_GROUPS_NOTE} What less data costs is not evaluable unless with all data the 95% "
        f"intervals of the systems lie {CHANCE_MARGIN:g} above the sensitivity of random scores. "
        f"For convergence log2 of the ratio of iterations until each run has made {CONVERGED:.0%} "
        f"of its own rise in validation AUC, with its bounds, over at least {MIN_SEEDS} seeds. "
        "Claims on convergence and after it are not evaluable while a run may still improve or "
        "is near chance in validation; no comparison with such a run decides a claim, nor one "
        "with less data, of which there is one draw. \"On a par\" allows "
        f"{allowed}. Of several comparisons the one most against the claim is shown.")


def write_claims(results: Sequence[Path], out: Path) -> list[Path]:
    """claims.md and claims.json of every study of the paper's tasks; returns the files written.

    Raises InputError as `collect` does.
    """
    written = []
    for study in collect(results):
        verdicts = judge_all(study)
        if not verdicts:              # not a task of the paper
            continue
        stem = out / study.task.name / study.dataset / "claims"
        records = [{key: None if isinstance(value, float) and not np.isfinite(value) else value
                    for key, value in asdict(one).items()} for one in verdicts]
        for path, text in ((stem.with_suffix(".md"), claim_table(study, verdicts).markdown()),
                           (stem.with_suffix(".json"), json.dumps(records, indent=1) + "\n")):
            write_bytes(path, text.encode("utf-8"))
            written.append(path)
    return written
