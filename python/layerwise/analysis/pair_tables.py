"""Tables S1-S4: every pair of systems, ours and the paper's side by side."""
from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from layerwise.analysis.bootstrap import FEW_GROUPS_NOTE, attainable_p
from layerwise.analysis.boundary_error import INTERFACES
from layerwise.analysis.collect import Study
from layerwise.analysis.compare import PairedError, PairedPoint, mean_errors_um, spread_um
from layerwise.analysis.curve_caption import replaced_bars
from layerwise.analysis.intervals import BARS, METHOD_NAMES
from layerwise.analysis.marks import MIN_FALSE_POSITIVES
from layerwise.analysis.outcome import explained, joined
from layerwise.analysis.paper_values import FIG9_UM, PRINTED_POINTS, S4_P, SIGNIFICANT
from layerwise.analysis.systems import SYSTEMS, TEN_SYSTEMS
from layerwise.analysis.textable import TextTable

CURVE_TABLES = {"polyp": "S1", "pe": "S2", "frames": "S3"}
_SIGNS = {1: "+", -1: "−"}
_NOT_SIGNIFICANT = "n.s.: not significant."
Pairs = dict[tuple[str, str], "list[PairedPoint]"]   # (row, column): one per operating point
_PAPER = (("data", "the paper's"), ("source weights", "the paper's"))


def triangle(name: str, title: str, inits: Sequence[str], cell: Callable[[str, str], str],
             note: str, origin: tuple[tuple[str, str], ...]) -> TextTable:
    """Lower triangle in the layout of the supplement: rows from the second system down."""
    columns = list(inits[:-1])
    rows = tuple((SYSTEMS[row].short,
                  *(cell(row, column) if inits.index(column) < inits.index(row) else ""
                    for column in columns)) for row in inits[1:])
    return TextTable(name, title, ("", *(SYSTEMS[column].short for column in columns)), rows, note,
                     origin)


def _sign(value: float) -> int:
    return (value > 0) - (value < 0)


def _point(pair: PairedPoint, sign: str = "") -> str:
    """An operating point, marked when the test set does not resolve it."""
    return f"{pair.point:g}{sign}" + ("" if pair.resolved else "°")


def _signed(pairs: Sequence[PairedPoint], sign: Callable[[PairedPoint], int]) -> str:
    """The points at which a pair differs."""
    return ", ".join(_point(pair, _SIGNS[sign(pair)]) for pair in pairs if sign(pair)) or "n.s."


def _paper_curve_table(study: Study, name: str, inits: Sequence[str]) -> TextTable:
    paper = SIGNIFICANT[study.task.name]

    def cell(row: str, column: str) -> str:
        found = paper[row, column]
        text = ", ".join(f"{point:g}" for point in found.points) or "n.s."
        return text if found.certain else f"{text} ?"

    return triangle(f"table-{name}-paper", f"Table {name}, the paper's: the same rule", inits, cell,
                    "\"?\": the copy read from drops empty cells, the column may be another. The "
                    "paper does not print the direction of a difference.", _PAPER)


def _rule_note(compared: Sequence[PairedPoint], method: str) -> str:
    """What the paper's rule is worth: how many of its differences a paired test shares."""
    bars = {(init, pair.point): bar for pair in compared
            for init, bar in ((pair.row, pair.row_bar), (pair.column, pair.column_bar))}
    named = [METHOD_NAMES[method], *replaced_bars(
        [(f"{SYSTEMS[init].short} at {point:g}", bar) for (init, point), bar in bars.items()],
        method)]
    apart = [pair for pair in compared if pair.bars_apart]
    shared = sum(pair.p < 0.05 for pair in apart)
    resolved = sum(pair.resolved for pair in compared)
    return (f"Bars: {'; '.join(named)}. Of {resolved} comparisons at resolved points {len(apart)} "
            f"are apart, of which {shared} have a paired p < .05 uncorrected; at "
            "others none is called apart. The paper's bars assume independent "
            "candidates, and its rule that the two systems were tested on different sets; repeats "
            "of the training are not accounted for.")


