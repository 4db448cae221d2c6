"""Decide the paper's claims from the scores: supported, contradicted or undecided.

The interval that decides is that of the paired bootstrap over test groups (videos, patients,
subjects) and training runs: it respects that candidates of one group are alike, that all systems
saw the same test set, and that another training run would give another network. A claim with
several contrasts is supported when each is, and contradicted when any is (see claim_rules for the
levels); the interval shown is that of the contrast that stands in its way most.
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from layerwise.analysis.bootstrap import group_weights
from layerwise.analysis.boundary_error import INTERFACES, errors_um
from layerwise.analysis.claim_rows import (
    CLAIMS,
    ERROR_MARGIN_UM,
    SENSITIVITY_FLOOR,
    SENSITIVITY_MARGIN,
    Claim,
    Contrast,
    SystemKey,
)
from layerwise.analysis.claim_rules import Measured, decide, decide_sooner
from layerwise.analysis.collect import Study
from layerwise.analysis.compare import RESAMPLES, Resampled, region_groups, resample, runs_drawn
from layerwise.analysis.convergence import common_goal, log2_ratio, reached, read_log
from layerwise.analysis.convergence_figure import logged
from layerwise.analysis.marks import resolved
from layerwise.analysis.operating import BOOTSTRAP_SEED, point_label, points_of
from layerwise.analysis.systems import SYSTEMS

MIN_GROUPS = 6   # fewer cannot give p < 0.05 (2^(1 - 5) is 0.06)
MIN_SEEDS = 3    # a t interval over two seeds says nothing
WHOLE = (0.0,)   # boundaries have no operating points: one value per system


@dataclass(frozen=True)
class Verdict:
    """A claim's verdict; low and high bound the deciding contrast, NaN where nothing was measured.

    unit: of estimate, low and high; level: of their interval. points: the operating points used.
    groups: how many test groups with lesions (for convergence, seeds) decide, `evidence` the same
    in words. seeds: training runs of the system with the fewest.
    """

    claim: str
    section: str
    text: str
    dataset: str
    verdict: str
    estimate: float
    low: float
    high: float
    level: float
    unit: str
    contrast: str
    points: tuple[float, ...]
    groups: int
    evidence: str
    seeds: int
    stand_ins: str
    reason: str


def resample_errors(study: Study) -> Resampled:
    """Negated mean error over regions and both interfaces, micrometres, in resamples of subjects.

    As `compare.resample`, with one column.
    """
    found = Resampled(WHOLE, study.test_groups, {}, {}, {})
    if found.groups < 2:
        return found
    weights = group_weights(found.groups, RESAMPLES, BOOTSTRAP_SEED)
    index = region_groups(study)
    sizes = weights @ np.bincount(index)
    estimates, draws, seeds = {}, {}, {}
    for key in dict.fromkeys((run.init, run.fraction) for run in study.runs):
        errors = [np.mean([errors_um(run.boundary, one) for one in INTERFACES], axis=0)
                  for run in study.of(*key)]
        sums = np.array([np.bincount(index, weights=one) for one in errors])
        shares = runs_drawn(key, len(errors), RESAMPLES)
        draws[key] = -np.einsum("bs,bs->b", shares, weights @ sums.T)[:, None] / sizes[:, None]
        estimates[key], seeds[key] = np.array([-np.mean(errors)]), len(errors)
    return replace(found, estimates=estimates, draws=draws, seeds=seeds)


def _measure(claim: Claim, contrast: Contrast, source: Resampled, points: Sequence[float],
             boundary: bool) -> Measured | None:
    """Verdict on one contrast; None when a system has no runs."""
    signed = [*((1.0, key) for key in contrast.plus), *((-1.0, key) for key in contrast.minus)]
    if any(key not in source.draws for _, key in signed):
        return None
    columns = [source.points.index(point) for point in points]
    single = [source.estimates[key][columns] for _, key in signed]
    if claim.rule == "mean":
        single = [one.mean(keepdims=True).repeat(len(columns)) for one in single]
    wants_floor = claim.kind in ("equal", "not lower") and not boundary
    supportable = np.max(single, axis=0) >= (SENSITIVITY_FLOOR if wants_floor else -np.inf)
    return decide(
        claim.kind, claim.rule,
        np.sum([sign * source.estimates[key][columns] for sign, key in signed], axis=0),
        np.sum([sign * source.draws[key][:, columns] for sign, key in signed], axis=0),
        source.groups, len(claim.contrasts), ERROR_MARGIN_UM if boundary else SENSITIVITY_MARGIN,
        supportable)


def _sooner(study: Study, contrast: Contrast, contrasts: int) -> tuple[Measured | None, int]:
    """Verdict on log2 of minus's over plus's iterations to the goal common to both, and seeds.

    None with fewer than two seeds: then there is no interval.
    """
    logs = [{run.seed: read_log(run.log) for run in logged(study, init)}
            for (init, _), in (contrast.plus, contrast.minus)]
    ratios = []
    for seed in sorted(set(logs[0]) & set(logs[1])):
        goal = common_goal([logs[0][seed], logs[1][seed]])
        if goal is not None:
            ratios.append(log2_ratio(reached(logs[1][seed], goal), reached(logs[0][seed], goal)))
    return decide_sooner(ratios, contrasts) if len(ratios) > 1 else None, len(ratios)


def _name(keys: Sequence[SystemKey]) -> str:
    text = " + ".join(SYSTEMS[init].short + (f" at {fraction}%" if fraction != 100 else "")
                      for init, fraction in keys)
    return f"({text})" if len(keys) > 1 else text


def _points(claim: Claim, study: Study) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """The claim's points that the test set resolves, and, if none, other tabulated ones it does."""
    marks = study.marks
    if study.task.evaluation == "boundary" or marks is None:
        return WHOLE, ()
    wanted = claim.points or study.task.operating_points
    used = tuple(point for point in wanted if resolved(point, marks))
    others = tuple(point for point in points_of(study.task) if resolved(point, marks))
    return used, () if used else others


