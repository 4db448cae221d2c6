"""`layerwise trace IMAGE`: the intima-media thickness on one image of the user's, by a trained run.

The network sees the image at the scale it was trained at: its patches have the same side in
micrometres, whatever the size of the image's pixels.
"""
from __future__ import annotations

import json
import math
import tempfile
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from layerwise.errors import InputError
from layerwise.options import FOLDER, RUNS

if TYPE_CHECKING:
    import numpy as np

    from layerwise.boundary import Lines
    from layerwise.runs import Run

Box = tuple[int, int, int, int]      # x, y of the first pixel, width, height
CONTEXT = 12                         # pixels around the ROI that the picture shows
PICTURE_PX = 900                     # at least so wide
COLOURS = ((115, 158, 0), (0, 94, 213))      # BGR of lumen-intima and media-adventitia
SUMMARY = ("image", "roi_x", "roi_y", "roi_w", "roi_h", "pixel_um", "thickness_um", "columns",
           "missing", "crossing", "run", "trained_on", "source_weights")


class RegionOfInterest(click.ParamType):
    """X,Y,W,H in whole pixels."""

    name = "x,y,w,h"

    def convert(self, value: Any, param: Any, ctx: Any) -> Box:
        try:
            x, y, w, h = (int(part) for part in str(value).split(","))
        except ValueError:
            self.fail(f"{value!r} is not X,Y,W,H in whole pixels", param, ctx)
        return x, y, w, h


@click.command()
@click.argument("image", type=click.Path(dir_okay=False))
@click.option("--roi", type=RegionOfInterest(), required=True,
              help="Region to measure: first column, first row, width, height in pixels.")
@click.option("--pixel-size", type=float, help="Side of a pixel in micrometres; default: what a "
              "DICOM file says.")
@click.option("--run", "run_folder", type=FOLDER,
              help="Folder of a scored run; default: the cimt run with the highest validation AUC.")
@click.option("--out", type=FOLDER, default="traces", show_default=True,
              help="Folder for the picture and the tables.")
@RUNS
def trace(image: str, roi: Box, pixel_size: float | None, run_folder: str | None, out: str,
          runs: str) -> None:
    """Measure the intima-media thickness on IMAGE (PNG, JPEG, TIFF or DICOM).

    \b
    layerwise trace far_wall.png --roi 120,200,92,60 --pixel-size 62.5
    layerwise trace far_wall.dcm --roi 120,200,92,60 --run runs/cimt/phantom-quick/conv4/100/1
    """
    from layerwise.boundary import thickness_um
    from layerwise.boundary import trace as lines_of
    from layerwise.runs import load_run

    folder = Path(run_folder) if run_folder else best_run(Path(runs))
    patch_um, run = patch_side_um(folder), load_run(folder)
    frame, pixel_um = import_module("data_prep.cimt.opening").open_frame(Path(image), roi,
                                                                         pixel_size)
    lines = lines_of(_maps(folder, frame, roi, patch_um / pixel_um, image))
    thickness = thickness_um(lines, pixel_um)
    places = write(Path(out), Path(image), frame, roi, pixel_um, lines, thickness, folder, run)
    click.echo(f"network: {folder}, trained on {run.stand_in_data or run.dataset}"
               + " (stand-in)" * bool(run.stand_in_data))
    click.echo(f"intima-media thickness: {thickness:.0f} um" if math.isfinite(thickness) else
               "intima-media thickness: none, an interface was seen in no column")
    for count, what in ((int(lines.missing.any(axis=0).sum()), "an interface was not seen"),
                        (int(lines.crossing.sum()), "the interfaces cross")):
        if count:
            click.echo(f"in {count} of {roi[2]} columns {what}")
    for place in places:
        click.echo(str(place))


def best_run(root: Path) -> Path:
    """The scored run of a network, below a folder of runs, with the highest validation AUC.

    Raises InputError when there is none, or runs on several data sets.
    """
    from layerwise.runs import BEST, BOUNDARY, RESULT, read_json

    found = {path.parent: read_json(path.parent / RESULT)["best_auc"]
             for path in sorted(root.glob(f"cimt/*/*/*/*/{BOUNDARY}"))
             if (path.parent / BEST).is_file()}
    if not found:
        raise InputError(f"{root}: no scored network for cimt; run `layerwise evaluate cimt conv1` "
                         "or name a run by --run")
    datasets = sorted({folder.parents[2].name for folder in found})
    if len(datasets) > 1:
        raise InputError(f"{root / 'cimt'}: networks of several data sets ({', '.join(datasets)}); "
                         "name a run by --run")
    return max(found, key=lambda folder: found[folder])


