"""Figures 2, 4 and 6: FROC and ROC curves in the manner of the paper, one row of data each."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter

from layerwise.analysis.collect import Run, Study
from layerwise.analysis.curve_caption import curve_caption
from layerwise.analysis.froc import Froc, froc
from layerwise.analysis.intervals import BARS
from layerwise.analysis.operating import Table, points_of
from layerwise.analysis.style import COLUMN_INCHES, PAGE_INCHES
from layerwise.analysis.systems import SYSTEMS
from layerwise.depths import SWEEP
from layerwise.tasks import Task

_FRACTION_LINES = {100: "-", 50: (0, (5, 1.5)), 25: (0, (1, 1.2))}
_FRACTION_MARKERS = {100: 0, 50: 1, 25: 2}
_PAIR_MARKERS = {"conv1": ("o", "s", "D"), "scratch-gaussian": ("^", "v", "X")}


@dataclass(frozen=True)
class CurveFigure:
    """One figure: its curves as (init, fraction), one list per panel; axes as in the paper."""

    name: str
    task: str
    panels: tuple[tuple[tuple[str, int], ...], ...]
    panel_titles: tuple[str, ...]
    x_label: str
    x_limits: tuple[float, float]
    y_limits: tuple[float, float]
    log_x: bool = False
    fractions_in_legend: bool = False

    @property
    def columns(self) -> int:
        """Panels side by side."""
        return {4: 2}.get(len(self.panels), len(self.panels))

    def drawable(self, study: Study) -> bool:
        """Whether the study has one of its systems; of a figure on less data, with less data."""
        least = min(fraction for _, fraction in self.systems())
        return any(study.of(*key) for key in self.systems() if least == 100 or key[1] < 100)

    def systems(self) -> list[tuple[str, int]]:
        """All (init, fraction) the figure can show."""
        return [key for panel in self.panels for key in panel]


def _all_data(*inits: str) -> tuple[tuple[str, int], ...]:
    return tuple((init, 100) for init in inits)


def _reduced(fraction: int) -> tuple[tuple[str, int], ...]:
    return (("scratch-gaussian", fraction), ("conv1", fraction))


CURVE_FIGURES = (
    CurveFigure("fig2a", "polyp", (_all_data("fc8", "fc7", "conv4", "conv1", "scratch-gaussian",
                                             "handcrafted"),), ("FROC Analysis",),
                "False Positives Per Frame", (1e-4, 1e1), (0.0, 0.8), log_x=True),
    CurveFigure("fig2b", "polyp", (tuple((init, fraction) for fraction in (25, 50, 100)
                                         for init in ("conv1", "scratch-gaussian")),),
                ("FROC Analysis",), "False Positives Per Frame", (0.01, 0.1), (0.0, 0.8),
                log_x=True, fractions_in_legend=True),
    CurveFigure("fig4a", "pe", (_all_data("fc8", "fc7", "fc6", "conv1", "scratch-gaussian",
                                          "handcrafted"),), ("",),
                "False Positives Per Volume", (0.0, 10.0), (0.0, 0.9)),
    CurveFigure("fig4b", "pe", (_reduced(100), _reduced(50), _reduced(25)),
                ("100% training data", "50% training data", "25% training data"),
                "False Positives Per Volume", (0.0, 10.0), (0.0, 0.9)),
    CurveFigure("fig6a", "frames", (_all_data("fc8", "conv5", "conv1", "scratch-gaussian",
                                              "handcrafted"),), ("ROC Analysis",),
                "1−specificity", (0.05, 0.5), (0.5, 1.0)),
    CurveFigure("fig6b", "frames", (_reduced(100), _reduced(10), _reduced(5), _reduced(1)),
                ("100% training data", "10% training data", "5% training data",
                 "1% training data"), "1−specificity", (0.05, 0.5), (0.5, 1.0)),
)


def curve_figures(task: Task) -> tuple[CurveFigure, ...]:
    """The paper's figures of a task; of another than its tasks, all depths, and less data."""
    own = tuple(spec for spec in CURVE_FIGURES if spec.task == task.name)
    if own or task.by_region:
        return own
    if task.evaluation == "froc":
        title, label, limits = "FROC Analysis", f"False Positives Per {task.case.title()}", 10.0
    else:
        title, label, limits = "ROC Analysis", "1−specificity", 1.0
    percent = [round(100 * fraction) for fraction in task.fractions]
    return (
        CurveFigure("depths", task.name, (_all_data(*SWEEP, "handcrafted"),), (title,), label,
                    (0.0, limits), (0.0, 1.0)),
        CurveFigure("fractions", task.name, tuple(map(_reduced, percent)),
                    tuple(f"{each}% training data" for each in percent), label, (0.0, limits),
                    (0.0, 1.0)))


