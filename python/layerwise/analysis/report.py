"""One self-contained HTML page per study: settings, figures, tables, claims, curves, patches."""
from __future__ import annotations

import base64
import json
import os
from collections.abc import Sequence
from html import escape
from pathlib import Path

from layerwise.analysis.auc import auc_table
from layerwise.analysis.claims import claim_table, judge_all
from layerwise.analysis.collect import Run, Study, collect
from layerwise.analysis.compare import compare_curves, compare_errors, resample
from layerwise.analysis.convergence_figure import draw_training, logged
from layerwise.analysis.figures import figures_of
from layerwise.analysis.intervals import BARS
from layerwise.analysis.operating import operating_table, points_of
from layerwise.analysis.pair_tables import boundary_tables, curve_tables
from layerwise.analysis.patch_examples import patch_rows
from layerwise.analysis.style import encode, figure_style
from layerwise.analysis.systems import SYSTEMS
from layerwise.analysis.tables import operating_tables
from layerwise.analysis.textable import TextTable
from layerwise.contracts import write_bytes
from layerwise.errors import LayerwiseError

_STYLE = """
:root { color-scheme: light; }
body { font: 15px/1.5 system-ui, "DejaVu Sans", sans-serif; color: #1a1a1a; background: #fff;
  max-width: 1100px; margin: 0 auto; padding: 1.5rem; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 .3rem; }
h2 { font-size: 1.2rem; border-bottom: 1px solid #bbb; padding-bottom: .2rem; margin-top: 2.2rem; }
nav a { margin-right: 1rem; white-space: nowrap; }
.standin { background: #fff4d6; border-left: 4px solid #e69f00; padding: .5rem .8rem; }
.figures { display: flex; flex-wrap: wrap; gap: 1.2rem; align-items: flex-start; }
figure { margin: 0; break-inside: avoid; max-width: 100%; }
figure img { max-width: 100%; height: auto; }
figcaption, .note { color: #555; font-size: .85rem; }
.table { overflow-x: auto; margin-top: 1rem; }
table { border-collapse: collapse; font-size: .8rem; font-variant-numeric: tabular-nums; }
caption { text-align: left; font-weight: 600; padding: .3rem 0; }
th, td { border-bottom: 1px solid #ddd; padding: .2rem .55rem; text-align: left;
  vertical-align: top; }
th { border-bottom: 1.5px solid #555; }
tr { break-inside: avoid; }
.patches { display: flex; flex-wrap: wrap; gap: .5rem; margin-bottom: .8rem; }
.patches figure { width: 100px; } .patches img { width: 100px; height: 100px; }
details summary { cursor: pointer; margin-top: 1rem; }
@media print { body { max-width: none; padding: 0; font-size: 10pt; } nav { display: none; }
  .table { overflow: visible; } table { font-size: 7pt; } th, td { padding: .1rem .25rem; }
  h2 { break-after: avoid; } }
"""
_CAPTIONS = {
    "fig2a": "Fig. 2a: depths of fine-tuning, scratch, handcrafted",
    "fig2b": "Fig. 2b: less training data", "fig4a": "Fig. 4a: depths of fine-tuning, scratch, "
    "handcrafted", "fig4b": "Fig. 4b: less training data", "fig6a": "Fig. 6a: depths of "
    "fine-tuning, scratch, handcrafted", "fig6b": "Fig. 6b: less training data",
    "fig8": "Fig. 8: tracing the interfaces", "fig9a": "Fig. 9a: lumen-intima interface",
    "fig9b": "Fig. 9b: media-adventitia interface", "fig10": "Fig. 10: convergence",
    "depths": "Depths of fine-tuning, scratch", "fractions": "Less training data",
}


def _image(svg: bytes, caption: str) -> str:
    data = base64.b64encode(svg).decode("ascii")
    return (f'<figure><img alt="{escape(caption)}" src="data:image/svg+xml;base64,{data}">'
            f"<figcaption>{escape(caption)}</figcaption></figure>")


def settings_table(runs: Sequence[Run]) -> TextTable:
    """Settings that all runs share, and how many values the others take."""
    rows = []
    keys = dict.fromkeys(key for run in runs for key in run.config)
    for key in (key for key in keys if key != "data"):  # a folder of this machine
        values = list(dict.fromkeys(json.dumps(run.config.get(key), ensure_ascii=False)
                                    for run in runs))
        shown = ", ".join(value.strip('"') for value in values[:12])
        rows.append((key, shown if len(values) <= 12 else f"{shown}, ... ({len(values)} values)"))
    return TextTable("settings", "Settings (config.json of the runs)", ("setting", "values"),
                     tuple(rows))


