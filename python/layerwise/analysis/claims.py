"""Decide the paper's claims from the scores: supported, contradicted or undecided.

The interval that decides is that of the paired bootstrap over test groups (videos, patients,
subjects): it alone respects that candidates of one group are alike and that all systems saw the
same test set. A claim with several contrasts is supported when each is, and contradicted when any
is; the interval shown is that of the contrast that stands in its way most.
"""
from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from scipy.stats import t as student_t

from layerwise.analysis.bootstrap import group_weights
from layerwise.analysis.boundary_error import INTERFACES
from layerwise.analysis.claim_rows import (
    CLAIMS,
    ERROR_MARGIN_UM,
    SENSITIVITY_MARGIN,
    Claim,
    Contrast,
    SystemKey,
)
from layerwise.analysis.collect import Study, collect
from layerwise.analysis.compare import RESAMPLES, Resampled, mean_errors_um, resample
from layerwise.analysis.convergence import iterations_to_converge, read_log
from layerwise.analysis.convergence_figure import logged
from layerwise.analysis.operating import BOOTSTRAP_SEED, points_of
from layerwise.analysis.style import write_bytes
from layerwise.analysis.systems import SYSTEMS
from layerwise.analysis.textable import TextTable

Values = Callable[[SystemKey, tuple[float, ...]], "tuple[float, np.ndarray] | None"]
Measured = tuple[float, float, float]  # estimate, low, high
_ORDER = {"contradicted": 0, "undecided": 1, "supported": 2}


@dataclass(frozen=True)
class Verdict:
    """A claim's verdict; low and high bound the deciding contrast, NaN where nothing was measured.

    unit: of estimate, low and high. groups: how many groups (or, for convergence, seeds) decide.
    """

    claim: str
    section: str
    text: str
    dataset: str
    verdict: str
    estimate: float
    low: float
    high: float
    unit: str
    contrast: str
    groups: int
    stand_ins: str
    reason: str


def _curve_values(resampled: Resampled) -> Values:
    def values(key: SystemKey, points: tuple[float, ...]) -> tuple[float, np.ndarray] | None:
        if key not in resampled.draws:
            return None
        columns = [resampled.points.index(point) for point in points]
        return (float(resampled.estimates[key][columns].mean()),
                resampled.draws[key][:, columns].mean(axis=1))
    return values


def _error_values(study: Study) -> Values:
    """Negated mean error over regions and both interfaces, micrometres."""
    groups = sorted({case.group for case in study.cases if case.split == "test"})
    names = sorted(case.case for case in study.cases if case.split == "test")
    group_of = {case.case: groups.index(case.group) for case in study.cases
                if case.split == "test"}
    index = np.array([group_of[name] for name in names])
    sizes = np.bincount(index, minlength=len(groups))
    weights = group_weights(len(groups), RESAMPLES, BOOTSTRAP_SEED) if len(groups) > 1 else None

    def values(key: SystemKey, points: tuple[float, ...]) -> tuple[float, np.ndarray] | None:
        if weights is None or key[1] != 100 or not study.of(key[0]):
            return None
        errors = np.mean([mean_errors_um(study, key[0], one) for one in INTERFACES], axis=0)
        sums = np.bincount(index, weights=errors, minlength=len(groups))
        return -float(errors.mean()), -(weights @ sums) / (weights @ sizes)
    return values


def _measure(contrast: Contrast, values: Values, points: tuple[float, ...]) -> Measured | None:
    """Estimate and 95% interval of a contrast; None when a system has no runs."""
    estimate, draws = 0.0, np.zeros(1)
    for sign, keys in ((1.0, contrast.plus), (-1.0, contrast.minus)):
        for key in keys:
            found = values(key, points)
            if found is None:
                return None
            estimate, draws = estimate + sign * found[0], draws + sign * found[1]
    low, high = np.nanquantile(draws, [0.025, 0.975])
    return estimate, float(low), float(high)


def _sooner(study: Study, contrast: Contrast) -> tuple[Measured | None, int]:
    """log2 of minus's over plus's iterations to converge, by seed, with a t interval."""
    iterations = []
    for (init, _), in (contrast.plus, contrast.minus):
        found = {run.seed: iterations_to_converge(read_log(run.log)) for run in logged(study, init)}
        iterations.append({seed: value for seed, value in found.items() if value is not None})
    seeds = sorted(set(iterations[0]) & set(iterations[1]))
    if not seeds:
        return None, 0
    ratios = np.log2([max(1, iterations[1][seed]) / max(1, iterations[0][seed]) for seed in seeds])
    if len(seeds) == 1:
        return (float(ratios[0]), -np.inf, np.inf), 1
    half = float(student_t.ppf(0.975, len(seeds) - 1) * ratios.std(ddof=1) / np.sqrt(len(seeds)))
    mean = float(ratios.mean())
    return (mean, mean - half, mean + half), len(seeds)


