"""Confidence maps of a region: the probabilities of the classes at every pixel.

Cutting the patch of each pixel would be exact. `Convolutional` is the paper's "in a convolutional
manner" (section IV-D): the fully connected layers become convolutions, and neighbouring pixels
share the layers below.

The image is enlarged as patches are, so that patch_side pixels become 227 of the network's. With
the strides of conv1 (4), pool1 and pool2 (2 each) the network then answers once in 16 of its
pixels, 16/227 of a patch (2.26 image pixels where a patch has 32), and the answers are interpolated
linearly at the image's pixels. The last stride, pool5's, is removed: pool5 pools at every place,
and fc6, the next layer, is dilated by 2. The fine form removes pool2's as well, by shift and
stitch: pool2 pools at every place, and its four phases are four images for the layers above. It
answers once in 8 pixels at four times the cost. Caffe dilates convolutions but no poolings; here no
pooling needs it, and no product is computed twice. If the image were scaled by exactly 16 (fine: 8)
instead, a step would be a pixel and nothing interpolated, but a patch would have 14.2 (28.4) pixels
of the image and the network see everything at another size than it was trained at.

What differs from patches: a patch has zeros around it in conv2 to conv5 where Table I pads, here
those layers see the image go on. fc6 then depends on CONTEXT_PX = 355 instead of 227 pixels.
Measured on 48 columns of simulated regions: of a network tuned from conv3 the rows of maximum
confidence of both ways are 1 pixel apart in the median (maps correlate by 0.97), and the
convolutional ones are no worse (0.8 and 1.0 pixels from the truth, 1.0 and 1.1 by patches). Of one
with only fc8 tuned, whose maxima jump, they are 2 pixels apart (0.86), with larger errors than by
patches (4.9 and 4.1 pixels, 3.9 and 3.4). For a region of 92 x 60 pixels patches take 149 seconds
of a core, `Convolutional` 1.7 and its fine form 5.5, with errors that differ by 1%.
"""
from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from layerwise import alexnet
from layerwise.generate import text_of
from layerwise.regions import CONTEXT_PX, PATCH_PX, Region
from layerwise.score import feed, less_mean

CELL = 16            # network pixels between answers: the strides of conv1, pool1 and pool2
FINE = 2             # phases of pool2 in each direction that the fine form computes
TILE = 48            # of CELL in each direction computed at once: half a gigabyte of memory
SPLIT = "pool2"      # the last layer of the lower network
ROI = (60, 92)       # rows and columns of the paper's regions
DEFAULT_SIDE = 32    # side of a patch, in image pixels

Progress = Callable[[int], None]


