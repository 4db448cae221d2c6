"""Figure 10: validation AUC against the number of mini-batches, on a log axis."""
from __future__ import annotations

import textwrap
from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from layerwise.analysis.collect import Run, Study
from layerwise.analysis.convergence import band, read_log
from layerwise.analysis.style import COLUMN_INCHES, PAGE_INCHES
from layerwise.analysis.systems import SYSTEMS

# The paper's four curves, and its legend.
FIG10 = {"conv1": "FT:conv1-fc8", "scratch-gaussian": "AlexNet scratch with Gaussian Init",
         "scratch-xavier": "AlexNet scratch with Xavier Init",
         "scratch-msra": "AlexNet scratch with MSRA Init"}
TITLES = {"polyp": "Polyp detection", "pe": "PE detection",
          "frames": "Colonoscopy frame classification",
          "cimt": "Intima−media boundary segmentation"}


def logged(study: Study, init: str) -> list[Run]:
    """Runs of one system at 100% of the data that have a log."""
    return [run for run in study.of(init) if run.log.is_file()]


def _small_print(study: Study, shown: Sequence[Run]) -> str:
    """Where the runs shown come from, and which of them are to be read with care."""
    return " · ".join([study.stand_ins(shown),
                       *study.remarks([(run.init, run.fraction) for run in shown])])


def draw_convergence(study: Study) -> Figure:
    """Mean over seeds, range shaded, each seed thin; where any seed gave NaN, a cross at 0."""
    runs = {init: logged(study, init) for init in FIG10}
    shown = [run for group in runs.values() for run in group]
    figure = Figure()
    axes = figure.subplots()
    broken = False
    for place, (init, group) in enumerate(runs.items()):
        if not group:
            continue
        system = SYSTEMS[init]
        logs = [read_log(run.log) for run in group]
        curve = band(logs)
        whole = (curve.iterations > 0) & (np.isfinite(curve.mean) | curve.broken)  # log: no 0
        iterations = curve.iterations[whole]
        axes.plot(iterations, curve.mean[whole], color=system.colour, linestyle=system.line,
                  marker=system.marker, markevery=(place, max(4, iterations.size // 6)),
                  markersize=3.5, label=FIG10[init])
        if len(group) > 1:
            axes.fill_between(iterations, curve.low[whole], curve.high[whole],
                              color=system.colour, alpha=0.2, linewidth=0)
        for log in logs if len(group) > 1 else ():
            seen = log.iterations > 0
            axes.plot(log.iterations[seen], log.auc[seen], color=system.colour, linewidth=0.4,
                      alpha=0.6)
        crosses = curve.iterations[curve.broken & (curve.iterations > 0)]
        broken = broken or crosses.size > 0
        axes.plot(crosses, np.zeros(crosses.size), linestyle="none", marker="x",
                  color=system.colour, clip_on=False, zorder=5)
    axes.set_xscale("log")
    low, high = axes.get_xlim()               # whole decades, as the paper's axis has them
    axes.set_xlim(10 ** np.floor(np.log10(low)), 10 ** np.ceil(np.log10(high)))
    axes.xaxis.set_minor_formatter(NullFormatter())   # and labels whole decades only
    axes.set_ylim(0, 1)
    axes.set_xlabel("#mini−batches")
    axes.set_ylabel("AUC")
    axes.set_title(TITLES.get(study.task.name, study.task.title))
    axes.grid(True, which="major")
    axes.legend(loc="lower right", handlelength=3.0, framealpha=0.85)
    seeds = max(len(group) for group in runs.values())
    extra = f" · mean and range of {seeds} seeds where all have an AUC, each seed thin" \
        if seeds > 1 else ""
    extra += " · ×: a validation gave no AUC (NaN)" if broken else ""
    caption = textwrap.wrap(f"{_small_print(study, shown)}{extra}", 80)
    bottom = 0.52 + 0.09 * len(caption)   # inches
    height = bottom + 2.5
    figure.set_size_inches(COLUMN_INCHES, height)
    figure.subplots_adjust(left=0.13, right=0.97, top=1 - 0.25 / height, bottom=bottom / height)
    figure.text(0.5, 0.05 / height, "\n".join(caption), ha="center", va="bottom", fontsize=5.5,
                linespacing=1.1)
    return figure


def draw_training(study: Study) -> Figure:
    """Validation AUC and training loss of every run with a log at 100% of the data."""
    shown = [run for init in study.inits() for run in logged(study, init)]
    figure = Figure()
    left, right = figure.subplots(1, 2)
    for init in study.inits():
        system = SYSTEMS[init]
        for number, run in enumerate(logged(study, init)):
            log = read_log(run.log)
            style = {"color": system.colour, "linestyle": system.line, "linewidth": 0.9}
            left.plot(log.iterations, log.auc, marker=system.marker, markersize=3,
                      markevery=max(1, log.iterations.size // 5),
                      label=None if number else system.short, **style)
            right.plot(log.loss_iterations, log.loss, **style)
    left.set_ylabel("validation AUC")
    right.set_ylabel("training loss")
    for axes in (left, right):
        axes.set_xlabel("#mini−batches")
        axes.grid(True)
    caption = textwrap.wrap(_small_print(study, shown), 160)
    handles, labels = left.get_legend_handles_labels()
    legend = 0.05 + 0.09 * len(caption)   # inches, as the next two
    bottom = legend + 0.6 + 0.14 * -(-len(labels) // 6)
    height = bottom + 2.1
    figure.set_size_inches(PAGE_INCHES, height)
    figure.legend(handles, labels, loc="lower center", ncol=6, frameon=False, handlelength=2.6,
                  bbox_to_anchor=(0.5, legend / height))
    figure.subplots_adjust(left=0.075, right=0.99, top=1 - 0.1 / height, bottom=bottom / height,
                           wspace=0.2)
    figure.text(0.5, 0.03 / height, "\n".join(caption), ha="center", va="bottom", fontsize=5.5,
                linespacing=1.1)
    return figure
