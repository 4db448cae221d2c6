"""Table I as rows, and the network built from them as Caffe messages.

Everything follows BVLC's bvlc_alexnet, the model whose snapshot the paper fine-tunes: ReLU after
every layer but the last, local response normalisation before pooling, two groups in conv2, conv4
and conv5, dropout 0.5 after fc6 and fc7.
"""
from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from layerwise.depths import BASE_LR, BIAS_FACTOR, LAYERS, Depth

INPUT_SHAPE = (3, 227, 227)                # channels (BGR), rows, columns
MEAN_BGR = (104.0, 117.0, 123.0)           # ImageNet channel means on the 0..255 scale
DROPOUT = 0.5
LRN = {"local_size": 5, "alpha": 1e-4, "beta": 0.75}
WEIGHT_DECAY = (1.0, 0.0)                  # decay_mult of weights and of biases


@dataclass(frozen=True)
class Layer:
    """One row of Table I with bvlc_alexnet's details.

    `outputs` is 0 for the last layer, whose size is the number of classes. `std` and `bias` are
    bvlc_alexnet's initial values: weights N(0, std^2), constant bias.
    """

    name: str
    type: str                              # convolution | max pooling | fully connected
    inputs: tuple[int, int, int]           # channels, rows, columns
    outputs: int
    kernel: int
    stride: int = 1
    pad: int = 0
    group: int = 1
    std: float = 0.0
    bias: float = 0.0
    lrn: bool = False                      # normalised after its ReLU

    @property
    def side(self) -> int:
        """Rows (and columns) of the output."""
        if self.type == "fully connected":
            return 1
        return (self.inputs[1] + 2 * self.pad - self.kernel) // self.stride + 1


TABLE_I = (
    Layer("conv1", "convolution", (3, 227, 227), 96, 11, stride=4, std=0.01, lrn=True),
    Layer("pool1", "max pooling", (96, 55, 55), 96, 3, stride=2),
    Layer("conv2", "convolution", (96, 27, 27), 256, 5, pad=2, group=2, std=0.01, bias=0.1,
          lrn=True),
    Layer("pool2", "max pooling", (256, 27, 27), 256, 3, stride=2),
    Layer("conv3", "convolution", (256, 13, 13), 384, 3, pad=1, std=0.01),
    Layer("conv4", "convolution", (384, 13, 13), 384, 3, pad=1, group=2, std=0.01, bias=0.1),
    Layer("conv5", "convolution", (384, 13, 13), 256, 3, pad=1, group=2, std=0.01, bias=0.1),
    Layer("pool5", "max pooling", (256, 13, 13), 256, 3, stride=2),
    Layer("fc6", "fully connected", (256, 6, 6), 4096, 6, std=0.005, bias=0.1),
    Layer("fc7", "fully connected", (4096, 1, 1), 4096, 1, std=0.005, bias=0.1),
    Layer("fc8", "fully connected", (4096, 1, 1), 0, 1, std=0.01),
)


@dataclass(frozen=True)
class DataSource:
    """Where a Data layer reads: LMDB path as written into the prototxt, and its batch size."""

    lmdb: str
    batch_size: int


