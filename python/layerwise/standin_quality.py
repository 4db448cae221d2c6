"""How good the stand-in's features are on Imagenette: the numbers of docs/standin_card.md.

Needs PyTorch, scikit-learn, the two teachers and Imagenette (train/ and val/, a folder per class
named by its WordNet id). Run as `python3 -m layerwise.standin_quality --help`.
"""
from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import click
import cv2
import numpy as np
import torch
import torch.nn.functional as F
from tqdm import tqdm

from layerwise.alexnet import TABLE_I, parameter_shapes
from layerwise.contracts import atomic_text
from layerwise.errors import InputError
from layerwise.standin import CLASSES, Blobs, load_standin
from layerwise.standin_images import SIDE, image_files, network_input, read_image
from layerwise.standin_init import read_conv_teacher, to_caffe_input
from layerwise.standin_nets import SqueezeNet, forward_student, forward_teacher, tensors
from layerwise.standin_recipe import autocast, fastest_dtype

PER_CLASS = 60                             # training images of the linear probe
PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1)       # of the probe's C, chosen by 3-fold cross-validation
IMAGENET_INDEX = {                         # place of Imagenette's classes among the 1000
    "n01440764": 0, "n02102040": 217, "n02979186": 482, "n03000684": 491, "n03028079": 497,
    "n03394916": 566, "n03417042": 569, "n03425413": 571, "n03445777": 574, "n03888257": 701,
}

Features = Callable[[torch.Tensor], dict[str, torch.Tensor]]


def random_table_i(seed: int) -> Blobs:
    """conv1 to fc7 as bvlc_alexnet starts its training: Gaussian weights, constant biases."""
    rng = np.random.default_rng(seed)
    shapes = parameter_shapes(CLASSES)
    rows = {row.name: row for row in TABLE_I if row.std}
    return {name: (rng.standard_normal(shapes[name][0], dtype=np.float32) * np.float32(row.std),
                   np.full(shapes[name][1], row.bias, dtype=np.float32))
            for name, row in rows.items() if name != "fc8"}


def table_i_features(blobs: Blobs) -> Features:
    """pool5, fc7 and, where the blobs have a head, its 1000 scores."""
    conv = tensors({name: blob for name, blob in blobs.items() if name.startswith("conv")})
    dense = {name: (torch.from_numpy(weight), torch.from_numpy(bias))
             for name, (weight, bias) in blobs.items() if name.startswith("fc")}

    def features(x: torch.Tensor) -> dict[str, torch.Tensor]:
        found = {"pool5": forward_student(conv, x)["pool5"].flatten(1)}
        fc6 = F.relu(F.linear(found["pool5"], *dense["fc6"]))
        found["fc7"] = F.relu(F.linear(fc6, *dense["fc7"]))
        if "fc8" in dense:
            found["scores"] = F.linear(found["fc7"], *dense["fc8"])
        return found
    return features


