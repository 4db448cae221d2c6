"""Write every table: operating points, Tables I and II, S1-S4, and Fig. 9's numbers."""
from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from layerwise.alexnet import TABLE_I, Layer
from layerwise.analysis.collect import Study, collect
from layerwise.analysis.compare import compare_curves, compare_errors, resample
from layerwise.analysis.delong import auc_interval
from layerwise.analysis.intervals import METHODS, Interval
from layerwise.analysis.operating import Operating, Table, operating_table, point_label, points_of
from layerwise.analysis.pair_tables import boundary_tables, curve_tables
from layerwise.analysis.roc import auc
from layerwise.analysis.systems import SYSTEMS
from layerwise.analysis.textable import TextTable, write_document
from layerwise.depths import DEPTHS, GAMMA, LAYERS, MOMENTUM

_METHOD_TITLES = {"idca": "candidate-analysis model (the paper's reference), delta method",
                  "bootstrap": "bootstrap over groups", "wilson": "Wilson on the step curve"}
_LIMITS = {
    "idca": "Symmetric about a fitted curve: too narrow near sensitivities of 0 and 1, and where "
    "candidates of one group are alike.",
    "bootstrap": "Too narrow with fewer than some twenty groups.",
    "wilson": "Takes the threshold as known and lesions as independent: too narrow.",
}


def _cell(interval: Interval, method: str) -> str:
    used = "" if interval.method == method else f" ({interval.method})"
    return f"{interval.estimate:.3f} [{interval.low:.3f}, {interval.high:.3f}]{used}"


def _rows(operating: Operating, method: str) -> list[tuple[str, ...]]:
    head = (SYSTEMS[operating.init].label, f"{operating.fraction}%")
    rows = [(*head, str(seed), *(_cell(one, method) for one in intervals))
            for seed, intervals in zip(operating.seeds, operating.intervals[method])]
    if len(rows) > 1:
        rows.append((*head, "mean", *(_cell(operating.mean(method, point), method)
                                      for point in operating.points)))
    return rows


def operating_tables(study: Study, table: Table) -> list[TextTable]:
    """Sensitivity with 95% interval at each operating point, one table per method."""
    if not table:
        return []
    test = [case for case in study.cases if case.split == "test"]
    marks = next(run.marks for run in study.runs if run.marks is not None)
    note = (f"{study.stand_ins()}. {len(test)} test cases in {study.test_groups} groups, "
            f"{marks.lesions} {'lesions' if marks.kind == 'froc' else 'positives'}. \"mean\" is "
            "the mean over the seeds of the estimate and of both ends of the interval.")
    unresolved = [point_label(study.task, point) for point in points_of(study.task)
                  if point * marks.cases < 1]
    if unresolved:
        note += (f" At {', '.join(unresolved)} this test set allows no false positive at all: the "
                 "step curve gives the sensitivity at zero, the model extrapolates.")
    columns = ("system", "training data", "seed",
               *(point_label(study.task, point) for point in points_of(study.task)))
    found = []
    for method in METHODS:
        limits = _LIMITS[method]
        replaced = " A method in brackets replaces one that had no answer (degenerate fit)." \
            if any(one.method != method for operating in table.values()
                   for seed in operating.intervals[method] for one in seed) else ""
        found.append(TextTable(
            f"operating-{method}", f"Sensitivity [95% interval], {_METHOD_TITLES[method]}", columns,
            tuple(row for operating in table.values() for row in _rows(operating, method)),
            f"{note} {limits}{replaced}"))
    return found


def auc_table(study: Study) -> TextTable:
    """AUC of the test candidates (lesions by their best candidate) with DeLong's interval."""
    rows = []
    for run in study.runs:
        if run.marks is None:
            continue
        text = "-"
        fewest = min(run.marks.negatives.size, run.marks.positives.size)
        if fewest == 1:
            text = f"{auc(run.marks):.4f} [one mark of a class: no interval]"
        elif fewest > 1:
            area, low, high = auc_interval(run.marks.negatives, run.marks.positives)
            text = f"{area:.4f} [{low:.4f}, {high:.4f}]"
        rows.append((SYSTEMS[run.init].label, f"{run.fraction}%", str(run.seed), text))
    return TextTable("auc", "AUC of the test candidates [95% interval, DeLong]",
                     ("system", "training data", "seed", "AUC"), tuple(rows), study.stand_ins())


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


def write_tables(results: Sequence[Path], out: Path) -> list[Path]:
    """All tables of all runs under `results`, as Markdown, LaTeX and CSV; returns the files.

    Tables I and II go to `out`, the others to `<out>/<task>/<dataset>/`. Raises InputError as
    `collect` does.
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
        compared = compare_curves(study, table, resample(study, points_of(study.task)))
        written += write_document(folder / "pairs", heading, curve_tables(study, compared))
    return written