def parameter_shapes(classes: int) -> dict[str, tuple[tuple[int, ...], tuple[int]]]:
    """Shape of the weight and bias blob of each layer, as Caffe has them."""
    shapes: dict[str, tuple[tuple[int, ...], tuple[int]]] = {}
    for row in TABLE_I:
        outputs = row.outputs or classes
        if row.type == "convolution":
            weight: tuple[int, ...] = (outputs, row.inputs[0] // row.group, row.kernel, row.kernel)
        elif row.type == "fully connected":
            weight = (outputs, row.inputs[0] * row.inputs[1] * row.inputs[2])
        else:
            continue
        shapes[row.name] = (weight, (outputs,))
    return shapes


def parameters(classes: int) -> int:
    """Number of weights and biases of the network."""
    return sum(math.prod(shape) for blobs in parameter_shapes(classes).values() for shape in blobs)


def multiply_adds(layer: str, classes: int) -> int:
    """Multiply-adds of one image's forward pass through a layer: one per weight and place."""
    side = next(row.side for row in TABLE_I if row.name == layer)
    return math.prod(parameter_shapes(classes)[layer][0]) * side ** 2


def layers_above(blob: str | None) -> tuple[str, ...]:
    """Layers with weights that are computed above a row's activations; all for None."""
    if blob is None:
        return LAYERS
    names = [row.name for row in TABLE_I]
    return tuple(name for name in names[names.index(blob) + 1:] if name in LAYERS)


def train_val(name: str, last_layer: str, classes: int, depth: Depth,
              sources: Mapping[str, DataSource], mean: tuple[float, ...] = MEAN_BGR) -> Any:
    """The training network: Data layers, Table I, loss, and accuracy in the TEST phase.

    Args:
        name: name of the network.
        last_layer: name of the classifier layer, new to the source weights.
        depth: row of Table II; its rates become lr_mult, 0 for frozen layers (then decay_mult
            is 0 too, so that the prototxt says what happens; Caffe scales decay by the rate).
        sources: `train` and `test` phase data.

    Returns:
        caffe_pb2.NetParameter.
    """
    from caffe.proto import caffe_pb2

    net = caffe_pb2.NetParameter(name=name)
    for phase, source in sources.items():
        layer = net.layer.add(name="data", type="Data", top=["data", "label"])
        layer.include.add(phase=getattr(caffe_pb2, phase.upper()))
        layer.transform_param.mean_value.extend(mean)
        layer.data_param.source = source.lmdb
        layer.data_param.batch_size = source.batch_size
        layer.data_param.backend = caffe_pb2.DataParameter.LMDB
    _add_table(net, last_layer, classes, depth)
    accuracy = net.layer.add(name="accuracy", type="Accuracy", bottom=[last_layer, "label"],
                             top=["accuracy"])
    accuracy.include.add(phase=caffe_pb2.TEST)
    net.layer.add(name="loss", type="SoftmaxWithLoss", bottom=[last_layer, "label"], top=["loss"])
    return net


def deploy(name: str, last_layer: str, classes: int, batch_size: int = 10) -> Any:
    """The network for use: Input layer (mean already subtracted), Table I, softmax `prob`.

    Returns:
        caffe_pb2.NetParameter.
    """
    from caffe.proto import caffe_pb2

    net = caffe_pb2.NetParameter(name=name)
    data = net.layer.add(name="data", type="Input", top=["data"])
    data.input_param.shape.add(dim=[batch_size, *INPUT_SHAPE])
    _add_table(net, last_layer, classes, depth=None)
    net.layer.add(name="prob", type="Softmax", bottom=[last_layer], top=["prob"])
    return net


def _add_table(net: Any, last_layer: str, classes: int, depth: Depth | None) -> None:
    from caffe.proto import caffe_pb2

    bottom = "data"
    for row in TABLE_I:
        name = last_layer if row.name == LAYERS[-1] else row.name
        if row.type == "max pooling":
            pool = net.layer.add(name=name, type="Pooling", bottom=[bottom], top=[name])
            pool.pooling_param.pool = caffe_pb2.PoolingParameter.MAX
            pool.pooling_param.kernel_size = row.kernel
            pool.pooling_param.stride = row.stride
            bottom = name
            continue
        layer = net.layer.add(name=name, bottom=[bottom], top=[name])
        bottom = name
        if depth is not None:
            _add_rates(layer, depth.rates()[row.name])
        if row.type == "convolution":
            layer.type, settings = "Convolution", layer.convolution_param
            settings.kernel_size.append(row.kernel)
            _set_unless_default(settings, row)
        else:
            layer.type, settings = "InnerProduct", layer.inner_product_param
        settings.num_output = row.outputs or classes
        if depth is not None:
            _add_fillers(settings, row, depth.filler)
        if row.name == LAYERS[-1]:
            continue
        relu = f"relu{name[-1]}"
        net.layer.add(name=relu, type="ReLU", bottom=[name], top=[name])
        if row.lrn:
            bottom = f"norm{name[-1]}"
            norm = net.layer.add(name=bottom, type="LRN", bottom=[name], top=[bottom])
            for key, value in LRN.items():
                setattr(norm.lrn_param, key, value)
        if row.type == "fully connected":
            drop = net.layer.add(name=f"drop{name[-1]}", type="Dropout", bottom=[name], top=[name])
            drop.dropout_param.dropout_ratio = DROPOUT


def _set_unless_default(settings: Any, row: Layer) -> None:
    if row.stride != 1:
        settings.stride.append(row.stride)
    if row.pad:
        settings.pad.append(row.pad)
    if row.group != 1:
        settings.group = row.group


def _add_rates(layer: Any, rate: float) -> None:
    """One `param` block for each blob; with one only, Caffe would give the bias lr_mult 1."""
    for factor, decay in zip((1.0, BIAS_FACTOR), WEIGHT_DECAY):
        layer.param.add(lr_mult=round(rate / BASE_LR * factor, 6),
                        decay_mult=decay if rate else 0.0)


def _add_fillers(settings: Any, row: Layer, filler: str | None) -> None:
    """bvlc_alexnet's Gaussian, or Caffe's xavier (fan-in) or msra (Fig. 10); biases alike."""
    settings.weight_filler.type = filler or "gaussian"
    if settings.weight_filler.type == "gaussian":
        settings.weight_filler.std = row.std
    settings.bias_filler.type = "constant"
    if row.bias:
        settings.bias_filler.value = row.bias