def decide(kind: str, low: float, high: float, margin: float) -> str:
    """Verdict on one contrast from its interval; see claim_rows for the kinds."""
    if kind in ("higher", "sooner"):
        return "supported" if low > 0 else "contradicted" if high < 0 else "undecided"
    if kind == "not lower":
        return "supported" if low > -margin else "contradicted" if high < 0 else "undecided"
    if kind == "equal":
        if low > -margin and high < margin:
            return "supported"
        return "contradicted" if low > 0 or high < 0 else "undecided"
    raise ValueError(f"unknown kind of claim {kind!r}")


def _name(keys: Sequence[SystemKey]) -> str:
    text = " + ".join(SYSTEMS[init].short + (f" at {fraction}%" if fraction != 100 else "")
                      for init, fraction in keys)
    return f"({text})" if len(keys) > 1 else text


def judge(claim: Claim, study: Study, values: Values) -> Verdict:
    """Decide one claim on one study; undecided, with the reason, where runs are missing."""
    boundary = study.task.evaluation == "boundary"
    margin = ERROR_MARGIN_UM if boundary else SENSITIVITY_MARGIN
    unit = "log2 of iterations" if claim.kind == "sooner" else "µm less" if boundary \
        else "sensitivity"
    points = claim.points or study.task.operating_points
    groups, worst, missing = study.test_groups, None, 0
    for contrast in claim.contrasts:
        if claim.kind == "sooner":
            measured, groups = _sooner(study, contrast)
        else:
            measured = _measure(contrast, values, points)
        if measured is None:
            missing += 1
            continue
        verdict = decide(claim.kind, measured[1], measured[2], margin)
        slack = -max(abs(measured[1]), abs(measured[2])) if claim.kind == "equal" else measured[1]
        rank = (_ORDER[verdict], slack, groups)
        if worst is None or rank < worst[0]:
            worst = (rank, verdict, measured, contrast)
    stand_ins = study.stand_ins()
    if worst is None:
        return Verdict(claim.name, claim.section, claim.text, study.dataset, "undecided", np.nan,
                       np.nan, np.nan, unit, "", 0, stand_ins, "no runs of these systems, or fewer "
                       "than two test groups")
    (_, _, groups), verdict, (estimate, low, high), contrast = worst
    reason = ""
    if missing:
        reason = f"{missing} of {len(claim.contrasts)} comparisons have no runs"
        verdict = "undecided" if verdict == "supported" else verdict
    elif claim.kind == "sooner" and groups == 1:
        reason = "one seed gives no interval"
    return Verdict(claim.name, claim.section, claim.text, study.dataset, verdict, estimate, low,
                   high, unit, f"{_name(contrast.plus)} − {_name(contrast.minus)}", groups,
                   stand_ins, reason)


def judge_all(study: Study, resampled: Resampled | None = None) -> list[Verdict]:
    """Every claim on the study's task; `resampled` is made (`compare.resample`) if not given."""
    if study.task.evaluation == "boundary":
        values = _error_values(study)
    else:
        values = _curve_values(resampled or resample(study, points_of(study.task)))
    return [judge(claim, study, values) for claim in CLAIMS if claim.task == study.task.name]


def claim_table(study: Study, verdicts: Sequence[Verdict]) -> TextTable:
    """The verdicts for reading."""
    def interval(one: Verdict) -> str:
        if not np.isfinite(one.estimate):
            return "-"
        if not np.isfinite(one.low):
            return f"{one.estimate:+.3f}"
        return f"{one.estimate:+.3f} [{one.low:+.3f}, {one.high:+.3f}] {one.unit}"

    rows = tuple((one.section, one.text, one.verdict, interval(one), one.contrast, str(one.groups),
                  one.reason) for one in verdicts)
    return TextTable("claims", f"The paper's claims on {study.dataset}",
                     ("section", "the paper says", "verdict", "deciding difference [95%]",
                      "between", "groups", "remark"), rows,
                     f"{study.stand_ins()}. Paired bootstrap over test groups; for convergence "
                     "log2 of the ratio of iterations over seeds. \"On a par\" allows "
                     f"{SENSITIVITY_MARGIN:g} sensitivity or {ERROR_MARGIN_UM:g} µm. Of several "
                     "comparisons the one most against the claim is shown.")


def write_claims(results: Sequence[Path], out: Path) -> list[Path]:
    """claims.md and claims.json of every study under `results`; returns the files written.

    Raises InputError as `collect` does.
    """
    written = []
    for study in collect(results):
        verdicts = judge_all(study)
        stem = out / study.task.name / study.dataset / "claims"
        records = [{key: None if isinstance(value, float) and not np.isfinite(value) else value
                    for key, value in asdict(one).items()} for one in verdicts]
        for path, text in ((stem.with_suffix(".md"), claim_table(study, verdicts).markdown()),
                           (stem.with_suffix(".json"), json.dumps(records, indent=1) + "\n")):
            write_bytes(path, text.encode("utf-8"))
            written.append(path)
    return written