def patch_side_um(folder: Path) -> float:
    """Side of the patches that a run's network was trained on, in micrometres.

    The median over the regions it was tested on. Raises InputError unless it is a scored network.
    """
    import h5py
    import numpy as np

    from layerwise.boundary_files import CONFIDENCE
    from layerwise.runs import BEST

    for name in (BEST, "deploy.prototxt", CONFIDENCE):
        if not (folder / name).is_file():
            raise InputError(f"{folder / name}: no such file; --run is the folder of a scored "
                             "network for cimt")
    try:
        with h5py.File(str(folder / CONFIDENCE), "r") as archive:
            return float(np.median(archive["patch_um"][()]))
    except (OSError, KeyError) as error:
        raise InputError(f"{folder / CONFIDENCE}: unreadable ({error}); evaluate the run again"
                         ) from None


def _maps(folder: Path, frame: np.ndarray, roi: Box, side_px: float, image: str) -> np.ndarray:
    """Confidence maps (classes, rows, columns) of an ROI, from a child that owns Caffe."""
    import numpy as np

    from layerwise import blas, machine
    from layerwise.child import Children
    from layerwise.regions import (
        PATCH_PX,
        REGIONS,
        Region,
        margin_for,
        with_margin,
        write_regions,
    )

    if not 1 <= side_px <= PATCH_PX:
        raise InputError(f"{image}: the network's patches would be {side_px:.0f} pixels wide, 1 to "
                         f"{PATCH_PX} are possible; resample the image")
    side = math.ceil(side_px)
    margin = margin_for(side)
    region = Region(image, "", with_margin(frame, roi, margin), np.zeros((2, roi[2])), 1.0, margin,
                    side)
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(temporary)
        write_regions(place / REGIONS, [region])
        request = {"run": str(folder.resolve()), "folder": temporary, "side_px": side_px,
                   "maps": str(place / "maps.npy")}
        kernel = blas.environment_for(blas.choose(machine.cores()))
        Children().run(["confidence", json.dumps(request)], kernel, place / "caffe.log",
                       lambda event: None)
        maps: np.ndarray = np.load(request["maps"])
    return maps


def write(out: Path, image: Path, frame: np.ndarray, roi: Box, pixel_um: float, lines: Lines,
          thickness: float, folder: Path, run: Run) -> list[Path]:
    """Write NAME-lines.png, NAME-lines.csv (places in pixels of the frame) and NAME-thickness.csv.

    Returns their paths.
    """
    import cv2

    from layerwise.analysis.boundary_error import INTERFACES
    from layerwise.contracts import write_bytes, write_table

    places = [out / f"{image.stem}-{name}" for name in ("lines.png", "lines.csv", "thickness.csv")]
    x, y, w, h = roi
    ok, content = cv2.imencode(".png", draw(frame, roi, lines, f"{thickness:.0f} um"))
    assert ok
    write_bytes(places[0], content.tobytes())
    write_table(places[1], ("interface", "column", "row_px", "missing"), (
        [interface, x + column, f"{y + row:.4f}", int(gap)]
        for interface, rows, gaps in zip(INTERFACES, lines.rows, lines.missing)
        for column, (row, gap) in enumerate(zip(rows.tolist(), gaps.tolist()))))
    write_table(places[2], SUMMARY, [[
        image, x, y, w, h, f"{pixel_um:g}", f"{thickness:.1f}", w,
        int(lines.missing.any(axis=0).sum()), int(lines.crossing.sum()), folder,
        run.stand_in_data or run.dataset, run.stand_in_weights or run.source_weights or "none"]])
    return places


def draw(frame: np.ndarray, roi: Box, lines: Lines, title: str) -> np.ndarray:
    """(rows, columns, 3) uint8 BGR: the ROI enlarged, its outline, and the interfaces.

    Lines are thin where they only bridge a gap.
    """
    import cv2
    import numpy as np

    x, y, w, h = roi
    left, top = max(0, x - CONTEXT), max(0, y - CONTEXT)
    shown = frame[top:y + h + CONTEXT, left:x + w + CONTEXT]
    scale = max(1, math.ceil(PICTURE_PX / shown.shape[1]))
    picture = cv2.cvtColor(cv2.resize(shown, None, fx=scale, fy=scale,
                                      interpolation=cv2.INTER_CUBIC), cv2.COLOR_GRAY2BGR)

    def place(column: float, row: float) -> tuple[int, int]:     # in 1/16 pixel, as OpenCV counts
        return (round(16 * ((column - left + 0.5) * scale - 0.5)),
                round(16 * ((row - top + 0.5) * scale - 0.5)))

    cv2.rectangle(picture, place(x - 0.5, y - 0.5), place(x + w - 0.5, y + h - 0.5),
                  (200, 200, 200), 1, cv2.LINE_AA, 4)
    for rows, gaps, colour in zip(lines.rows, lines.missing, COLOURS):
        points = [place(x + column, y + row) for column, row in enumerate(rows.tolist())]
        for begin, (one, other) in enumerate(zip(points, points[1:])):
            cv2.line(picture, one, other, colour, 1 if gaps[begin:begin + 2].any() else 3,
                     cv2.LINE_AA, 4)
    cv2.putText(picture, title, (8, 24), cv2.FONT_HERSHEY_SIMPLEX, 0.7, (255, 255, 255), 1,
                cv2.LINE_AA)
    return np.asarray(picture)
