"""A recommendation in words, as JSON and as a figure."""
from __future__ import annotations

import json
import math
import textwrap
from dataclasses import asdict
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from layerwise.analysis.deeper import (
    LEVEL,
    MARGIN,
    MIN_GROUPS,
    Gain,
    Measured,
    cheaper,
    groups_needed,
)
from layerwise.analysis.style import PAGE_INCHES, figure_style, save
from layerwise.analysis.systems import SYSTEMS
from layerwise.contracts import write_bytes
from layerwise.depths import DEPTHS
from layerwise.recommend import Recommendation
from layerwise.runs import dataset_folder, recommendation_stem


def lines(advice: Recommendation) -> list[str]:
    """What is printed."""
    found, unit = advice.search, advice.groups_of
    looks = {look.depth: look for look in found.looks}
    told = [f"{advice.task} on {advice.dataset}: AUC on the validation set [95%, bootstrap over "
            f"{unit}s, {found.groups} of them with the rarer class]"]
    for one in found.measured:
        text = f"  {one.name:6s} {_auc(one)}"
        if one.name in looks:
            look = looks[one.name]
            verdict = "" if math.isnan(look.gain.p) else \
                ": deeper" if look.gain.significant else ": no significant gain"
            text += f"   {_gain(look.gain)} over {look.against}, {_p(look.gain)}{verdict}"
        told.append(text)
    state = "UNDECIDED" if found.doubts else "decided"
    told.append(f"effective depth: {found.chosen} (tune {_span(found.chosen)}), {state}")
    told += [f"  undecided: {doubt}" for doubt in found.doubts]
    needed = groups_needed(found)
    if needed:
        told.append(f"  {'at least' if found.groups < MIN_GROUPS else 'about'} {needed} such "
                    f"validation {unit}s would settle it to within {MARGIN:g} of AUC, of "
                    f"{needed * advice.validation_every} to train and validate on")
    for look in cheaper(found):
        told.append(f"cheaper and not significantly worse: {look.depth}, "
                    f"{found.of(look.depth).auc:.4f}; {found.chosen} gains {_gain(look.gain)}, "
                    f"{_p(look.gain)}")
    told += _curve(advice)
    cost = advice.cost
    told.append(f"cost: {cost.trained} networks trained, {cost.work / cost.sweep_work:.0%} of the "
                f"work of the {cost.sweep_trained} of a whole sweep"
                + (f"; {cost.curve_trained} more for the learning curve"
                   if cost.curve_trained else ""))
    told.append(f"test set, not used in choosing: {found.chosen} has AUC {_auc(advice.test)} "
                f"({advice.test_groups} {unit}s with the rarer class)")
    told += advice.stand_ins
    return told


def _curve(advice: Recommendation) -> list[str]:
    if advice.no_curve:
        return [f"more data: unknown, no smaller training sets ({advice.no_curve})"]
    if len(advice.curve) < 2:
        return []
    told = [f"with less data, {advice.search.chosen}, one draw of each smaller set:"]
    for point in advice.curve:
        told.append(f"  {point.fraction:3d}% ({point.groups} training {advice.groups_of}s, "
                    f"{point.patches} patches) {_auc(point.measured)}"
                    + (f"   {_gain(point.gain)}, {_p(point.gain)}" if point.gain else ""))
    last, before = advice.curve[-1].gain, advice.curve[-2].fraction
    assert last is not None
    if advice.search.groups < MIN_GROUPS or math.isnan(last.high):
        told.append("more data: undecided, the validation set is too small or too easy to tell")
    elif last.significant:
        told.append(f"more data: the AUC still rises from {before}% to 100%; more "
                    f"{advice.fewer}s should help")
    elif not last.open:
        told.append(f"more data: from {before}% to 100% less than {MARGIN:g} of AUC was gained; "
                    "more of the same would bring little")
    else:
        told.append(f"more data: undecided, from {before}% to 100% up to {last.high:+.3f} of AUC "
                    "may have been gained")
    return told


def _span(depth: str) -> str:
    return DEPTHS[depth].legend.split(":")[-1].replace("only ", "")


def _auc(one: Measured) -> str:
    ends = "no interval" if math.isnan(one.low) else f"{one.low:.4f}, {one.high:.4f}"
    return f"{one.auc:.4f} [{ends}]"


