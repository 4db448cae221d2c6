"""Table I's convolution layers cut out of a one-column AlexNet: where the distillation starts.

The teacher is the one-column AlexNet: 64-192-384-256-256 filters, no groups, no normalisation, RGB
input 0..1 less mean over std. Table I wants 96-256-384-384-256 filters, two groups in conv2, conv4
and conv5, and Caffe's input (BGR 0..255 less the channel means). Where the teacher has too few
filters, those the next layer uses most are given to both groups and the others are dealt out; the
inputs that a filter's group cannot see are dropped. conv3 and conv5 keep the teacher's order, so
that conv3 and pool5 of the two networks can be compared element by element.
"""
from __future__ import annotations

import zipfile
from pathlib import Path
from typing import NamedTuple

import numpy as np

from layerwise.alexnet import MEAN_BGR
from layerwise.errors import InputError
from layerwise.standin import Blobs

TEACHER_MEAN_RGB = (0.485, 0.456, 0.406)
TEACHER_STD_RGB = (0.229, 0.224, 0.225)
TEACHER_SHAPES = {
    "conv1": (64, 3, 11, 11),
    "conv2": (192, 64, 5, 5),
    "conv3": (384, 192, 3, 3),
    "conv4": (256, 384, 3, 3),
    "conv5": (256, 256, 3, 3),
}


class Start(NamedTuple):
    """The student's first weights, and which teacher filter each of its filters came from."""

    blobs: Blobs
    source: dict[str, np.ndarray]


def read_conv_teacher(path: Path) -> Blobs:
    """Weight (float32, OIHW) and bias of the one-column AlexNet's conv1 to conv5.

    Raises:
        InputError: an array is missing or has another shape.
    """
    try:
        with np.load(str(path)) as arrays:
            blobs = {name: (arrays[f"{name}_weight"].astype(np.float32),
                            arrays[f"{name}_bias"].astype(np.float32)) for name in TEACHER_SHAPES}
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise InputError(f"{path}: not a one-column AlexNet (an .npz with conv1_weight, conv1_bias "
                         f"to conv5_bias): {error}") from None
    for name, shape in TEACHER_SHAPES.items():
        if blobs[name][0].shape != shape or blobs[name][1].shape != shape[:1]:
            raise InputError(f"{path}: {name} is {blobs[name][0].shape}, expected {shape}")
    return blobs


def to_caffe_input(weight: np.ndarray, bias: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The teacher's conv1 rewritten for BGR 0..255 less MEAN_BGR, with the same responses."""
    std = np.asarray(TEACHER_STD_RGB)
    offset = (np.asarray(MEAN_BGR[::-1]) / 255.0 - np.asarray(TEACHER_MEAN_RGB)) / std
    corrected = bias + np.einsum("oihw,i->o", weight, offset)
    scaled = weight / (255.0 * std)[None, :, None, None]
    return scaled[:, ::-1].astype(np.float32), corrected.astype(np.float32)


def deal(importance: np.ndarray, outputs: int) -> list[np.ndarray]:
    """The teacher filters of each of two groups: the most important in both, the rest in turn.

    Args:
        importance: one value per teacher filter; at least outputs/2 of them, at most outputs.
        outputs: filters wanted in the two groups together.

    Returns:
        Two ascending index arrays of outputs/2 elements.
    """
    shared = outputs - importance.size
    order = np.argsort(-importance, kind="stable")
    rest = order[shared:]
    return [np.sort(np.concatenate([order[:shared], rest[side::2]])) for side in (0, 1)]


def initial_student(teacher: Blobs) -> Start:
    """The student's convolution layers at the teacher's own scale.

    A conv2 filter in both groups gives half of each copy to conv3, which sees the two.

    Args:
        teacher: as from `read_conv_teacher`.
    """
    groups = {
        "conv1": deal(_energy_per_input(teacher["conv2"][0]), 96),
        "conv2": deal(_energy_per_input(teacher["conv3"][0]), 256),
        "conv3": np.split(np.arange(384), 2),
        "conv4": deal(_energy_per_input(teacher["conv5"][0]), 384),
        "conv5": np.split(np.arange(256), 2),
    }
    source = {name: np.concatenate(halves) for name, halves in groups.items()}
    conv1, conv1_bias = to_caffe_input(*teacher["conv1"])
    copies = np.bincount(source["conv2"])
    conv3 = teacher["conv3"][0] / copies[None, :, None, None]
    weights = {"conv1": conv1[source["conv1"]], "conv3": conv3[:, source["conv2"]]}
    for name, below in (("conv2", "conv1"), ("conv4", "conv3"), ("conv5", "conv4")):
        weights[name] = np.concatenate([teacher[name][0][filters][:, seen]
                                        for filters, seen in zip(groups[name], groups[below])])
    biases = {**{name: bias for name, (_, bias) in teacher.items()}, "conv1": conv1_bias}
    blobs = {name: (np.ascontiguousarray(weights[name], dtype=np.float32),
                    biases[name][source[name]]) for name in TEACHER_SHAPES}
    return Start(blobs, source)


def _energy_per_input(weight: np.ndarray) -> np.ndarray:
    return np.asarray(np.sum(weight.astype(np.float64) ** 2, axis=(0, 2, 3)))