class Convolutional:
    """A network turned into one that answers densely. Uses Caffe: in a worker only."""

    def __init__(self, net: Any, fine: bool = False) -> None:
        """
        Args:
            net: pycaffe deploy network whose parameters are copied.
            fine: whether to answer twice as densely in each direction.
        """
        import caffe

        self._phases = FINE if fine else 1
        last = list(net.params)[-1]
        classes = net.params[last][0].data.shape[0]
        texts = [text_of(message) for message in _dense_nets(last, classes, fine)]
        with tempfile.TemporaryDirectory() as folder:
            self._nets = []
            for number, text in enumerate(texts):
                path = Path(folder) / f"{number}.prototxt"
                path.write_text(text, encoding="utf-8")
                self._nets.append(caffe.Net(str(path), caffe.TEST))
        for dense in self._nets:
            for name, blobs in dense.params.items():
                for blob, source in zip(blobs, net.params[name]):
                    blob.data.flat = source.data.flat

    def maps(self, region: Region, mean_bgr: Sequence[float], side: float | None = None,
             progress: Progress | None = None) -> np.ndarray:
        """(classes, rows, columns) float32 probabilities at every pixel of the ROI.

        Args:
            side: image pixels that are enlarged to 227; default: the region's patch_side.
            progress: called with the number of pixels done since the last call.
        """
        side = region.patch_side if side is None else side
        step = CELL / self._phases * side / PATCH_PX
        grids = [_grid(size, step, self._phases) for size in region.roi.shape]
        maps = np.concatenate([
            np.concatenate([self._answers(region, y, x, side, mean_bgr)
                            for x in self._tiles(grids[1])], axis=2)
            for y in self._tiles(grids[0])], axis=1)
        for axis, (size, grid) in enumerate(zip(region.roi.shape, grids), start=1):
            maps = np.moveaxis(_weights(size, grid) @ np.moveaxis(maps, axis, 1), 1, axis)
        if progress:
            progress(region.roi.size)
        return maps.astype(np.float32)

    def _tiles(self, grid: np.ndarray) -> list[np.ndarray]:
        """Places in parts that are computed at once."""
        size = TILE * self._phases
        return [grid[begin:begin + size] for begin in range(0, len(grid), size)]

    def _answers(self, region: Region, y: np.ndarray, x: np.ndarray, side: float,
                 mean_bgr: Sequence[float]) -> np.ndarray:
        """(classes, len(y), len(x)) probabilities at rows y and columns x of the ROI."""
        import cv2

        scale, phases = side / PATCH_PX, self._phases
        first = (1 - CONTEXT_PX) / 2 * scale + region.margin
        shape = [CONTEXT_PX + CELL // phases * (len(places) - 1) for places in (y, x)]
        enlarged = cv2.warpAffine(
            region.image, np.array([[scale, 0.0, x[0] + first], [0.0, scale, y[0] + first]]),
            (shape[1], shape[0]), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE)
        lower, upper = self._nets
        feed(lower, "data", _three_channels(enlarged[None], mean_bgr))
        pooled = lower.forward()[SPLIT][0]
        feed(upper, SPLIT, np.stack([pooled[:, row::phases, column::phases]
                                     for row in range(phases) for column in range(phases)]))
        found = upper.forward()["prob"]
        answers = np.empty((found.shape[1], len(y), len(x)), np.float32)
        for number, phase in enumerate(found):
            answers[:, number // phases::phases, number % phases::phases] = phase
        return answers


def multiplications(rows: int, columns: int, classes: int) -> int:
    """Multiply-adds of `Convolutional`, not the fine form, for a tile of rows x columns answers."""
    # Outputs per answer in one direction, and beyond the last answer.
    outputs = {"conv1": (4, 83), "conv2": (2, 37), "conv3": (1, 16), "conv4": (1, 14),
               "conv5": (1, 12)}
    total = 0
    for name, (weight, _) in alexnet.parameter_shapes(classes).items():
        each, more = outputs.get(name, (1, 0))
        total += math.prod(weight) * (each * rows + more) * (each * columns + more)
    return total


def work_per_pixel(classes: int) -> float:
    """Multiply-adds of `Convolutional` for a pixel of a region of the paper's size."""
    rows, columns = (len(_grid(size, CELL * DEFAULT_SIDE / PATCH_PX, 1)) for size in ROI)
    return multiplications(rows, columns, classes) / math.prod(ROI)


def _dense_nets(last: str, classes: int, fine: bool) -> list[Any]:
    """NetParameters of the layers up to SPLIT and above it, without padding; fc as convolutions."""
    from caffe.proto import caffe_pb2

    whole = alexnet.deploy("dense", last, classes, 1)
    lower, upper = (caffe_pb2.NetParameter(name=f"dense, {part}") for part in ("lower", "upper"))
    data = upper.layer.add(name="data", type="Input", top=[SPLIT])
    rows = {row.name: row for row in alexnet.TABLE_I}
    data.input_param.shape.add(dim=[1, rows[SPLIT].outputs, 19, 19])
    target = lower
    for layer in whole.layer:
        copy = target.layer.add()
        copy.CopyFrom(layer)
        if layer.type == "Convolution":
            copy.convolution_param.ClearField("pad")
        elif layer.name == "pool5" or (layer.name == SPLIT and fine):
            copy.pooling_param.stride = 1
        elif layer.type == "InnerProduct":
            copy.type = "Convolution"
            copy.ClearField("inner_product_param")
            settings, kernel = copy.convolution_param, rows.get(layer.name, rows["fc8"]).kernel
            settings.num_output = layer.inner_product_param.num_output
            settings.kernel_size.append(kernel)
            if kernel > 1:
                settings.dilation.append(rows["pool5"].stride)
        if layer.name == SPLIT:
            target = upper
    return [lower, upper]


def _three_channels(patches: np.ndarray, mean_bgr: Sequence[float]) -> np.ndarray:
    """Grey images (n, rows, columns) uint8 as a network's input."""
    return less_mean(np.repeat(patches[:, None], 3, axis=1), mean_bgr)


def _grid(size: int, step: float, multiple: int) -> np.ndarray:
    """Places in equal steps with 0 .. size-1 in their middle, two or more, a `multiple` in all."""
    count = max(2, math.ceil((size - 1) / step - 1e-9) + 1)
    begin = (size - 1 - step * (count - 1)) / 2
    return begin + step * np.arange(-(-count // multiple) * multiple)


def _weights(size: int, grid: np.ndarray) -> np.ndarray:
    """(size, len(grid)) weights of linear interpolation at 0 .. size-1."""
    place = (np.arange(size) - grid[0]) / (grid[1] - grid[0])
    left = np.clip(place.astype(int), 0, len(grid) - 2)
    weights = np.zeros((size, len(grid)))
    weights[np.arange(size), left] = 1 - (place - left)
    weights[np.arange(size), left + 1] = place - left
    return weights
