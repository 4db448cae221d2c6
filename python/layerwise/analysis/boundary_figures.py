"""Figures 8 and 9: how an interface is traced, and box plots of the error."""
from __future__ import annotations

import textwrap
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from layerwise.analysis.collect import Run, Study
from layerwise.analysis.compare import mean_errors_um, spread_um
from layerwise.analysis.outcome import explained
from layerwise.analysis.style import PAGE_INCHES
from layerwise.analysis.systems import SYSTEMS, TEN_SYSTEMS
from layerwise.errors import InputError
from layerwise.runs import EXAMPLE

TITLES = {"lumen_intima": "Lumen-intima interface", "media_adventitia":
          "Media-adventitia interface"}
FIG9 = {"fig9a": "lumen_intima", "fig9b": "media_adventitia"}
_COLOURS = ("#009E73", "#D55E00")  # lumen-intima and media-adventitia; the paper's green and red
_LINES = ("-", "--")


@dataclass(frozen=True)
class Example:
    """One traced test region: rows of the interfaces are float (2, columns), in pixels.

    roi: (rows, columns) grey values; confidence: (2, rows, columns) probabilities; `steps` are the
    rows of maximum confidence, `snakes` the smoothed interfaces, `truth` the annotated ones.
    """

    roi: np.ndarray
    confidence: np.ndarray
    steps: np.ndarray
    snakes: np.ndarray
    truth: np.ndarray


def read_example(path: Path) -> Example:
    """Read a run's example.npz; InputError when an array is missing or of the wrong shape."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in Example.__dataclass_fields__}
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"{path}: not an example of a traced region ({error})") from None
    rows, columns = arrays["roi"].shape if arrays["roi"].ndim == 2 else (0, 0)
    expected = {"roi": (rows, columns), "confidence": (2, rows, columns), "steps": (2, columns),
                "snakes": (2, columns), "truth": (2, columns)}
    for name, shape in expected.items():
        if arrays[name].shape != shape or not rows:
            raise InputError(f"{path}: {name} has shape {arrays[name].shape}, expected {shape}")
    return Example(**arrays)


def _interfaces(axes: Axes, rows: np.ndarray, stepped: bool) -> None:
    for line, colour, style in zip(rows, _COLOURS, _LINES):
        axes.plot(line, color=colour, linestyle=style, linewidth=1.0,
                  drawstyle="steps-mid" if stepped else "default")


def draw_example(run: Run, study: Study) -> Figure:
    """Fig. 8: region, confidence maps, thinned maxima, snakes, annotation (panels a to e)."""
    example = read_example(run.folder / EXAMPLE)
    figure = Figure(figsize=(PAGE_INCHES, 1.65))
    grid = figure.subplots(1, 5)
    merged = np.zeros((*example.roi.shape, 3))
    merged[..., 1], merged[..., 0] = example.confidence   # green: lumen-intima, red: the other
    for axes in grid:
        axes.imshow(example.roi, cmap="gray", interpolation="nearest", aspect="auto")
        axes.set_xticks([])
        axes.set_yticks([])
    grid[1].imshow(np.clip(merged, 0, 1), interpolation="nearest", aspect="auto")
    _interfaces(grid[2], example.steps, stepped=True)
    _interfaces(grid[3], example.snakes, stepped=False)
    _interfaces(grid[4], example.truth, stepped=False)
    for axes, letter in zip(grid, "abcde"):
        axes.set_xlabel(f"({letter})")
    figure.subplots_adjust(left=0.01, right=0.99, top=0.97, bottom=0.3, wspace=0.05)
    system = f"{SYSTEMS[run.init].short} {run.signs}".rstrip()
    figure.text(0.5, 0.02, f"{system}; green, solid: lumen-intima; red, dashed: media-adventitia\n"
                f"{study.stand_ins([run])}{explained(run.signs)}", ha="center", fontsize=6)
    return figure


def draw_boxes(study: Study, interface: str) -> Figure:
    """Fig. 9: Tukey box plots of one interface, mean and SD of the regions above each box.

    With several training runs a region's error is the mean over them; the SD is that of a single
    run, averaged over the runs.
    """
    inits = [init for init in TEN_SYSTEMS if study.of(init)]
    errors = [mean_errors_um(study, init, interface) for init in inits]
    figure = Figure(figsize=(PAGE_INCHES, 3.0))
    axes = figure.subplots()
    axes.boxplot(errors, whis=1.5, widths=0.55,
                 boxprops={"linewidth": 0.8}, whiskerprops={"linewidth": 0.8},
                 capprops={"linewidth": 0.8}, medianprops={"color": "#D55E00", "linewidth": 1.2},
                 flierprops={"marker": "o", "markersize": 2.2, "markeredgewidth": 0.5})
    peak = max(float(values.max()) for values in errors)
    for place, (init, values) in enumerate(zip(inits, errors), start=1):
        spread = spread_um(study, init, interface)
        axes.text(place, float(values.max()) + 0.02 * peak, f"µ = {values.mean():.2f},\n"
                  f"σ = {spread:.2f}", ha="center", va="bottom", fontsize=6.3)
    axes.set_ylim(0, peak * 1.17)
    axes.set_xlim(0.4, len(inits) + 0.6)
    axes.set_xticks(range(1, len(inits) + 1))
    axes.set_xticklabels([SYSTEMS[init].short.replace(" scratch", "\nscratch")
                          for init in inits], fontsize=6.3)
    axes.set_ylabel("Segmentation error (µm)")
    axes.set_title(TITLES[interface])
    axes.grid(True, axis="y")
    figure.subplots_adjust(left=0.08, right=0.995, top=0.92, bottom=0.19)
    repeated = " · errors averaged over training runs, σ of single runs" \
        if any(len(study.of(init)) > 1 for init in inits) else ""
    note = " · ".join([f"{study.stand_ins()} · {errors[0].size} test regions of "
                       f"{study.test_groups} subjects{repeated}",
                       *study.remarks([(init, 100) for init in inits])])
    figure.text(0.5, 0.015, textwrap.fill(note, 150), ha="center", fontsize=6)
    return figure
