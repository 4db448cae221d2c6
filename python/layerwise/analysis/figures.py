"""Draw every figure for which there are results: `<out>/<task>/<dataset>/figXY.pdf` and .png."""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from layerwise.analysis.boundary_figures import FIG9, draw_boxes, draw_example
from layerwise.analysis.collect import Study, collect
from layerwise.analysis.convergence_figure import FIG10, draw_convergence, logged
from layerwise.analysis.curves import curve_figures, draw_curves
from layerwise.analysis.intervals import BARS
from layerwise.analysis.operating import Table, operating_table
from layerwise.analysis.style import figure_style, save
from layerwise.analysis.systems import TEN_SYSTEMS
from layerwise.depths import DEPTHS
from layerwise.runs import EXAMPLE


def figures_of(study: Study, table: Table, method: str = BARS) -> Iterator[tuple[str, Figure]]:
    """Name and drawing of every figure that has at least one of its systems in the study.

    Must be used within `style.figure_style`.
    """
    for spec in curve_figures(study.task):
        if spec.drawable(study):
            yield spec.name, draw_curves(spec, study, table, method)
    if study.task.evaluation == "boundary" and any(study.of(init) for init in TEN_SYSTEMS):
        examples = [run for run in study.runs if (run.folder / EXAMPLE).is_file()]
        if examples:
            tuned = [run for run in examples if run.init in DEPTHS and DEPTHS[run.init].fine_tuned]
            yield "fig8", draw_example((tuned or examples)[-1], study)
        for name, interface in FIG9.items():
            yield name, draw_boxes(study, interface)
    if any(logged(study, init) for init in FIG10):
        yield "fig10", draw_convergence(study)


def draw_figures(results: Sequence[Path], out: Path, method: str = BARS) -> list[Path]:
    """Draw all figures of all runs under `results`; returns the files written, PDF and PNG.

    method: of the error bars (`intervals.METHODS`). Raises InputError as `collect` does. The same
    results give the same bytes.
    """
    written: list[Path] = []
    for study in collect(results):
        table = operating_table(study)
        with figure_style():
            for name, figure in figures_of(study, table, method):
                written += save(figure, out / study.task.name / study.dataset / name)
    return written
