"""A trained network as a folder of its own, for use without this program.

The files are those of Caffe's own classification example: deploy.prototxt, model.caffemodel,
mean.binaryproto and labels.txt. model.json says the same to `layerwise predict`, with the views of
an image whose probabilities are averaged; MODEL_CARD.md says what the network is good for.
"""
from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from layerwise.card import card
from layerwise.contracts import new_folder, read_index
from layerwise.errors import InputError
from layerwise.prepared import check_data
from layerwise.runs import (
    BEST,
    CONFIG,
    Run,
    is_trained,
    load_run,
    read_json,
    recommendation_stem,
    write_json,
)
from layerwise.tasks import task_named
from layerwise.weights import sha1_of

MODEL, LABELS, CARD = "model.json", "labels.txt", "MODEL_CARD.md"
DEPLOY, CAFFEMODEL, MEAN = "deploy.prototxt", "model.caffemodel", "mean.binaryproto"


@dataclass(frozen=True)
class Model:
    """What a folder of `export` holds, in words.

    Attributes:
        classes: index = output of the network.
        mean_bgr: subtracted from each channel, on the 0..255 scale.
        views: names of the views of an image that are averaged, as its task cuts them.
        sha1: of model.caffemodel.
    """

    task: str
    dataset: str
    depth: str
    classes: tuple[str, ...]
    mean_bgr: tuple[float, ...]
    views: tuple[str, ...]
    sha1: str
    stand_in_data: str | None
    stand_in_weights: str | None


def read_model(folder: Path) -> Model:
    """model.json of an exported folder; InputError when it is none, or another network's."""
    content = read_json(folder / MODEL)
    try:
        model = Model(**{**content, **{name: tuple(content[name])
                                       for name in ("classes", "mean_bgr", "views")}})
    except (KeyError, TypeError) as error:
        raise InputError(f"{folder / MODEL}: not written by `layerwise export` ({error})") from None
    for name in (DEPLOY, CAFFEMODEL):
        if not (folder / name).is_file():
            raise InputError(f"{folder / name}: no such file; export the run again")
    if sha1_of(folder / CAFFEMODEL) != model.sha1:
        raise InputError(f"{folder / CAFFEMODEL}: not the network that was exported (SHA-1 "
                         "differs); export the run again")
    return model


def export(run_folder: Path, out: Path) -> Path:
    """Write a trained run, or a data set's recommended one, as folder `out`, wholly or not at all.

    Raises InputError when the run is not trained, its prepared data are gone or others by now, or
    `out` exists and is not empty.
    """
    run_folder = recommended_run(run_folder)
    run = load_run(run_folder)
    if not is_trained(run_folder) or not (run_folder / BEST).is_file():
        raise InputError(f"{run_folder}: no trained network here (config.json, {BEST}); train it "
                         "first")
    if task_named(run.task, run.classes).by_region:
        raise InputError(f"{run_folder}: a network that traces lines; layerwise trace uses it "
                         "where it is, with --run")
    model = Model(run.task, run.dataset, run.init, run.classes, run.mean_bgr, _views(run),
                  sha1_of(run_folder / BEST), run.stand_in_data, run.stand_in_weights)
    with new_folder(out) as partial:
        shutil.copyfile(run_folder / BEST, partial / CAFFEMODEL)
        shutil.copyfile(run_folder / DEPLOY, partial / DEPLOY)
        shutil.copyfile(run_folder / CONFIG, partial / CONFIG)
        (partial / LABELS).write_text("".join(f"{name}\n" for name in run.classes))
        (partial / MEAN).write_bytes(_mean_blob(run.mean_bgr))
        write_json(partial / MODEL, asdict(model))
        (partial / CARD).write_text(card(run_folder, run, model.views), encoding="utf-8")
    return out


def recommended_run(folder: Path) -> Path:
    """The folder of a run: as given, or of a data set's folder the run that was recommended.

    Raises InputError for a data set that `layerwise recommend` has not seen.
    """
    if (folder / CONFIG).exists() or not (folder / "cases.csv").exists():
        return folder
    path = recommendation_stem(folder).with_suffix(".json")
    if not path.is_file():
        raise InputError(f"{folder}: the runs of a data set; name one of them, or let `layerwise "
                         "recommend` choose")
    chosen = folder / read_json(path)["search"]["chosen"] / "100"
    return min(chosen.glob("*"), key=lambda run: int(run.name), default=chosen)


def _views(run: Run) -> tuple[str, ...]:
    """The views that the run's test candidates were averaged over."""
    try:
        check_data(run)
        rows = read_index(Path(run.data) / "test" / "index.csv")
    except InputError as error:
        raise InputError(f"{error}: says which views to average; prepare the data again") from None
    return tuple(row.augmentation for row in rows if row.candidate == rows[0].candidate)


def _mean_blob(mean_bgr: Sequence[float]) -> bytes:
    from caffe.proto import caffe_pb2

    blob = caffe_pb2.BlobProto(num=1, channels=len(mean_bgr), height=1, width=1)
    blob.data.extend(mean_bgr)
    return bytes(blob.SerializeToString())

