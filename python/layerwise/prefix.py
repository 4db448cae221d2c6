"""The frozen prefix of a network: where it may be cut, what it costs, and the tail that remains.

For a depth whose first tuned layer is L, everything below L depends on the patch alone:
augmentation is done when the patches are cut, and the first dropout sits above fc6. So those
activations can be computed once and the tail trained on them, with the same trajectory.

Only fc8 keeps a frozen layer in its tail: fc7, above dropout 6. Caffe's solver moves momentum,
gradient and values of every parameter it holds, tuned or not, so fc7 goes to a network of its own.
"""
from __future__ import annotations

import math
from typing import Any

from layerwise import alexnet
from layerwise.depths import LAYERS, Depth

# First tuned layer -> blob that is stored. `fc8` is cut at fc6, because dropout 6 lies in between;
# below conv3 too little is saved for what is stored.
BOUNDARIES = {"conv3": "pool2", "conv4": "conv3", "conv5": "conv4", "fc6": "pool5", "fc7": "fc6",
              "fc8": "fc6"}


def boundary(depth: Depth) -> str | None:
    """The blob at which this depth's network may be cut; None when nothing is gained."""
    return BOUNDARIES.get(depth.first_tuned) if depth.fine_tuned else None


def shape(blob: str) -> tuple[int, ...]:
    """Shape of one patch's activations at a boundary."""
    row = next(row for row in alexnet.TABLE_I if row.name == blob)
    return (row.outputs,) if row.type == "fully connected" else (row.outputs, row.side, row.side)


def bytes_per_patch(blob: str) -> int:
    """Size of one patch's activations, float32."""
    return 4 * math.prod(shape(blob))


def multiplications(blob: str) -> int:
    """Multiply-adds of one forward pass from the image up to a boundary, below the classifier."""
    above = alexnet.layers_above(blob)
    return sum(alexnet.multiply_adds(layer, classes=0) for layer in LAYERS if layer not in above)


def cut(net: Any, blob: str, listing: str = "", batch_size: int = 1) -> Any:
    """The part of a network above a boundary, reading the stored activations.

    Args:
        net: NetParameter of `train_val` (then `listing` names the text file that lists the HDF5
            files, and fillers go: every blob is copied) or of `deploy` (an Input layer).

    Returns:
        caffe_pb2.NetParameter.
    """
    from caffe.proto import caffe_pb2

    last = max(index for index, layer in enumerate(net.layer)
               if blob in layer.top and layer.type != "Dropout")
    tail = caffe_pb2.NetParameter(name=f"{net.name} from {blob}")
    if listing:
        data = tail.layer.add(name="data", type="HDF5Data", top=[blob, "label"])
        data.hdf5_data_param.source = listing
        data.hdf5_data_param.batch_size = batch_size
    else:
        data = tail.layer.add(name="data", type="Input", top=[blob])
        data.input_param.shape.add(dim=[batch_size, *shape(blob)])
    for layer in net.layer[last + 1:]:
        if layer.type == "Accuracy":
            continue
        copy = tail.layer.add()
        copy.CopyFrom(layer)
        for settings in (copy.convolution_param, copy.inner_product_param):
            if listing and settings.HasField("weight_filler"):
                settings.ClearField("weight_filler")
                settings.ClearField("bias_filler")
    return tail


def split(tail: Any, batch_size: int) -> tuple[Any, Any] | None:
    """A training tail in two: its frozen layers, and the tuned ones fed by their output.

    The lower one ends at the activation of the last frozen layer, the upper one reads that and the
    labels from an Input layer. Together they draw the same random numbers in the same order.

    Args:
        tail: NetParameter that `cut` made of `train_val`.

    Returns:
        Two caffe_pb2.NetParameter, None when no layer of the tail is frozen.
    """
    from caffe.proto import caffe_pb2

    frozen = [index for index, layer in enumerate(tail.layer)
              if layer.param and not any(param.lr_mult for param in layer.param)]
    if not frozen:
        return None
    blob = tail.layer[frozen[-1]].top[0]
    last = next(index for index, layer in enumerate(tail.layer)
                if index > frozen[-1] and layer.type != "ReLU")
    lower = caffe_pb2.NetParameter(name=f"{tail.name} to {blob}", layer=tail.layer[:last])
    upper = caffe_pb2.NetParameter(name=f"{tail.name} above {blob}")
    data = upper.layer.add(name="data", type="Input", top=[blob, "label"])
    data.input_param.shape.add(dim=[batch_size, *shape(blob)])
    data.input_param.shape.add(dim=[batch_size])
    upper.layer.extend(tail.layer[last:])
    return lower, upper