def _gain(one: Gain) -> str:
    ends = "no interval" if math.isnan(one.low) else f"{one.low:+.4f}, {one.high:+.4f}"
    return f"{one.estimate:+.4f} [{ends}]"


def _p(one: Gain) -> str:
    return "not tested" if math.isnan(one.p) else f"p = {one.p:.3f}"


def as_json(advice: Recommendation) -> dict[str, Any]:
    """All numbers; NaN, where there is no interval, becomes null."""
    content = asdict(advice)
    for one in (*content["search"]["measured"], content["test"],
                *(point["measured"] for point in content["curve"])):
        del one["draws"]
    found = advice.search
    content["search"] |= {"decided": not found.doubts, "level": LEVEL, "margin": MARGIN,
                          "groups_needed": groups_needed(found)}
    content["cheaper"] = [asdict(look) for look in cheaper(found)]
    return dict(_no_nan(content))


def _no_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _no_nan(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_no_nan(item) for item in value]
    return None if isinstance(value, float) and math.isnan(value) else value


def draw(advice: Recommendation) -> Figure:
    """AUC against depth, and of the chosen depth against the size of the training set.

    Must be used within `style.figure_style`.
    """
    found = advice.search
    several = len(advice.curve) > 1
    figure = Figure(figsize=(PAGE_INCHES if several else PAGE_INCHES / 2, 2.9))
    grid = figure.subplots(1, 2 if several else 1, squeeze=False, sharey=True)[0]
    for place, one in enumerate(found.measured):
        _point(grid[0], place, one, one.name == found.chosen)
    grid[0].set_xticks(range(len(found.measured)))
    grid[0].set_xticklabels([one.name for one in found.measured])
    grid[0].set_xlabel("first tuned layer")
    grid[0].set_ylabel("AUC on the validation set")
    grid[0].set_title(f"Effective depth: {found.chosen}"
                      + (" (undecided)" if found.doubts else ""), pad=3)
    if several:
        of_groups = advice.fewer == advice.groups_of     # else the groups are the same at each size
        sizes = [point.groups if of_groups else point.patches for point in advice.curve]
        for size, point in zip(sizes, advice.curve):
            _point(grid[1], size, point.measured, point.fraction == 100)
        grid[1].plot(sizes, [point.measured.auc for point in advice.curve],
                     color=SYSTEMS[found.chosen].colour, linewidth=0.8)
        grid[1].set_xlim(left=0)
        grid[1].set_xlabel(f"training {advice.groups_of}s" if of_groups else "training patches")
        grid[1].set_title(f"{found.chosen} with less data", pad=3)
    for axes in grid:
        axes.grid(True)
    note = textwrap.wrap(" · ".join((
        f"{advice.task} on {advice.dataset}", *advice.stand_ins,
        f"bars: 95%, bootstrap over {found.groups} validation {advice.groups_of}s, one "
        "network each" if found.of(found.chosen).runs == 1 else
        f"bars: 95%, bootstrap over {found.groups} validation {advice.groups_of}s and runs",
        "filled: chosen")), 130 if several else 62)
    figure.subplots_adjust(left=0.08 if several else 0.16, right=0.98, top=0.92,
                           bottom=0.16 + 0.035 * len(note), wspace=0.08)
    figure.text(0.5, 0.01, "\n".join(note), ha="center", va="bottom", fontsize=5.5)
    return figure


def _point(axes: Any, place: float, one: Measured, chosen: bool) -> None:
    colour = SYSTEMS[one.name].colour
    ends = (0.0, 0.0) if math.isnan(one.low) else (max(0.0, one.auc - one.low),
                                                   max(0.0, one.high - one.auc))
    axes.errorbar([place], [one.auc], yerr=[[ends[0]], [ends[1]]], color=colour, marker="o",
                  markersize=6, markerfacecolor=colour if chosen else "white", capsize=2.5,
                  linestyle="none", zorder=3)


def write(advice: Recommendation, runs: Path) -> list[Path]:
    """recommendation.json, .pdf and .png, in `<runs>/figures/<task>/<dataset>/`; their paths."""
    stem = recommendation_stem(dataset_folder(runs, advice.task, advice.dataset))
    path = stem.with_suffix(".json")
    write_bytes(path, (json.dumps(as_json(advice), indent=1) + "\n").encode())
    with figure_style():
        return [path, *save(draw(advice), stem)]