def read_windows(files: Sequence[Path]) -> np.ndarray:
    """The central square of each image at 227 x 227, uint8, BGR."""
    windows = np.empty((len(files), SIDE, SIDE, 3), dtype=np.uint8)
    for number, path in enumerate(files):
        image = read_image(path)
        side = min(image.shape[:2])
        top, left = ((size - side) // 2 for size in image.shape[:2])
        windows[number] = cv2.resize(image[top:top + side, left:left + side], (SIDE, SIDE),
                                     interpolation=cv2.INTER_LINEAR)
    return windows


@torch.no_grad()
def extract(features: Features, windows: np.ndarray, name: str,
            dtype: str) -> dict[str, np.ndarray]:
    """The features of all windows, float32; dtype: what products are computed in (`autocast`)."""
    parts: list[dict[str, torch.Tensor]] = []
    for first in tqdm(range(0, len(windows), 32), desc=name, unit="batch"):
        with autocast(dtype):
            parts.append(features(torch.from_numpy(network_input(windows[first:first + 32]))))
    return {key: torch.cat([part[key] for part in parts]).float().numpy() for key in parts[0]}


def probe_accuracy(train: np.ndarray, train_class: np.ndarray, test: np.ndarray,
                   test_class: np.ndarray, seed: int) -> float:
    """Share of the test images a logistic regression on standardised features gets right."""
    from sklearn.decomposition import PCA
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV, StratifiedKFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    # All components: a rotation, which leaves the penalised fit as it is and makes it fast.
    reduce = make_pipeline(StandardScaler(), PCA(svd_solver="full")).fit(train)
    search = GridSearchCV(LogisticRegression(max_iter=2000), {"C": list(PENALTIES)},
                          cv=StratifiedKFold(3, shuffle=True, random_state=seed))
    search.fit(reduce.transform(train), train_class)
    return float(search.score(reduce.transform(test), test_class))


def measure(standin: Path | None, conv_teacher: Path, classifier_teacher: Path, images: Path,
            seeds: Sequence[int]) -> dict[str, object]:
    """Linear probes per network, layer and seed; accuracy of the heads over 1000 classes.

    Args:
        standin: its .npz; None for the one shipped.
        images: folder with train/ and val/, each with a folder per class of Imagenette.
        seeds: each draws its training images, and a random Table I of its own.
    """
    train_files, test_files = (image_files(images / part) for part in ("train", "val"))
    classes = sorted({path.parent.name for path in train_files + test_files})
    unknown = [name for name in classes if name not in IMAGENET_INDEX]
    if unknown:
        raise InputError(f"{images}: {unknown[0]} is none of Imagenette's classes")
    draws = [_draw(train_files, classes, seed) for seed in seeds]
    needed = sorted({path for draw in draws for path in draw})
    rows = [[needed.index(path) for path in draw] for draw in draws]
    train_class, test_class = (np.array([classes.index(path.parent.name) for path in files])
                               for files in (needed, test_files))
    train, test = read_windows(needed), read_windows(test_files)

    def probe(name: str, features: Features, numbers: Sequence[int]) -> dict[str, np.ndarray]:
        """Probe the network on these draws; returns its responses to the validation images."""
        fitted, held_out = (extract(features, windows, f"{name}, {part}", dtype)
                            for windows, part in ((train, "training"), (test, "validation")))
        for number in numbers:
            chosen = rows[number]
            for layer in sorted(set(fitted) & {"pool5", "fc7"}):
                accuracy = probe_accuracy(fitted[layer][chosen], train_class[chosen],
                                          held_out[layer], test_class, seeds[number])
                probes.setdefault(name, {}).setdefault(layer, []).append(round(accuracy, 4))
                tqdm.write(f"{name}, {layer}, seed {seeds[number]}: {accuracy:.4f}")
        return held_out

    probes: dict[str, dict[str, list[float]]] = {}
    every, dtype = range(len(seeds)), fastest_dtype()
    teacher = read_conv_teacher(conv_teacher)
    teacher_conv = tensors({**teacher, "conv1": to_caffe_input(*teacher["conv1"])})
    of_standin = probe("stand-in", table_i_features(load_standin(standin)), every)
    true = np.array([IMAGENET_INDEX[name] for name in classes])[test_class]
    tqdm.write(f"stand-in, top-1 of 1000: {np.mean(of_standin['scores'].argmax(1) == true):.4f}")
    of_teacher = probe("convolution teacher", lambda x: {
        "pool5": forward_teacher(teacher_conv, x)["pool5"].flatten(1)}, every)
    for number in every:
        probe("random Table I", table_i_features(random_table_i(seeds[number])), [number])
    classifier = SqueezeNet(classifier_teacher)
    scores = {"stand-in": of_standin["scores"],
              "classifier teacher": extract(lambda x: {"scores": classifier(x)}, test,
                                            "classifier teacher", dtype)["scores"]}
    return {
        "images_per_class": PER_CLASS, "validation_images": len(test_files), "seeds": list(seeds),
        "dtype": dtype, "probe_accuracy": probes,
        "top1_of_1000": {name: float((found.argmax(1) == true).mean())
                         for name, found in scores.items()},
        "pool5_relative_error": _relative_error(of_standin["pool5"], of_teacher["pool5"]),
        "mean_norm": {layer: float(np.linalg.norm(of_standin[layer], axis=1).mean())
                      for layer in ("pool5", "fc7")},
    }


def _relative_error(found: np.ndarray, wanted: np.ndarray) -> float:
    """Squared error over the target's power, the target scaled to fit best."""
    wanted = wanted * float((found * wanted).sum() / np.square(wanted).sum())
    return float(np.square(found - wanted).sum() / np.square(wanted).sum())


def _draw(files: Sequence[Path], classes: Sequence[str], seed: int) -> list[Path]:
    """PER_CLASS files of every class."""
    rng = np.random.default_rng(seed)
    drawn: list[Path] = []
    for name in classes:
        of_class = [path for path in files if path.parent.name == name]
        drawn += [of_class[i] for i in rng.choice(len(of_class), PER_CLASS, replace=False)]
    return drawn


@click.command()
@click.option("--standin", type=click.Path(exists=True), help="Default: the file shipped.")
@click.option("--conv-teacher", required=True, type=click.Path(exists=True))
@click.option("--classifier-teacher", required=True, type=click.Path(exists=True))
@click.option("--images", required=True, type=click.Path(exists=True),
              help="Imagenette: train/ and val/ with a folder per class.")
@click.option("--out", required=True, type=click.Path(), help="The .json to write.")
@click.option("--seeds", default=3, show_default=True, type=click.IntRange(1))
@click.option("--threads", default=2, show_default=True, type=click.IntRange(1))
def main(standin: str | None, conv_teacher: str, classifier_teacher: str, images: str, out: str,
         seeds: int, threads: int) -> None:
    """Measure a stand-in: linear probes on pool5 and fc7, top-1 of its head over 1000 classes."""
    torch.set_num_threads(threads)
    cv2.setNumThreads(1)
    result = measure(Path(standin) if standin else None, Path(conv_teacher),
                     Path(classifier_teacher), Path(images), range(1, seeds + 1))
    with atomic_text(Path(out)) as handle:
        json.dump(result, handle, indent=1)
        handle.write("\n")


if __name__ == "__main__":
    main()
