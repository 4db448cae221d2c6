"""Decide the paper's claims from the scores: supported, contradicted, undecided, not evaluable.

The interval that decides is that of the paired bootstrap over test groups (videos, patients,
subjects) and training runs: it respects that candidates of one group are alike, that all systems
saw the same test set, and that another training run would give another network. A claim with
several contrasts is supported when each is, and contradicted when any is (see claim_rules for the
levels); the interval shown is that of the contrast that stands in its way most. Without MIN_SEEDS
training runs of each system in it nothing is decided: one run each tells two networks apart, not
two ways of training. Nor does a comparison decide with a run in it that is near chance in
validation (see `outcome`): a failed training shows neither that a depth is worse nor that the other
is better.
Claims about less data stay undecided: all runs at a fraction share one draw of the reduced set.
"""
from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from layerwise.analysis.claim_evidence import WHOLE, at_chance, resample_errors
from layerwise.analysis.claim_rows import (
    CHANCE_MARGIN,
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
from layerwise.analysis.compare import Resampled, resample
from layerwise.analysis.convergence import converged, log2_ratio, read_log
from layerwise.analysis.convergence_figure import logged
from layerwise.analysis.marks import resolved
from layerwise.analysis.operating import point_label, points_of
from layerwise.analysis.outcome import IMPROVING, NEAR_CHANCE, SIGNS
from layerwise.analysis.systems import names

MIN_GROUPS = 6   # fewer cannot give p < 0.05 (2^(1 - 5) is 0.06)
MIN_SEEDS = 3    # runs of a system: fewer say too little of how much its training varies
ONE_DRAW = "one draw of the reduced training set: another may lead to another verdict"
ONE_RUN = "one run per system: a difference between two networks, not between depths"


@dataclass(frozen=True)
class Verdict:
    """A claim's verdict; low and high bound the deciding contrast, NaN where nothing was measured.

    unit: of estimate, low and high; level: of their interval. points: the operating points used.
    groups: how many test groups with evidence (for convergence, seeds) decide, `evidence` the same
    in words. seeds: training runs of the system in the deciding contrast that has the fewest.
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
    """Verdict on log2 of minus's over plus's iterations until they converge, and seeds.

    None with fewer than two seeds: then there is no interval.
    """
    logs = [{run.seed: read_log(run.log) for run in logged(study, init)}
            for (init, _), in (contrast.plus, contrast.minus)]
    ratios = []
    for seed in sorted(set(logs[0]) & set(logs[1])):
        plus, minus = (converged(of[seed]) for of in logs)
        if plus is not None and minus is not None:
            ratios.append(log2_ratio(minus, plus))
    return decide_sooner(ratios, contrasts) if len(ratios) > 1 else None, len(ratios)


def _sum(keys: Sequence[SystemKey]) -> str:
    return f"({names(keys, ' + ')})" if len(keys) > 1 else names(keys)


def _wanted(claim: Claim, study: Study) -> tuple[float, ...]:
    return claim.points or study.task.operating_points


def _labels(study: Study, points: Sequence[float]) -> str:
    return ", ".join(point_label(study.task, point) for point in points)


def _points(claim: Claim, study: Study) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """The claim's points that the test set resolves, and, if none, other tabulated ones it does."""
    marks = study.marks
    if study.task.evaluation == "boundary" or marks is None:
        return WHOLE, ()
    used = tuple(point for point in _wanted(claim, study) if resolved(point, marks))
    others = tuple(point for point in points_of(study.task) if resolved(point, marks))
    return used, () if used else others


def _runs(contrast: Contrast, source: Resampled) -> int:
    """Training runs of the contrast's network that has the fewest."""
    return min((source.seeds[key] for key in (*contrast.plus, *contrast.minus)
                if key in source.seeds and key[0] != "handcrafted"), default=0)


@dataclass(frozen=True)
class _Found:
    """One contrast: verdict, the evidence behind it, its training runs, whether above chance."""

    measured: Measured
    contrast: Contrast
    evidence: int
    runs: int
    above_chance: bool


def _decide_all(claim: Claim, study: Study, source: Resampled,
                points: Sequence[float]) -> list[_Found]:
    """The contrasts that have runs; without points none but those of convergence."""
    found = []
    for contrast in claim.contrasts:
        count, runs = source.groups, _runs(contrast, source)
        one = None
        if claim.kind == "sooner":
            one, count = _sooner(study, contrast, len(claim.contrasts))
            runs = count
        elif points:
            one = _measure(claim, contrast, source, points, study.task.evaluation == "boundary")
        if one is not None:
            above_chance = not _remarks(study, [contrast], NEAR_CHANCE)
            found.append(_Found(one, contrast, count, runs, above_chance))
    return found


def judge(claim: Claim, study: Study, source: Resampled) -> Verdict:
    """Decide one claim on one study; undecided, with the reason, where the evidence is missing."""
    boundary, sooner = study.task.evaluation == "boundary", claim.kind == "sooner"
    unit = "log2 of iterations" if sooner else "µm less" if boundary else "sensitivity"
    used, others = (WHOLE, ()) if sooner else _points(claim, study)
    found = _decide_all(claim, study, source, used or others)
    empty = Verdict(claim.name, claim.section, claim.text, study.dataset, "undecided", np.nan,
                    np.nan, np.nan, np.nan, unit, "", (), 0, "", 0, study.stand_ins(), "")
    there = [one for one in claim.contrasts if all(study.of(*key) for key in one.plus + one.minus)]
    unfinished = _remarks(study, there, SIGNS) if claim.converged else []
    if not found:
        return replace(empty, verdict="not evaluable" if unfinished else "undecided",
                       reason="; ".join([_nothing(study, claim, bool(used or others)),
                                         *unfinished]))
    worst = min(found, key=lambda one: (*one.measured.rank(claim.kind), one.evidence))
    # Support rests on all contrasts, contradiction on one that has runs for it above chance.
    against = [one for one in found if one.measured.verdict == "contradicted"]
    if worst.runs < MIN_SEEDS or not worst.above_chance:
        worst = max(against, key=lambda one: (one.above_chance, one.runs), default=worst)
    runs = min(one.runs for one in found) if worst.measured.verdict == "supported" else worst.runs
    verdict, reasons = worst.measured.verdict, [worst.measured.blocked]
    missing = len(claim.contrasts) - len(found)
    if missing:
        reasons.append(f"{missing} of {len(claim.contrasts)} comparisons have no runs")
        verdict = "undecided" if verdict == "supported" else verdict
    needs, what = (MIN_SEEDS, "seeds") if sooner else (MIN_GROUPS, study.evidence)
    if worst.evidence < needs:
        reasons.append(f"{worst.evidence} {what}, at least {needs} are needed")
        verdict = "undecided"
    if not sooner and runs < MIN_SEEDS:
        reasons.append(ONE_RUN if runs == 1 else f"{runs} training runs of a system, at least "
                       f"{MIN_SEEDS} are needed")
        verdict = "undecided"
    near_chance = [] if unfinished else _remarks(
        study, [one.contrast for one in ([worst] if worst in against else found)], NEAR_CHANCE)
    if near_chance:
        reasons += near_chance
        verdict = "undecided"
    if any(fraction < 100 for _, fraction in worst.contrast.plus + worst.contrast.minus):
        reasons.append(ONE_DRAW)
        verdict = "undecided"
    if worst.measured.too_low:
        reasons.append(f"on a par, but below a sensitivity of {SENSITIVITY_FLOOR:g}")
    if others:
        reasons.append(f"this test set does not resolve {_labels(study, _wanted(claim, study))}; "
                       f"at {_labels(study, others)}, which the claim does not speak of, it is "
                       f"{verdict}")
        verdict = "undecided"
    guessing = at_chance([one.contrast for one in found], study, source, used or others) \
        if claim.falls else []
    if guessing:
        reasons.append(f"with all data not clear of chance by {CHANCE_MARGIN:g} and so with "
                       f"nothing to lose: {names(guessing)}")
        verdict = "not evaluable"
    contrast, one = worst.contrast, worst.measured
    if unfinished:
        verdict = "not evaluable"
    reasons += unfinished or _remarks(study, [contrast], IMPROVING)
    return replace(empty, verdict=verdict, estimate=one.estimate, low=one.low, high=one.high,
                   level=one.level, points=() if sooner or boundary else used or others,
                   contrast=f"{_sum(contrast.plus)} − {_sum(contrast.minus)}",
                   groups=worst.evidence, evidence=f"{worst.evidence} {what}", seeds=runs,
                   reason="; ".join(reason for reason in reasons if reason))


def _remarks(study: Study, contrasts: Sequence[Contrast], signs: Iterable[str]) -> list[str]:
    """On the systems of the contrasts that have the signs."""
    return study.remarks([key for one in contrasts for key in one.plus + one.minus], signs)


def _nothing(study: Study, claim: Claim, points: bool) -> str:
    if claim.kind == "sooner":
        return f"fewer than two seeds with logs of both systems, {MIN_SEEDS} are needed"
    if not points:
        return "this test set is too small to resolve any operating point"
    return f"no runs of these systems, or fewer than two {study.evidence}"


def judge_all(study: Study, resampled: Resampled | None = None) -> list[Verdict]:
    """Every claim on the study's task; `resampled` is made (`compare.resample`) if not given."""
    if study.task.evaluation == "boundary":
        source = resample_errors(study)
    else:
        source = resampled or resample(study, points_of(study.task))
    return [judge(claim, study, source) for claim in CLAIMS if claim.task == study.task.name]