def mean_curve(curves: Sequence[Froc]) -> tuple[np.ndarray, np.ndarray]:
    """Mean sensitivity of step curves at every FP rate of any of them: two float64 arrays.

    Where one curve has ended, its last sensitivity stands: that seed has no more candidates.
    """
    rates = np.unique(np.concatenate([curve.fp_per_case for curve in curves]))
    values = [curve.sensitivity[np.searchsorted(curve.fp_per_case, rates, side="right") - 1]
              for curve in curves]
    return rates, np.mean(values, axis=0)


def _handles(spec: CurveFigure, keys: Sequence[tuple[str, int]]) -> list[Line2D]:
    return [Line2D([], [], label=_label(*key, spec.fractions_in_legend), markeredgecolor="black",
                   markeredgewidth=0.3, **_curve_style(spec, *key)) for key in keys]


def _label(init: str, fraction: int, with_fraction: bool) -> str:
    label = SYSTEMS[init].label
    return f"{label} using {fraction}% training data" if with_fraction else label


def _curve_style(spec: CurveFigure, init: str, fraction: int) -> dict[str, Any]:
    system = SYSTEMS[init]
    if not spec.fractions_in_legend:
        return {"color": system.colour, "linestyle": system.line, "marker": system.marker}
    scratch = init.startswith("scratch")  # thinner and hollow: told apart in grey too
    return {"color": system.colour, "linestyle": _FRACTION_LINES[fraction],
            "marker": _PAIR_MARKERS[init][_FRACTION_MARKERS[fraction]],
            "linewidth": 0.8 if scratch else 1.6,
            "markerfacecolor": "white" if scratch else system.colour}


def _draw_curve(axes: Axes, spec: CurveFigure, runs: Sequence[Run], table: Table, method: str,
                place: float) -> tuple[float, float]:
    """Draw one system; returns its lowest and highest sensitivity that should be in sight.

    place: how many hundredths of the axis its error bars move to the right.
    """
    init, fraction = runs[0].init, runs[0].fraction
    style = _curve_style(spec, init, fraction)
    curves = [froc(run.marks) for run in runs if run.marks is not None]
    start, stop = spec.x_limits
    for curve in curves if len(curves) > 1 else ():
        axes.step(np.append(np.maximum(curve.fp_per_case, start * 1e-3), stop * 10),
                  np.append(curve.sensitivity, curve.sensitivity[-1]), where="post",
                  color=style["color"], linewidth=0.4, alpha=0.45)
    rates, values = mean_curve(curves)
    inside = rates <= stop
    line = {key: style[key] for key in ("color", "linestyle", "linewidth") if key in style}
    placed = np.maximum(rates, start * 1e-3) if spec.log_x else rates  # a log axis has no zero
    axes.step(placed, values, where="post", **line)
    operating = table[init, fraction]
    bottom, top = 1.0, float(values[inside].max(initial=0.0))
    for point in operating.points:
        if not start <= point <= stop:
            continue
        bar = operating.mean(method, point)
        x = point * (stop / start) ** (0.01 * place) if spec.log_x \
            else point + 0.01 * place * (stop - start)
        axes.errorbar([x], [bar.estimate], yerr=[[max(0.0, bar.estimate - bar.low)],
                                                 [max(0.0, bar.high - bar.estimate)]],
                      color=style["color"], marker=style["marker"], markeredgecolor="black",
                      markerfacecolor=style.get("markerfacecolor", style["color"]),
                      markeredgewidth=0.3, capsize=1.8, elinewidth=0.8, capthick=0.8,
                      linestyle="none", zorder=3)
        bottom, top = min(bottom, bar.low), max(top, bar.high)
    return bottom, top


