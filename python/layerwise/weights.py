"""Source weights: finding them, checking them, and saying what a network takes from them."""
from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from layerwise.alexnet import parameter_shapes
from layerwise.contracts import atomic_text
from layerwise.errors import InputError

BVLC_ALEXNET = "bvlc_alexnet.caffemodel"
BVLC_ALEXNET_SHA1 = "9116a64c0fbe4459d18f4bb6b56d647b63920377"   # iteration 360,000
BVLC_ALEXNET_URLS = ("http://dl.caffe.berkeleyvision.org/bvlc_alexnet.caffemodel",)


@dataclass(frozen=True)
class Source:
    """A source network on disk; `stand_in` says what it is when it is not bvlc_alexnet."""

    path: Path
    name: str
    sha1: str
    stand_in: str | None


ACTIONS = ("copied", "re-initialised", "dropped")


@dataclass(frozen=True)
class Transfer:
    """What happens to one blob: `copied`, `re-initialised` or `dropped`."""

    layer: str
    blob: int
    shape: tuple[int, ...]
    action: str


def sha1_of(path: Path) -> str:
    """SHA-1 of a file, hexadecimal."""
    digest = hashlib.sha1()
    with path.open("rb") as handle:
        for block in iter(lambda: handle.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def find_source(weights: Path | None, data: Path) -> Source:
    """The source network: `weights` if given, else bvlc_alexnet in `data`, else the stand-in.

    Args:
        weights: a .caffemodel, or the .npz form of a stand-in; None to look for one.
        data: the data folder; a stand-in is expanded to a caffemodel there once.

    Raises:
        InputError: the file is missing, truncated, not Table I's network, or is called
            bvlc_alexnet and has another SHA-1.
    """
    if weights is None:
        bundled = data / BVLC_ALEXNET
        return _caffemodel(bundled) if bundled.exists() else _stand_in(None, data)
    if not weights.is_file():
        raise InputError(f"{weights}: no such weights file")
    if weights.suffix == ".npz":
        return _stand_in(weights, data)
    return _caffemodel(weights)


def _caffemodel(path: Path) -> Source:
    sha1 = sha1_of(path)
    if sha1 == BVLC_ALEXNET_SHA1:
        return Source(path, "bvlc_alexnet", sha1, None)
    if path.name == BVLC_ALEXNET:
        raise InputError(f"{path}: SHA-1 is {sha1}, bvlc_alexnet's is {BVLC_ALEXNET_SHA1}; "
                         "delete the file and fetch it again, or rename it if it is another model")
    check_table_i(path, read_caffemodel(path))
    return Source(path, path.stem, sha1, f"{path.name}, not bvlc_alexnet")


def _stand_in(archive: Path | None, data: Path) -> Source:
    from layerwise import standin

    archive = archive or standin.STANDIN_FILE
    if not archive.is_file():
        raise InputError(f"{archive}: no stand-in weights here; give a caffemodel by --weights")
    sha1 = sha1_of(archive)
    path = data / "weights" / f"standin-{sha1[:12]}.caffemodel"
    seal = path.with_suffix(".sha1")       # a caffemodel cut short or changed is made again
    if not (path.is_file() and seal.is_file() and seal.read_text().strip() == sha1_of(path)):
        standin.write_caffemodel(standin.load_standin(archive), path)
        with atomic_text(seal) as handle:
            handle.write(f"{sha1_of(path)}\n")
    return Source(path, "standin", sha1, f"distilled stand-in {archive.name}, not bvlc_alexnet")


def read_caffemodel(path: Path) -> Any:
    """The NetParameter in a caffemodel; InputError when it is truncated or is none."""
    from caffe.proto import caffe_pb2
    from google.protobuf.message import DecodeError

    net = caffe_pb2.NetParameter()
    try:
        net.ParseFromString(path.read_bytes())
    except (DecodeError, MemoryError):
        raise InputError(f"{path}: truncated or not a caffemodel; fetch it again") from None
    if not any(True for _ in _blobs(net)):
        raise InputError(f"{path}: holds no weights; a .caffemodel is expected "
                         "(a .prototxt or .solverstate is not one)")
    return net


def _layers(net: Any) -> Iterator[Any]:
    """The layers in the present, the V1 or the V0 format (V0's lie inside V1's)."""
    yield from net.layer
    for layer in net.layers:
        yield layer.layer if layer.HasField("layer") else layer


def _blobs(net: Any) -> Iterator[tuple[str, list[tuple[int, ...]]]]:
    """Name and blob shapes of each layer with weights."""
    for layer in _layers(net):
        if layer.blobs:
            yield layer.name, [_shape(blob) for blob in layer.blobs]


def _shape(blob: Any) -> tuple[int, ...]:
    if blob.HasField("shape"):
        return tuple(blob.shape.dim)
    return (blob.num, blob.channels, blob.height, blob.width)


def _same_shape(found: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    """Equal, or equal once the leading ones of the old four-dimensional format are dropped."""
    legacy = (1,) * (4 - len(wanted)) + wanted
    return found in (wanted, legacy)


def check_table_i(path: Path, net: Any) -> None:
    """Raise InputError unless the network is Table I's AlexNet up to fc7.

    CaffeNet has the same blobs; it pools before it normalises, and its file says so.
    """
    order = [layer.name for layer in _layers(net)]
    if "norm1" in order and "pool1" in order and order.index("pool1") < order.index("norm1"):
        raise InputError(f"{path}: this is CaffeNet, which pools before it normalises; "
                         "the paper fine-tunes bvlc_alexnet, whose order is the reverse")
    found = dict(_blobs(net))
    for layer, shapes in parameter_shapes(classes=0).items():
        if layer == "fc8":
            continue
        if layer not in found:
            raise InputError(f"{path}: layer {layer} is missing; not an AlexNet of Table I")
        if len(found[layer]) != len(shapes) or not all(map(_same_shape, found[layer], shapes)):
            raise InputError(f"{path}: layer {layer} has blobs {found[layer]}, "
                             f"Table I's AlexNet has {list(shapes)}")


def read_mean(path: Path) -> tuple[float, ...]:
    """Channel means (BGR, 0..255) of a mean image, as Caffe's own classifier averages it.

    Raises InputError when the file is no binaryproto of one three-channel image.
    """
    import numpy as np
    from caffe.proto import caffe_pb2
    from google.protobuf.message import DecodeError

    try:
        blob = caffe_pb2.BlobProto.FromString(path.read_bytes())
    except FileNotFoundError:
        raise InputError(f"{path}: no such mean file") from None
    except (DecodeError, OSError):
        raise InputError(f"{path}: not a mean image in binaryproto format") from None
    shape = _shape(blob)
    values = np.array(blob.data or blob.double_data, np.float64)
    if len(shape) != 4 or shape[:2] != (1, 3) or values.size != np.prod(shape):
        raise InputError(f"{path}: has shape {shape}; a mean image is 1x3xHxW, BGR")
    # As many digits as the prototxts hold, so that all subtract the same.
    return tuple(float(f"{mean:.7g}") for mean in values.reshape(3, -1).mean(axis=1))


def transfer_report(source: Any, last_layer: str, classes: int) -> list[Transfer]:
    """What the network takes from the source: one row per blob of either.

    Args:
        source: NetParameter of the source caffemodel.
        last_layer: name of the task's classifier layer.
    """
    shapes = parameter_shapes(classes)
    shapes[last_layer] = shapes.pop("fc8")
    found = dict(_blobs(source))
    rows = [Transfer(layer, number, shape, "copied" if layer in found else "re-initialised")
            for layer, blobs in shapes.items() for number, shape in enumerate(blobs)]
    rows += [Transfer(layer, number, shape, "dropped") for layer, blobs in found.items()
             if layer not in shapes for number, shape in enumerate(blobs)]
    return rows
