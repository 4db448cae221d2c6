"""Candidates in standard planes and in the vessel's own, in the manner of the paper's Fig. 3.

The paper sets "the standard 3-channel representation" beside its two channels. The standard planes
are taken to be axial, coronal and sagittal through the candidate.

    python3 -m data_prep.pe.picture VOLUME OUT [--rows 6]
"""
from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import click
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from data_prep.pe.alignment import VesselFrame, vessel_frame
from data_prep.pe.clusters import find_clusters
from data_prep.pe.planes import WIDTHS_MM, cut, sample, to_grey
from data_prep.pe.segment import segment
from data_prep.pe.volume import Volume, read_volume
from layerwise.analysis import style
from layerwise.command import Command
from layerwise.errors import InputError

BAR_MM = 5.0
STANDARD_MM = 20.0
_HEAD, _BACK, _LEFT = np.eye(3)
# As radiologists hang them: the patient's right on the left, front or head at the top.
_STANDARD = (("axial", _BACK, _LEFT), ("coronal", -_HEAD, _LEFT), ("sagittal", -_HEAD, _BACK))
_INK = "#ffcc33"


def draw(volume: Volume, frames: Mapping[str, VesselFrame], out: Path, title: str = ""
         ) -> list[Path]:
    """Write `out`.pdf and `out`.png: a row per candidate, named by its key; returns both paths.

    A row shows the three standard planes, 20 mm wide, then the longitudinal and cross-sectional
    view at each width, unshifted and unturned. Ticks at the edges of a longitudinal view mark where
    its cross-section lies. Raises ValueError without candidates.
    """
    if not frames:
        raise ValueError("no candidates to draw")
    widths = sorted(WIDTHS_MM)
    columns = len(_STANDARD) + 2 * len(widths)
    cell = style.PAGE_INCHES / (columns + 0.5)
    with style.figure_style():
        figure = Figure(figsize=(style.PAGE_INCHES, cell * len(frames) + 0.65))
        grid = figure.subplots(len(frames), columns, squeeze=False)
        for row, (name, frame) in zip(grid, frames.items()):
            row[0].set_ylabel(name, fontsize=6)
            for axes, (plane, down, right) in zip(row, _STANDARD):
                grey = to_grey(sample(volume, frame.centre_mm, down, right, STANDARD_MM))
                _show(axes, grey, STANDARD_MM, plane)
            for index, width in enumerate(widths):
                patch = cut(volume, frame, f"w{width}_s+00_r000")
                along, across = row[len(_STANDARD) + 2 * index:][:2]
                _show(along, patch[..., 0], width, "along")
                _show(across, patch[..., 1], width, "across")
                for edge in (-0.5, 0.44):
                    along.plot([edge * width, (edge + 0.06) * width], [0, 0], color=_INK, lw=0.8)
        for axes in grid[1:].flat:
            axes.set_title("")
        height = float(figure.get_size_inches()[1])
        figure.subplots_adjust(left=0.4 * cell / style.PAGE_INCHES, right=0.995, wspace=0.06,
                               hspace=0.06, bottom=0.22 / height, top=1 - 0.43 / height)
        figure.text(0.005, 1 - 0.02 / height, title, va="top", fontsize=7)
        figure.text(0.005, 0.05 / height, f"Bar: {BAR_MM:g} mm.", fontsize=6)
        return style.save(figure, out)


def _show(axes: Axes, grey: np.ndarray, width_mm: float, plane: str) -> None:
    """One view in mm from its middle, with a scale bar."""
    half = width_mm / 2
    axes.imshow(grey, cmap="gray", vmin=0, vmax=255, extent=(-half, half, half, -half),
                interpolation="nearest")
    axes.set_title(f"{plane}\n{width_mm:g} mm", fontsize=6, pad=2)
    axes.plot([-0.43 * width_mm, -0.43 * width_mm + BAR_MM], [0.43 * width_mm] * 2,
              color=_INK, lw=1.5, solid_capstyle="butt")
    axes.set(xticks=[], yticks=[], xlim=(-half, half), ylim=(half, -half))
    for spine in axes.spines.values():
        spine.set_visible(False)


@click.command("picture", cls=Command)
@click.argument("scan", type=Path)
@click.argument("out", type=Path)
@click.option("--rows", default=6, show_default=True, help="Candidates to draw, the best first.")
def main(scan: Path, out: Path, rows: int) -> None:
    """Find the candidates of SCAN (NIfTI or a DICOM folder); draw the best as OUT.pdf, OUT.png."""
    volume = read_volume(scan)
    found = segment(volume)
    clusters = find_clusters(volume, found)
    if not clusters:
        raise InputError(f"{scan}: no candidates; is this a contrast-enhanced CT of the chest?")
    frames = {f"{rank}: {cluster.score:.1f}":
              vessel_frame(volume, found.vessels, cluster.voxels, cluster.place)
              for rank, cluster in enumerate(clusters[:rows], start=1)}
    title = f"{scan.name}: the best {len(frames)} of {len(clusters)} candidates, with their scores"
    for path in draw(volume, frames, out, title):
        click.echo(str(path))


if __name__ == "__main__":
    main()
