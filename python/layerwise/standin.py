"""A stand-in for bvlc_alexnet: Table I's network with features of natural images, small to ship.

It is NOT the paper's source network. The file holds conv1 to conv5 and low-rank factors of fc6, fc7
and a 1000-way fc8 as float16; here it is expanded to Caffe's blobs and written as a caffemodel. How
the file is made: `standin_recipe` (needs PyTorch). What it is good for: docs/standin_card.md.
"""
from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import numpy as np

from layerwise.alexnet import parameter_shapes
from layerwise.contracts import replacing, write_bytes
from layerwise.errors import InputError

Blobs = dict[str, tuple[np.ndarray, np.ndarray]]

STANDIN_FILE = Path(__file__).resolve().parent / "data" / "alexnet_standin.npz"
CLASSES = 1000                             # ImageNet's
HEAD = "fc8"                               # the only layer a file may lack


def load_standin(path: Path | str | None = None) -> Blobs:
    """Weight and bias, float32 in Caffe's order, of conv1 to conv5, fc6, fc7, and fc8 if held.

    Args:
        path: an .npz with `<layer>_weight`, or factors `<layer>_out` and `<layer>_in`, and
            `<layer>_bias`; by default the file shipped with the package.

    Raises:
        InputError: not such a file, or a layer has not Table I's shape.
    """
    file = STANDIN_FILE if path is None else Path(path)
    blobs: Blobs = {}
    try:
        with np.load(str(file)) as arrays:
            for layer, shapes in parameter_shapes(CLASSES).items():
                if layer == HEAD and f"{HEAD}_bias" not in arrays.files:
                    continue
                found = (_weight(arrays, layer), arrays[f"{layer}_bias"].astype(np.float32))
                if (found[0].shape, found[1].shape) != shapes:
                    raise ValueError(f"{layer} has shapes {found[0].shape}, {found[1].shape}, "
                                     f"in Table I {shapes[0]}, {shapes[1]}")
                blobs[layer] = found
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise InputError(f"{file}: not the .npz of a stand-in (conv1 to fc7): {error}") from None
    return blobs


def _weight(arrays: Any, layer: str) -> np.ndarray:
    """The layer's weight, float32, the same bits on every machine.

    float16 values are multiples of 2^-24, so float64 holds every partial sum of the product exactly
    (while it is below 32) and the order in which a BLAS adds does not matter.
    """
    if f"{layer}_weight" in arrays.files:
        return np.asarray(arrays[f"{layer}_weight"], dtype=np.float32)
    out, into = (arrays[f"{layer}_{part}"].astype(np.float64) for part in ("out", "in"))
    return np.asarray(out @ into, dtype=np.float32)


def save_standin(arrays: Mapping[str, np.ndarray], path: Path) -> None:
    """The arrays of a distillation as one float16 .npz, the same bytes for the same values.

    Raises:
        InputError: a value does not fit in float16; nothing is written.
    """
    halves: dict[str, Any] = {name: np.asarray(arrays[name]).astype(np.float16)
                              for name in sorted(arrays)}
    for name, half in halves.items():
        if not np.isfinite(half).all():
            raise InputError(f"{path}: {name} has values float16 cannot hold; nothing written")
    with replacing(path) as partial, partial.open("wb") as handle:
        np.savez(handle, **halves)


def write_caffemodel(blobs: Mapping[str, tuple[np.ndarray, np.ndarray]], path: Path) -> None:
    """The layers as a caffemodel, the same bytes for the same blobs. Needs pycaffe."""
    from caffe.proto import caffe_pb2

    net = caffe_pb2.NetParameter(name="AlexNet stand-in, not bvlc_alexnet")
    for name, arrays in blobs.items():
        kind = "Convolution" if name.startswith("conv") else "InnerProduct"
        layer = net.layer.add(name=name, type=kind)
        for array in arrays:
            blob = layer.blobs.add()
            blob.shape.dim.extend(array.shape)
            blob.MergeFromString(_packed_data(array))
    write_bytes(path, net.SerializeToString(deterministic=True))


def _packed_data(array: np.ndarray) -> bytes:
    """BlobProto.data (field 5, packed floats) in wire format; `data.extend` takes a minute."""
    values = np.ascontiguousarray(array, dtype="<f4").tobytes()
    length, rest = b"", len(values)
    while rest > 127:
        length += bytes([rest & 127 | 128])
        rest >>= 7
    return bytes([5 << 3 | 2]) + length + bytes([rest]) + values


def distil(images: Path, conv_teacher: Path, classifier_teacher: Path, out: Path,
           work: Path) -> None:
    """Make a stand-in from a folder of natural images and two ImageNet teachers.

    Args:
        images: folder searched for .jpg and .png files at any depth.
        conv_teacher: .npz of a one-column AlexNet's conv1 to conv5 (`standin_init`).
        classifier_teacher: .npz of SqueezeNet v1.0 (`standin_nets`).
        out: the .npz to write.
        work: folder of the log and, until `out` is written, of the state that an interrupted run
            resumes from.

    Raises:
        InputError: PyTorch is not installed, an input cannot be used, or `work` holds the state
            of a run with other inputs.
    """
    try:
        from layerwise import standin_recipe
    except ImportError as error:
        raise InputError(f"layerwise standin needs PyTorch ({error}): "
                         "pip install 'layerwise[standin]'") from None
    save_standin(standin_recipe.run(images, conv_teacher, classifier_teacher, work), out)
    (work / standin_recipe.STATE_FILE).unlink(missing_ok=True)


@click.command("standin")
@click.option("--images", required=True, type=click.Path(exists=True),
              help="Folder of natural images (.jpg, .png), e.g. Imagenette's train/.")
@click.option("--conv-teacher", required=True, type=click.Path(exists=True),
              help="One-column AlexNet's conv1 to conv5, .npz.")
@click.option("--classifier-teacher", required=True, type=click.Path(exists=True),
              help="SqueezeNet v1.0, .npz.")
@click.option("--out", required=True, type=click.Path(),
              help="The .npz to write; OUT.work/ keeps the log and, while unfinished, the state to "
                   "resume from.")
def standin(images: str, conv_teacher: str, classifier_teacher: str, out: str) -> None:
    """Distil the stand-in weights from natural images (PyTorch, about an hour on two cores)."""
    distil(Path(images), Path(conv_teacher), Path(classifier_teacher), Path(out),
           Path(out + ".work"))
    click.echo(f"wrote {out}: a distilled stand-in, not bvlc_alexnet")
