"""Figure size, fonts and saving: the same bytes for the same figure, as PDF, PNG and SVG."""
from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from layerwise.contracts import write_bytes

COLUMN_INCHES = 3.5   # one column of the journal
PAGE_INCHES = 7.16    # two columns
PNG_DPI = 300

_RC: dict[Any, Any] = {
    "font.family": "DejaVu Sans", "font.size": 8, "axes.titlesize": 8, "axes.labelsize": 8,
    "xtick.labelsize": 7, "ytick.labelsize": 7, "legend.fontsize": 6.3, "axes.linewidth": 0.6,
    "lines.linewidth": 1.2, "lines.markersize": 4, "grid.linewidth": 0.4, "grid.alpha": 0.5,
    "pdf.fonttype": 42, "svg.hashsalt": "layerwise", "svg.fonttype": "path",
    "figure.dpi": 100, "savefig.dpi": PNG_DPI, "path.simplify": False,
}
# No dates and no versions: a second run writes the same bytes.
_METADATA: dict[str, dict[str, str | None]] = {
    "pdf": {"CreationDate": None, "Creator": "layerwise", "Producer": None},
    "png": {"Software": None},
    "svg": {"Date": None, "Creator": "layerwise"},
}


@contextmanager
def figure_style() -> Iterator[None]:
    """Settings under which figures are made and saved; restores the caller's on leaving."""
    with mpl.rc_context(_RC):
        yield


def encode(figure: Figure, kind: str) -> bytes:
    """The figure as a pdf, png or svg file."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format=kind, metadata=_METADATA[kind])
    return buffer.getvalue()


def save(figure: Figure, stem: Path) -> list[Path]:
    """Write `stem`.pdf and `stem`.png; returns both paths."""
    paths = []
    for kind in ("pdf", "png"):
        path = stem.with_name(f"{stem.name}.{kind}")
        write_bytes(path, encode(figure, kind))
        paths.append(path)
    return paths