def _bootstrap_table(study: Study, name: str, inits: Sequence[str], pairs: Pairs,
                     families: Sequence[int], note: str) -> TextTable:
    """What is significant after Holm; the plain p values where nothing could be."""
    groups = study.evidence_groups
    floor = attainable_p(groups)
    if floor * min(families) < 0.05:
        tested = f"Holm over the {families[0]} comparisons at the table's points" + "".join(
            f" and over the {size} at the others" for size in families[1:])
        return triangle(
            f"table-{name}-bootstrap", f"Table {name}: paired group bootstrap, p < .05 after "
            f"{tested}; smallest attainable p {floor:.2g} before the correction", inits,
            lambda row, column: _signed(pairs[row, column], lambda pair: pair.holm_sign),
            f"{note} {_NOT_SIGNIFICANT} {FEW_GROUPS_NOTE}", study.origin())
    least = format_p(min(1.0, floor * min(families)))
    return triangle(
        f"table-{name}-bootstrap", f"Table {name}: paired group bootstrap, p uncorrected", inits,
        lambda row, column: ", ".join(
            f"{_point(pair)}: {format_p(pair.p)}{_SIGNS.get(_sign(pair.difference), '')}"
            for pair in pairs[row, column]),
        f"After Holm over {min(families)} comparisons this cannot be decided with {groups} groups "
        f"(smallest attainable corrected p = {least}). Uncorrected no p is below "
        f"{format_p(floor)}, and one in twenty is below .05 where nothing differs. {note} "
        f"{FEW_GROUPS_NOTE}", study.origin())


def curve_tables(study: Study, compared: Sequence[PairedPoint],
                 method: str = BARS) -> list[TextTable]:
    """The paper's rule on our runs, the paired bootstrap, the paper's own table, all numbers.

    method: the one `compared` was made with.
    """
    if not compared:
        return []
    name = CURVE_TABLES.get(study.task.name, study.task.name)
    inits = [init for init in TEN_SYSTEMS if study.of(init)]
    by_pair: Pairs = {}
    for pair in compared:
        by_pair.setdefault((pair.row, pair.column), []).append(pair)
    unresolved = [f"{pair.point:g}" for pair in by_pair[compared[0].row, compared[0].column]
                  if not pair.resolved]
    note = (f"{study.stand_ins()}. {study.evidence_groups} test {study.evidence}. +: the row's "
            f"system has the higher {study.sensitivity} at this operating point, −: the lower.")
    if unresolved:
        note += (f" °: the test set allows fewer than {MIN_FALSE_POSITIVES} false positives at "
                 f"{', '.join(unresolved)}, which it therefore does not resolve.")
    note += "".join(f" {remark}." for remark in study.remarks([(init, 100) for init in inits]))
    family = sum(pair.point in study.task.operating_points for pair in compared)
    families = [size for size in (family, len(compared) - family) if size]
    return [
        triangle(f"table-{name}", f"Table {name}: 95% error bars that do not overlap "
                 "(the paper's rule)", inits,
                 lambda row, column: _signed(by_pair[row, column], lambda pair: pair.bars_sign),
                 f"{note} {_NOT_SIGNIFICANT} {_rule_note(compared, method)}",
                 study.origin()),
        _bootstrap_table(study, name, inits, by_pair, families, note),
        *([_paper_curve_table(study, name, inits)] if study.task.name in SIGNIFICANT else []),
        _all_numbers(study, name, compared),
    ]


def _all_numbers(study: Study, name: str, compared: Sequence[PairedPoint]) -> TextTable:
    paper = SIGNIFICANT.get(study.task.name, {})

    def printed(pair: PairedPoint) -> tuple[str, str]:
        if pair.point not in PRINTED_POINTS.get(study.task.name, ()):
            return "", ""
        found = paper[pair.row, pair.column]
        return str(int(pair.point in found.points)), str(int(found.certain))

    rows = tuple((pair.row, pair.column, f"{pair.point:g}",
                  f"{pair.row_bar.low:.4f}", f"{pair.row_bar.high:.4f}", pair.row_bar.method,
                  f"{pair.column_bar.low:.4f}", f"{pair.column_bar.high:.4f}",
                  pair.column_bar.method, str(int(pair.bars_apart)), f"{pair.difference:.4f}",
                  *_ends(pair), f"{pair.p:.4g}", f"{pair.p_holm:.4g}",
                  *printed(pair)) for pair in compared)
    return TextTable(f"table-{name}-numbers", f"Table {name}: all numbers",
                     ("row", "column", "point", "row low", "row high", "row method", "column low",
                      "column high", "column method", "bars apart", "difference",
                      "difference low", "difference high", "p", "p Holm", "paper: apart",
                      "paper: certain"), rows,
                     f"{study.stand_ins()}. The difference of the step curves and its interval are "
                     "by paired group bootstrap, no interval where all resamples agree or the "
                     "groups are too few; the bars "
                     f"are those of the figures. {FEW_GROUPS_NOTE}",
                     row_origins=tuple(study.origin([*study.of(pair.row), *study.of(pair.column)])
                                       for pair in compared))