def _files(study: Study, page: Path) -> str:
    items = []
    for run in study.runs:
        links = " · ".join(
            f'<a href="{escape(Path(os.path.relpath(path, page.parent)).as_posix())}">'
            f"{escape(path.name)}</a>" for path in sorted(run.folder.iterdir()) if path.is_file())
        name = f"{SYSTEMS[run.init].short}, {run.fraction}%, seed {run.seed}"
        items.append(f"<li>{escape(name)}: {links}</li>")
    missing = "".join(f"<li>{escape(name)}: no result yet</li>" for name in study.missing)
    return f"<ul>{''.join(items)}{missing}</ul>"


def _patches(study: Study) -> str:
    tuned = [run for run in study.runs if run.init != "handcrafted" and run.fraction == 100
             and run.marks is not None]
    preferred = [run for run in tuned if run.init == "conv1"] or tuned
    if not preferred:
        return '<p class="note">No run with patches.</p>'
    run = preferred[0]
    try:
        rows = patch_rows(run)
    except LayerwiseError as error:
        return f'<p class="note">Not shown: {escape(str(error))}</p>'
    system = escape(SYSTEMS[run.init].short)
    parts = [f"<p>{system}, seed {run.seed}: a patch of each candidate, the candidate's "
             f"probability. {escape(study.stand_ins([run]))}.</p>"]
    for row in rows:
        parts.append(f"<h3>{escape(row.title)}</h3><div class='patches'>" + "".join(
            f'<figure><img alt="{escape(name)}" title="{escape(name)}" src="{image}">'
            f"<figcaption>{score:.3f}</figcaption></figure>"
            for name, score, image in zip(row.candidates, row.scores, row.images)) + "</div>")
    return "\n".join(parts)


def page_of(study: Study, page: Path, method: str = BARS) -> str:
    """The page's HTML; `page` is where it will lie (links to files are relative to it)."""
    table = operating_table(study)
    boundary = study.task.evaluation == "boundary"
    resampled = None if boundary else resample(study, points_of(study.task))
    with figure_style():
        figures = [_image(encode(figure, "svg"), _CAPTIONS.get(name, name))
                   for name, figure in figures_of(study, table, method)]
        training = _image(encode(draw_training(study), "svg"), "Every run at 100% of the data") \
            if any(logged(study, init) for init in study.inits()) \
            else '<p class="note">No log.csv.</p>'
    if resampled is None:
        results = boundary_tables(study, compare_errors(study))
        pairs = results[1:]
        results = results[:1]
    else:
        results = [*operating_tables(study, table), auc_table(study)]
        compared = compare_curves(study, table, resampled, method)
        pairs = curve_tables(study, compared, method)
    verdicts = judge_all(study, resampled)     # none on a task that is not the paper's
    claims = [("claims", "The paper's claims", claim_table(study, verdicts).html())] \
        if verdicts else []
    sections = (
        *claims,
        ("figures", "Figures", f'<div class="figures">{"".join(figures)}</div>'),
        ("tables", "Tables", "".join(one.html() for one in results)),
        ("pairs", "Pairs of systems", "".join(
            f"<details><summary>{escape(one.title)}</summary>{one.html()}</details>"
            if one.name.endswith("numbers") else one.html() for one in pairs)),
        ("training", "Training curves", training),
        ("patches", "Example patches", _patches(study)),
        ("settings", "Settings", settings_table(study.runs).html()),
        ("files", "Files", _files(study, page)),
    )
    title = f"{study.task.title}: {study.dataset}"
    links = " ".join(f'<a href="#{key}">{escape(head)}</a>' for key, head, _ in sections)
    body = "\n".join(f'<section id="{key}"><h2>{escape(head)}</h2>{content}</section>'
                     for key, head, content in sections)
    stand_ins = study.stand_ins()
    css = "standin" if "stand-in" in stand_ins else "note"
    return (f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body>\n"
            f"<h1>{escape(title)}</h1><p class=\"{css}\">{escape(stand_ins)} · {len(study.runs)} "
            f"runs · {study.test_groups} test groups ({escape(study.task.group)}s)</p>\n"
            f"<nav>{links}</nav>\n{body}\n</body></html>\n")


def write_report(results: Sequence[Path], out: Path, method: str = BARS) -> list[Path]:
    """`<out>/<task>/<dataset>/report.html` for every study under `results`; returns the files.

    method: of the error bars. Raises InputError as `collect` does. The pages need no other file.
    """
    written = []
    for study in collect(results):
        page = out / study.task.name / study.dataset / "report.html"
        write_bytes(page, page_of(study, page, method).encode("utf-8"))
        written.append(page)
    return written
