"""Write every table: operating points, Tables I and II, S1-S4, and Fig. 9's numbers."""
from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from layerwise.alexnet import TABLE_I, Layer
from layerwise.analysis.auc import Row, auc_table
from layerwise.analysis.bootstrap import FEW_GROUPS_NOTE
from layerwise.analysis.collect import Study, collect
from layerwise.analysis.compare import compare_curves, compare_errors, resample
from layerwise.analysis.intervals import BARS, FEW_LESIONS, METHOD_NAMES, METHODS, Interval
from layerwise.analysis.marks import MIN_FALSE_POSITIVES, Marks, resolved
from layerwise.analysis.operating import (
    Operating,
    Table,
    operating_table,
    point_label,
    points_of,
)
from layerwise.analysis.outcome import explained, joined
from layerwise.analysis.pair_tables import boundary_tables, curve_tables
from layerwise.analysis.systems import title
from layerwise.analysis.textable import TextTable, write_document
from layerwise.depths import DEPTHS, GAMMA, LAYERS, MOMENTUM

_LIMITS = {
    "idca": "The paper's reference, by the delta method: a fitted curve, not the step curve; too "
    "narrow where candidates of one group are alike.",
    "bootstrap": f"{FEW_GROUPS_NOTE} No narrower than Wilson's where fewer than {FEW_LESIONS} "
    "lesions (positives) are detected, or missed.",
    "wilson": "On the step curve; takes the threshold as known and lesions as independent: too "
    "narrow.",
}


def _cell(interval: Interval, method: str) -> str:
    used = "" if interval.method == method else f" ({interval.method})"
    doubt = " †" if interval.doubt else ""
    return f"{interval.estimate:.3f} [{interval.low:.3f}, {interval.high:.3f}]{used}{doubt}"


def _rows(study: Study, operating: Operating, method: str) -> list[Row]:
    """A row per seed, and their mean."""
    init, share = operating.init, f"{operating.fraction}%"
    runs = study.of(init, operating.fraction)
    rows: list[Row] = [
        ((title(init, run.signs), share, str(run.seed),
          *(_cell(one, method) for one in intervals)), [run])
        for run, intervals in zip(runs, operating.intervals[method])]
    if len(rows) > 1:
        rows.append(((title(init, study.signs(init, operating.fraction)), share, "mean",
                      *(_cell(operating.mean(method, point), method)
                        for point in operating.points)), runs))
    return rows


def _exceptions(table: Table, method: str) -> str:
    """Why some cells are by another method, and what makes others doubtful; "" if none."""
    cells = [one for operating in table.values() for seed in operating.intervals[method]
             for one in seed]
    reasons = dict.fromkeys(one.note for one in cells if one.note)
    text = f" A method in brackets replaces one that had no answer ({'; '.join(reasons)})." \
        if reasons else ""
    if any(one.doubt for one in cells):
        text += (" †: the binormal model does not fit (chi-squared p < .01, or the interval leaves "
                 "out the step curve's sensitivity).")
    return text


def _unresolved(study: Study, marks: Marks) -> str:
    """A sentence on the points that the test set does not resolve, "" if it does all."""
    points = [point for point in points_of(study.task) if not resolved(point, marks)]
    if not points:
        return ""
    none = [point_label(study.task, point) for point in points if point * marks.cases < 1]
    text = (f" °: the test set allows fewer than {MIN_FALSE_POSITIVES} false positives there and "
            "does not resolve the point.")
    return text + (f" At {', '.join(none)} it allows no false positive at all: the step curve "
                   "gives the sensitivity at zero, the model extrapolates." if none else "")


def _counted(marks: Marks) -> str:
    return f"{marks.lesions} lesions" if marks.kind == "froc" else \
        f"{marks.lesions} positives and {marks.cases} negatives, the rarer class"


def operating_tables(study: Study, table: Table) -> list[TextTable]:
    """Sensitivity with 95% interval at each operating point, one table per method."""
    marks = study.marks
    if not table or marks is None:
        return []
    test = [case for case in study.cases if case.split == "test"]
    note = (f"{study.stand_ins()}. {len(test)} test cases in {study.test_groups} groups, "
            f"{_counted(marks)} in {marks.evidence_groups} of them. \"mean\" is the mean over the "
            "seeds of the estimate and of both ends of the interval; that another training run "
            f"would give another network is in no interval.{_unresolved(study, marks)}"
            f"{explained(joined(run.signs for run in study.runs))}")
    columns = ("system", "training data", "seed",
               *(point_label(study.task, point) + ("" if resolved(point, marks) else " °")
                 for point in points_of(study.task)))
    tables = []
    for method in METHODS:
        rows, runs = zip(*(row for operating in table.values()
                           for row in _rows(study, operating, method)))
        tables.append(TextTable(
            f"operating-{method}",
            f"S{study.sensitivity[1:]} [95% interval], {METHOD_NAMES[method]}", columns, rows,
            f"{note} {_LIMITS[method]}{_exceptions(table, method)}",
            row_origins=tuple(map(study.origin, runs))))
    return tables


def table_i() -> TextTable:
    """Table I from the rows the generator builds the network from."""
    def shape(channels: int | str, side: int) -> str:
        return f"{channels}x{side}" if side == 1 else f"{channels}x{side}x{side}"

    def row(layer: Layer) -> tuple[str, ...]:
        return (layer.name, layer.type, shape(*layer.inputs[:2]), f"{layer.kernel}x{layer.kernel}",
                str(layer.stride), str(layer.pad), shape(layer.outputs or "C", layer.side))

    first = shape(*TABLE_I[0].inputs[:2])
    return TextTable("table-I", "Table I: the AlexNet architecture",
                     ("layer", "type", "input", "kernel", "stride", "pad", "output"),
                     (("data", "input", first, "N/A", "N/A", "N/A", first),
                      *map(row, TABLE_I)), "C is the number of classes.")


def table_ii() -> TextTable:
    """Table II from the rows the solvers are built from."""
    rows = tuple((depth.legend, f"{MOMENTUM:g}",
                  *(f"{depth.rates()[layer]:g}" for layer in LAYERS), f"{GAMMA:g}")
                 for depth in DEPTHS.values())
    return TextTable("table-II", "Table II: learning parameters",
                     ("CNN", "μ", *(f"α {layer}" for layer in LAYERS), "γ"), rows,
                     "The learning rate of a bias is twice that of its weights.")


def write_tables(results: Sequence[Path], out: Path, method: str = BARS) -> list[Path]:
    """All tables of all runs under `results`, as Markdown, LaTeX and CSV; returns the files.

    Tables I and II go to `out`, the others to `<out>/<task>/<dataset>/`. method: of the error bars
    in the tables of pairs. Raises InputError as `collect` does.
    """
    written = write_document(out / "tables-I-II", "Network and learning parameters",
                             [table_i(), table_ii()])
    for study in collect(results):
        folder = out / study.task.name / study.dataset
        heading = f"{study.task.title}, {study.dataset}"
        if study.task.evaluation == "boundary":
            written += write_document(folder / "table-S4", heading,
                                      boundary_tables(study, compare_errors(study)))
            continue
        table = operating_table(study)
        written += write_document(folder / "operating-points", heading,
                                  [*operating_tables(study, table), auc_table(study)])
        compared = compare_curves(study, table, resample(study, points_of(study.task)), method)
        written += write_document(folder / "pairs", heading, curve_tables(study, compared, method))
    return written