def _seeds(claim: Claim, source: Resampled) -> int:
    keys = {key for contrast in claim.contrasts for key in (*contrast.plus, *contrast.minus)}
    return min((source.seeds[key] for key in keys
                if key in source.seeds and key[0] != "handcrafted"), default=0)


def judge(claim: Claim, study: Study, source: Resampled) -> Verdict:
    """Decide one claim on one study; undecided, with the reason, where the evidence is missing."""
    boundary, sooner = study.task.evaluation == "boundary", claim.kind == "sooner"
    unit = "log2 of iterations" if sooner else "µm less" if boundary else "sensitivity"
    used, others = (WHOLE, ()) if sooner else _points(claim, study)
    found: list[tuple[Measured, Contrast, int]] = []
    fewest_seeds: list[int] = []
    for contrast in claim.contrasts:
        count = source.groups
        if sooner:
            one, count = _sooner(study, contrast, len(claim.contrasts))
            fewest_seeds.append(count)
        else:
            one = _measure(claim, contrast, source, used or others, boundary) \
                if used or others else None
        if one is not None:
            found.append((one, contrast, count))
    seeds = min(fewest_seeds) if sooner else _seeds(claim, source)
    empty = Verdict(claim.name, claim.section, claim.text, study.dataset, "undecided", np.nan,
                    np.nan, np.nan, np.nan, unit, "", (), 0, "", seeds, study.stand_ins(), "")
    if not found:
        return replace(empty, reason=_nothing(study, sooner, seeds, bool(used or others)))
    worst, contrast, count = min(found, key=lambda entry: (entry[0].rank(claim.kind), entry[2]))
    verdict, reasons = worst.verdict, []
    missing = len(claim.contrasts) - len(found)
    if missing:
        reasons.append(f"{missing} of {len(claim.contrasts)} comparisons have no runs")
        verdict = "undecided" if verdict == "supported" else verdict
    if others:
        wanted = ", ".join(point_label(study.task, point)
                           for point in claim.points or study.task.operating_points)
        reasons.append(f"this test set does not resolve {wanted}; at "
                       f"{', '.join(point_label(study.task, point) for point in others)}, which "
                       f"the claim does not speak of, it is {verdict}")
        verdict = "undecided"
    if worst.too_low:
        reasons.append(f"on a par, but below a sensitivity of {SENSITIVITY_FLOOR:g}")
    needs, what = (MIN_SEEDS, "seeds") if sooner else (MIN_GROUPS, f"{study.task.group}s")
    if count < needs:
        reasons.append(f"{count} {what}, at least {needs} are needed")
        verdict = "undecided"
    if not sooner and seeds == 1:
        reasons.append("one training run each; repeat runs not accounted for")
    return replace(empty, verdict=verdict, estimate=worst.estimate, low=worst.low, high=worst.high,
                   level=worst.level, points=() if sooner or boundary else used or others,
                   contrast=f"{_name(contrast.plus)} − {_name(contrast.minus)}",
                   groups=count, evidence=f"{count} {what}", reason="; ".join(reasons))


def _nothing(study: Study, sooner: bool, seeds: int, points: bool) -> str:
    if sooner:
        return f"seeds with logs of both systems: {seeds}, at least {MIN_SEEDS} are needed"
    if not points:
        return "this test set is too small to resolve any operating point"
    return f"no runs of these systems, or fewer than two {study.task.group}s with lesions"


def judge_all(study: Study, resampled: Resampled | None = None) -> list[Verdict]:
    """Every claim on the study's task; `resampled` is made (`compare.resample`) if not given."""
    if study.task.evaluation == "boundary":
        source = resample_errors(study)
    else:
        source = resampled or resample(study, points_of(study.task))
    return [judge(claim, study, source) for claim in CLAIMS if claim.task == study.task.name]