def _ends(pair: PairedPoint) -> tuple[str, str]:
    if not pair.low < pair.high:
        return "", ""
    return f"{pair.low:.4f}", f"{pair.high:.4f}"


def format_p(p: float) -> str:
    """A p value in the style of Table S4: "<.0001", "<.001", else ".0638"."""
    for bound in (1e-4, 1e-3):
        if p < bound:
            return f"<{bound:.4f}".rstrip("0").replace("<0", "<")
    return f"{p:.4f}".lstrip("0") if p < 0.99995 else "1"


def boundary_tables(study: Study, compared: Sequence[PairedError]) -> list[TextTable]:
    """Fig. 9's numbers and Table S4 by three tests, with the paper's values."""
    inits = [init for init in TEN_SYSTEMS if study.of(init)]
    by_pair: Mapping[tuple[str, str, str], PairedError] = {
        (pair.interface, pair.row, pair.column): pair for pair in compared}
    regions = sum(case.split == "test" for case in study.cases)
    alike = (f"{study.stand_ins()}. Takes the {regions} regions as independent, though they come "
             f"from {study.test_groups} {study.task.group}s: too optimistic.")
    tests: tuple[tuple[str, str, Callable[[PairedError], float], str], ...] = (
        ("", "paired t-test over regions", lambda pair: pair.p_t, alike),
        ("-wilcoxon", "Wilcoxon signed-rank over regions", lambda pair: pair.p_wilcoxon, alike),
        (f"-{study.task.group}s", f"paired t-test over {study.task.group}s' means, after Holm",
         lambda pair: pair.p_holm, f"{study.stand_ins()}. {study.test_groups} means."))
    tables = [_fig9_table(study, inits)]
    for interface in INTERFACES:
        label = interface.replace("_", "-")
        tables += [
            triangle(f"table-S4-{interface}{suffix}", f"Table S4, {label}: {title}", inits,
                     lambda row, column, of=interface, p_of=p_of:  # type: ignore[misc]
                     format_p(p_of(by_pair[of, row, column])), note, study.origin())
            for suffix, title, p_of, note in tests]
        tables.append(triangle(
            f"table-S4-{interface}-paper", f"Table S4, {label}: the paper's", inits,
            lambda row, column, of=interface: S4_P[of][row, column],  # type: ignore[misc]
            "The paper does not name its test.", _PAPER))
    return tables


def _fig9_table(study: Study, inits: Sequence[str]) -> TextTable:
    rows = []
    for init in inits:
        cells = [f"{SYSTEMS[init].short} {study.signs(init)}".rstrip()]
        for interface in INTERFACES:
            mean, deviation = FIG9_UM[interface][init]
            cells += [f"{mean_errors_um(study, init, interface).mean():.2f} ± "
                      f"{spread_um(study, init, interface):.2f}", f"{mean:.2f} ± {deviation:.2f}"]
        rows.append(tuple(cells))
    note = explained(joined(study.signs(init) for init in inits))
    return TextTable("fig9", "Fig. 9: error of the interface, mean ± SD",
                     ("system", "lumen-intima, ours", "lumen-intima, paper",
                      "media-adventitia, ours", "media-adventitia, paper"), tuple(rows),
                     f"{study.stand_ins()}. Micrometres; SD over regions, the mean over the "
                     f"training runs.{note}",
                     row_origins=tuple(study.origin(study.of(init)) for init in inits))
