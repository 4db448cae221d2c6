"""Tables S1-S4: every pair of systems, ours and the paper's side by side."""
from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from layerwise.analysis.boundary_error import INTERFACES
from layerwise.analysis.collect import Study
from layerwise.analysis.compare import PairedError, PairedPoint, mean_errors_um
from layerwise.analysis.paper_values import FIG9_UM, PRINTED_POINTS, S4_P, SIGNIFICANT
from layerwise.analysis.systems import SYSTEMS, TEN_SYSTEMS
from layerwise.analysis.textable import TextTable

CURVE_TABLES = {"polyp": "S1", "pe": "S2", "frames": "S3"}
_SIGNS = {1: "+", -1: "−"}


def triangle(name: str, title: str, inits: Sequence[str], cell: Callable[[str, str], str],
             note: str) -> TextTable:
    """Lower triangle in the layout of the supplement: rows from the second system down."""
    columns = list(inits[:-1])
    rows = tuple((SYSTEMS[row].short,
                  *(cell(row, column) if inits.index(column) < inits.index(row) else ""
                    for column in columns)) for row in inits[1:])
    return TextTable(name, title, ("", *(SYSTEMS[column].short for column in columns)), rows, note)


def _signed(pairs: Sequence[PairedPoint], sign: Callable[[PairedPoint], int]) -> str:
    found = [f"{pair.point:g}{_SIGNS[sign(pair)]}" for pair in pairs if sign(pair)]
    return ", ".join(found) or "n.s."


def _paper_curve_table(study: Study, name: str, inits: Sequence[str]) -> TextTable:
    paper = SIGNIFICANT[study.task.name]

    def cell(row: str, column: str) -> str:
        found = paper[row, column]
        text = ", ".join(f"{point:g}" for point in found.points) or "n.s."
        return text if found.certain else f"{text} ?"

    return triangle(f"table-{name}-paper", f"Table {name}, the paper's: the same rule", inits, cell,
                    "\"?\": the copy read from drops empty cells, the column may be another. The "
                    "paper does not print the direction of a difference.")


def curve_tables(study: Study, compared: Sequence[PairedPoint]) -> list[TextTable]:
    """The paper's rule on our runs, the paired bootstrap, the paper's own table, all numbers."""
    if not compared:
        return []
    name = CURVE_TABLES[study.task.name]
    inits = [init for init in TEN_SYSTEMS if study.of(init)]
    by_pair: dict[tuple[str, str], list[PairedPoint]] = {}
    for pair in compared:
        by_pair.setdefault((pair.row, pair.column), []).append(pair)
    note = (f"{study.stand_ins()}. {study.test_groups} test groups. +: the row's system is the "
            "more sensitive at this operating point, −: the less, n.s.: not significant.")
    return [
        triangle(f"table-{name}", f"Table {name}: 95% error bars that do not overlap "
                 "(the paper's rule)", inits,
                 lambda row, column: _signed(by_pair[row, column], lambda pair: pair.bars_sign),
                 note),
        triangle(f"table-{name}-bootstrap", f"Table {name}: paired group bootstrap, p < .05 after "
                 f"Holm over {len(compared)} comparisons", inits,
                 lambda row, column: _signed(by_pair[row, column], lambda pair: pair.holm_sign),
                 note),
        _paper_curve_table(study, name, inits),
        _all_numbers(study, name, compared),
    ]


def _all_numbers(study: Study, name: str, compared: Sequence[PairedPoint]) -> TextTable:
    paper = SIGNIFICANT[study.task.name]

    def printed(pair: PairedPoint) -> tuple[str, str]:
        if pair.point not in PRINTED_POINTS[study.task.name]:
            return "", ""
        found = paper[pair.row, pair.column]
        return str(int(pair.point in found.points)), str(int(found.certain))

    rows = tuple((pair.row, pair.column, f"{pair.point:g}",
                  f"{pair.row_bar.low:.4f}", f"{pair.row_bar.high:.4f}", pair.row_bar.method,
                  f"{pair.column_bar.low:.4f}", f"{pair.column_bar.high:.4f}",
                  pair.column_bar.method, str(int(pair.bars_apart)), f"{pair.difference:.4f}",
                  f"{pair.low:.4f}", f"{pair.high:.4f}", f"{pair.p:.4g}", f"{pair.p_holm:.4g}",
                  *printed(pair)) for pair in compared)
    return TextTable(f"table-{name}-numbers", f"Table {name}: all numbers",
                     ("row", "column", "point", "row low", "row high", "row method", "column low",
                      "column high", "column method", "bars apart", "difference",
                      "difference low", "difference high", "p", "p Holm", "paper: apart",
                      "paper: certain"), rows,
                     "The difference of the step curves and its interval are by paired group "
                     "bootstrap; the bars are those of the figures.")


def format_p(p: float) -> str:
    """A p value in the style of Table S4: "<.0001", "<.001", else ".0638"."""
    for bound in (1e-4, 1e-3):
        if p < bound:
            return f"<{bound:.4f}".rstrip("0").replace("<0", "<")
    return f"{p:.4f}".lstrip("0") if p < 0.99995 else "1"


def boundary_tables(study: Study, compared: Sequence[PairedError]) -> list[TextTable]:
    """Fig. 9's numbers and Table S4 by both tests, with the paper's values."""
    inits = [init for init in TEN_SYSTEMS if study.of(init)]
    note = f"{study.stand_ins()}. Micrometres."
    tables = [_fig9_table(study, inits, note)]
    by_pair: Mapping[tuple[str, str, str], PairedError] = {
        (pair.interface, pair.row, pair.column): pair for pair in compared}
    for interface in INTERFACES:
        label = interface.replace("_", "-")
        tables += [
            triangle(f"table-S4-{interface}", f"Table S4, {label}: paired t-test over regions",
                     inits, lambda row, column, of=interface:  # type: ignore[misc]
                     format_p(by_pair[of, row, column].p_t), study.stand_ins()),
            triangle(f"table-S4-{interface}-wilcoxon", f"Table S4, {label}: Wilcoxon signed-rank",
                     inits, lambda row, column, of=interface:  # type: ignore[misc]
                     format_p(by_pair[of, row, column].p_wilcoxon), study.stand_ins()),
            triangle(f"table-S4-{interface}-paper", f"Table S4, {label}: the paper's", inits,
                     lambda row, column, of=interface:  # type: ignore[misc]
                     S4_P[of][row, column], "The paper does not name its test."),
        ]
    return tables


def _fig9_table(study: Study, inits: Sequence[str], note: str) -> TextTable:
    rows = []
    for init in inits:
        cells = [SYSTEMS[init].short]
        for interface in INTERFACES:
            errors = mean_errors_um(study, init, interface)
            spread = errors.std(ddof=1) if errors.size > 1 else 0.0
            mean, deviation = FIG9_UM[interface][init]
            cells += [f"{errors.mean():.2f} ± {spread:.2f}", f"{mean:.2f} ± {deviation:.2f}"]
        rows.append(tuple(cells))
    return TextTable("fig9", "Fig. 9: error of the interface, mean ± SD",
                     ("system", "lumen-intima, ours", "lumen-intima, paper",
                      "media-adventitia, ours", "media-adventitia, paper"), tuple(rows), note)
