"""What bounds the speed: multiply-adds over the speed of the BLAS, bytes over that of the memory.

A layer's forward pass takes one multiply-add for every weight and place it is applied at; the
gradient of its weights takes as many, and so does that of its inputs. Whatever the program, an
update with momentum reads weight, gradient and momentum of every tuned parameter and writes two of
them; only the fully connected layers (54.5 of 57 million parameters) are counted.
"""
from __future__ import annotations

import math

from layerwise import alexnet
from layerwise.depths import LAYERS, Depth

FLOAT_BYTES = 4
UPDATE_STREAMS = 5          # read weight, gradient, momentum; write weight, momentum


def flops(layer: str, classes: int = 2) -> int:
    """Floating-point operations of one image's forward pass through a layer with weights."""
    return 2 * alexnet.multiply_adds(layer, classes)


def training_flops(depth: Depth, blob: str | None = None) -> int:
    """Operations of one image in one iteration: forward, gradients of weights and of inputs.

    Args:
        blob: boundary of which the activations are stored; None computes all layers.
    """
    tuned = LAYERS[len(depth.frozen):]
    return (sum(map(flops, alexnet.layers_above(blob))) + sum(map(flops, tuned))
            + sum(map(flops, tuned[1:])))


def update_bytes(depth: Depth, classes: int = 2) -> int:
    """Bytes that one update of the tuned fully connected layers has to move."""
    shapes = alexnet.parameter_shapes(classes)
    tuned = [layer for layer in LAYERS if layer.startswith("fc") and layer not in depth.frozen]
    count = sum(math.prod(shape) for layer in tuned for shape in shapes[layer])
    return UPDATE_STREAMS * FLOAT_BYTES * count


def seconds(depth: Depth, batch_size: int, gflops: float, gigabytes_per_second: float,
            blob: str | None = None) -> float:
    """The least time of an iteration: all operations at full speed, then the update."""
    return (batch_size * training_flops(depth, blob) / (gflops * 1e9)
            + update_bytes(depth) / (gigabytes_per_second * 1e9))
