"""The small print under a figure of curves: data, bars, and which bars to read with care."""
from __future__ import annotations

import textwrap
from collections.abc import Sequence

from layerwise.analysis.collect import Run, Study
from layerwise.analysis.intervals import METHOD_NAMES, Interval
from layerwise.analysis.marks import MIN_FALSE_POSITIVES, resolved

Bars = Sequence["tuple[str, Interval]"]  # where it stands ("FT:conv1-fc8 at 0.1"), and the bar


def replaced_bars(bars: Bars, method: str) -> list[str]:
    """One line for every method and reason that stands in for `method`, with where it does."""
    replaced: dict[tuple[str, str], list[str]] = {}
    for where, bar in bars:
        if bar.method != method:
            name = "+".join(METHOD_NAMES[part] for part in bar.method.split("+"))
            replaced.setdefault((name, bar.note), []).append(where)
    return [f"{name} instead ({note}): {', '.join(places)}"
            for (name, note), places in replaced.items()]


def curve_caption(study: Study, runs: Sequence[Run], points: Sequence[float], bars: Bars,
                  method: str, width: int) -> list[str]:
    """Lines of `width` characters for the figure that shows `runs` and `bars` at `points`."""
    over = f" over {study.evidence_groups} {study.evidence}" if method == "bootstrap" else ""
    parts = [study.sensitivity] if study.task.evaluation == "roc" else []
    parts += [f"bars: 95%, {METHOD_NAMES[method]}{over}, shifted sideways"]
    if method == "idca":
        parts.append("markers lie on the fitted model, lines are step curves")
    if any(len(study.of(run.init, run.fraction)) > 1 for run in runs):
        parts.append("mean of seeds, each thin")
    parts += replaced_bars(bars, method)
    doubted: dict[str, list[str]] = {}
    for where, bar in bars:
        if bar.doubt:
            system, _, point = where.partition(" at ")
            doubted.setdefault(system, []).append(point)
    if doubted:
        parts.append("the model does not fit: " + ", ".join(
            system if len(places) == len(points) else f"{system} at {' and '.join(places)}"
            for system, places in doubted.items()))
    parts += study.remarks([(run.init, run.fraction) for run in runs])
    marks = study.marks
    blurred = [f"{point:g}" for point in points if marks is not None and not resolved(point, marks)]
    if blurred:
        parts.append(f"fewer than {MIN_FALSE_POSITIVES} false positives allowed at "
                     f"{', '.join(blurred)}: not resolved")
    return [*textwrap.wrap(study.stand_ins(runs), width), *textwrap.wrap("; ".join(parts), width)]