def _set_axes(axes: Axes, spec: CurveFigure, bottom: float, top: float) -> None:
    low, high = spec.y_limits    # the paper's, unless error bars lie outside
    axes.set_ylim(low if bottom >= low else np.floor(bottom * 10) / 10,
                  high if top <= high + 1e-9 else 1.0)
    axes.set_xlim(*spec.x_limits)
    if spec.log_x:
        axes.set_xscale("log")
    if spec.log_x and spec.x_limits[1] / spec.x_limits[0] <= 10:  # one decade: label within it
        axes.xaxis.set_major_locator(FixedLocator([0.01, 0.02, 0.03, 0.05, 0.07, 0.1]))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.xaxis.set_minor_locator(FixedLocator([]))
        axes.set_xlim(spec.x_limits[0] * 0.85, spec.x_limits[1] * 1.18)  # bars stand on the ends
    axes.grid(True, which="major")


def draw_curves(spec: CurveFigure, study: Study, table: Table, method: str = BARS) -> Figure:
    """Draw a figure from whichever of its systems have runs (at least one of them).

    Error bars: `method` at the task's operating points inside the axes, shifted sideways so that
    they do not hide one another. The caption names stand-ins and the bars' method.
    """
    present = [[key for key in panel if study.of(*key)] for panel in spec.panels]
    keys = spec.systems()
    bars = [(f"{SYSTEMS[init].short} at {point:g}", table[init, fraction].mean(method, point))
            for init, fraction in dict.fromkeys(keys) if (init, fraction) in table
            for point in table[init, fraction].points
            if spec.x_limits[0] <= point <= spec.x_limits[1]]
    caption = curve_caption(study, [run for key in keys for run in study.of(*key)],
                            [point for point in points_of(study.task)
                             if spec.x_limits[0] <= point <= spec.x_limits[1]],
                            bars, method, 80 * spec.columns)
    entries = list(dict.fromkeys((init, fraction if spec.fractions_in_legend else 100)
                                 for panel in present for init, fraction in panel))
    single = len(spec.panels) == 1
    legend_columns = 1 if spec.fractions_in_legend else 2
    legend_lines = -(-len(entries) // legend_columns)
    rows = -(-len(spec.panels) // spec.columns)
    width = COLUMN_INCHES if single else PAGE_INCHES
    bottom = 0.42 + 0.135 * legend_lines + 0.1 * len(caption) + 0.1
    height = rows * 2.3 + bottom + 0.2
    figure = Figure(figsize=(width, height))
    grid = figure.subplots(rows, spec.columns, squeeze=False)
    bottoms, tops = [1.0], [0.0]
    for axes, keys, title in zip(grid.flat, present, spec.panel_titles):
        for i, key in enumerate(keys):
            lowest, highest = _draw_curve(axes, spec, study.of(*key), table, method,
                                          i - (len(keys) - 1) / 2)
            bottoms.append(lowest)
            tops.append(highest)
        axes.set_title(title, pad=3)
    for i, axes in enumerate(grid.flat):
        _set_axes(axes, spec, min(bottoms), max(tops))
        if i >= len(spec.panels) - spec.columns:
            axes.set_xlabel(spec.x_label)
        if i % spec.columns == 0:
            axes.set_ylabel("Sensitivity")
    figure.subplots_adjust(left=0.44 / width, right=1 - 0.12 / width, top=1 - 0.22 / height,
                           bottom=bottom / height, hspace=0.28, wspace=0.2)
    figure.legend(handles=_handles(spec, entries), loc="lower center", frameon=False,
                  handlelength=3.0, ncol=legend_columns, columnspacing=1.0, labelspacing=0.25,
                  borderpad=0.1, bbox_to_anchor=(0.5, (0.1 * len(caption) + 0.05) / height))
    figure.text(0.5, 0.04 / height, "\n".join(caption), ha="center", va="bottom", fontsize=5.5,
                linespacing=1.1)
    return figure
