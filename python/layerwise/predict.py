"""Probabilities of images by an exported network, Caffe in a child process as always."""
from __future__ import annotations

import csv
import json
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from layerwise.child import Children
from layerwise.contracts import write_table
from layerwise.errors import InputError
from layerwise.export import CAFFEMODEL, DEPLOY, Model

CHUNK_PATCHES = 1024      # on the disk at a time (160 MB); Caffe starts anew for each
LOG = "caffe.log"
Box = tuple[float, ...]   # x, y of the top left corner, w, h; pixels


@dataclass(frozen=True)
class Prediction:
    """Probabilities of one image, the mean over its views, one for each class."""

    image: Path
    probabilities: tuple[float, ...]


def predict(folder: Path, model: Model, images: Sequence[Path], box: Box | None,
            environment: Mapping[str, str], on_bad: Callable[[InputError], None],
            children: Children) -> Iterator[Prediction]:
    """Predictions in the order of the images, without those that cannot be used.

    Args:
        folder: of the exported network, whose model.json is `model`.
        box: the region of each image; None = all of it.
        environment: of the child (BLAS kernel and threads).
        on_bad: told about each image that cannot be used.

    Raises InputError for a task whose patches are not cut from single images.
    """
    render = import_module("data_prep.rendering").renderer(model.task, box)
    size = max(1, CHUNK_PATCHES // len(model.views))
    with tqdm(total=len(images), desc="predict", unit=" images") as bar:
        for begin in range(0, len(images), size):
            good: list[Path] = []
            patches: list[np.ndarray] = []
            for path in images[begin:begin + size]:
                try:
                    patches.append(render(path, model.views))
                    good.append(path)
                except InputError as error:
                    on_bad(error)
                    bar.update()
            if good:
                for path, values in zip(good, _scored(folder, model, np.concatenate(patches),
                                                      environment, children)):
                    yield Prediction(path, tuple(float(value) for value in values))
                    bar.update()


def _scored(folder: Path, model: Model, patches: np.ndarray, environment: Mapping[str, str],
            children: Children) -> np.ndarray:
    """(images, classes) float64 from (images * views, 3, 227, 227) uint8."""
    with tempfile.TemporaryDirectory(prefix="layerwise-") as name:
        place = Path(name)
        np.save(place / "patches.npy", patches)
        request: dict[str, Any] = {
            "deploy": str((folder / DEPLOY).resolve()),
            "weights": str((folder / CAFFEMODEL).resolve()), "mean_bgr": model.mean_bgr,
            "patches": str(place / "patches.npy"),
            "probabilities": str(place / "probabilities.npy"), "folder": str(folder)}
        children.run(["use", json.dumps(request)], environment, place / LOG, lambda _: None)
        found = np.load(place / "probabilities.npy")
    return np.asarray(found.reshape(-1, len(model.views), len(model.classes))
                      .astype(np.float64).mean(axis=1))


def write_predictions(model: Model, predictions: Iterable[Prediction], out: Path | None) -> None:
    """CSV with the columns image and p_<class>, to a file (atomically) or printed as they come."""
    columns = ["image", *(f"p_{name}" for name in model.classes)]
    lines = ([str(one.image), *(f"{value:.9g}" for value in one.probabilities)]
             for one in predictions)
    if out:
        write_table(out, columns, lines)
        return
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(columns)
    for line in lines:
        writer.writerow(line)
        sys.stdout.flush()
