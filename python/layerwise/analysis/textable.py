"""A table of text cells, written as Markdown, CSV and LaTeX."""
from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from layerwise.contracts import write_bytes

_LATEX = {"&": r"\&", "%": r"\%", "_": r"\_", "#": r"\#", "$": r"\$", "{": r"\{", "}": r"\}",
          "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "\\": r"\textbackslash{}",
          "<": r"$<$", ">": r"$>$", "±": r"$\pm$", "−": r"$-$", "·": r"$\cdot$", "µ": r"$\mu$",
          "μ": r"$\mu$", "α": r"$\alpha$", "γ": r"$\gamma$", "×": r"$\times$", "–": "--",
          "≥": r"$\geq$", "≠": r"$\neq$", "†": r"\dag{}", "‡": r"\ddag{}", "§": r"\S{}",
          "°": r"$^\circ$"}


@dataclass(frozen=True)
class TextTable:
    """Title, column heads and rows of equal length; `note` stands under the table.

    origin: columns, as (head, value), that the CSV repeats in every row: it has no note, and a
    number should not be parted from the data it comes from. row_origins: where they differ, those
    of each row instead.
    """

    name: str
    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""
    origin: tuple[tuple[str, str], ...] = ()
    row_origins: tuple[tuple[tuple[str, str], ...], ...] = ()

    def __post_init__(self) -> None:
        if self.row_origins and len(self.row_origins) != len(self.rows):
            raise ValueError(f"table {self.name}: {len(self.row_origins)} origins of "
                             f"{len(self.rows)} rows")
        for row in self.rows:
            if len(row) != len(self.columns):
                raise ValueError(f"table {self.name}: row {row} has not {len(self.columns)} cells")

    def markdown(self) -> str:
        """GitHub-flavoured Markdown, first column to the left."""
        def line(cells: Sequence[str]) -> str:
            return "| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |"
        rule = "|---|" + "---|" * (len(self.columns) - 1)
        note = f"\n{self.note}\n" if self.note else ""
        body = "\n".join([line(self.columns), rule, *map(line, self.rows)])
        return f"**{self.title}**\n\n{body}\n{note}"

    def html(self) -> str:
        """A table element with its title as caption and the note under it."""
        def line(tag: str, cells: Sequence[str]) -> str:
            return "<tr>" + "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in cells) + "</tr>"
        note = f'<p class="note">{escape(self.note)}</p>' if self.note else ""
        return (f'<div class="table"><table><caption>{escape(self.title)}</caption>'
                f"<thead>{line('th', self.columns)}</thead>\n<tbody>"
                + "\n".join(line("td", row) for row in self.rows)
                + f"</tbody></table></div>{note}\n")

    def csv(self) -> str:
        """RFC 4180 with plain newlines."""
        buffer = io.StringIO()
        writer = csv.writer(buffer, lineterminator="\n")
        origins = self.row_origins or (self.origin,) * len(self.rows)
        writer.writerow([*self.columns, *(head for head, _ in (*origins, self.origin)[0])])
        writer.writerows([*row, *(value for _, value in origin)]
                         for row, origin in zip(self.rows, origins))
        return buffer.getvalue()

    def latex(self) -> str:
        """A table environment with booktabs rules."""
        def line(cells: Sequence[str]) -> str:
            return "  " + " & ".join(map(_latex, cells)) + r" \\"
        note = f"\n\\par\\footnotesize {_latex(self.note)}" if self.note else ""
        return "\n".join([r"\begin{table}", r"\centering", rf"\caption{{{_latex(self.title)}}}",
                          rf"\begin{{tabular}}{{l{'c' * (len(self.columns) - 1)}}}", r"\toprule",
                          line(self.columns), r"\midrule", *map(line, self.rows), r"\bottomrule",
                          r"\end{tabular}" + note, r"\end{table}", ""])


def _latex(text: str) -> str:
    return "".join(_LATEX.get(character, character) for character in text)


def write_document(stem: Path, heading: str, tables: Sequence[TextTable]) -> list[Path]:
    """Write `stem`.md and `stem`.tex with all tables, and one CSV per table beside them."""
    contents = {stem.with_name(f"{stem.name}.md"):
                f"# {heading}\n\n" + "\n".join(table.markdown() for table in tables),
                stem.with_name(f"{stem.name}.tex"): "\n".join(table.latex() for table in tables)}
    for table in tables:
        contents[stem.with_name(f"{table.name}.csv")] = table.csv()
    for path, content in contents.items():
        write_bytes(path, content.encode("utf-8"))
    return list(contents)
