"""Table I's network in plain NumPy, float64: what Caffe's responses are checked against."""
from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from layerwise import alexnet


def forward_reference(blobs: Mapping[str, tuple[np.ndarray, np.ndarray]],
                      images: np.ndarray) -> dict[str, np.ndarray]:
    """Response of every layer up to fc7 (after its ReLU, before LRN), and of the pooling layers.

    Slow; meant for a few images.

    Args:
        blobs: weight and bias by layer name, in Caffe's order (`standin.load_standin`).
        images: n x 3 x 227 x 227, BGR 0..255 less the channel means.
    """
    x = np.asarray(images, dtype=np.float64)
    found: dict[str, np.ndarray] = {}
    for row in alexnet.TABLE_I[:-1]:
        if row.type == "max pooling":
            x = _windows(x, row.kernel, row.stride).max(axis=(4, 5))
            found[row.name] = x
            continue
        weight, bias = (np.asarray(blob, dtype=np.float64) for blob in blobs[row.name])
        if row.type == "convolution":
            x = _convolve(x, weight, row.stride, row.pad, row.group) + bias[:, None, None]
        else:
            x = x.reshape(len(x), -1) @ weight.T + bias
        x = np.maximum(x, 0.0)
        found[row.name] = x
        if row.lrn:
            x = _normalise(x)
    return found


def _windows(x: np.ndarray, kernel: int, stride: int) -> np.ndarray:
    """View of n x c x h x w as n x c x rows x columns x kernel x kernel.

    At Table I's sizes (55, 27, 13) Caffe's rounding up of a pooled size changes nothing.
    """
    rows, columns = ((size - kernel) // stride + 1 for size in x.shape[2:])
    n, c, down, right = x.strides
    return np.lib.stride_tricks.as_strided(
        x, (*x.shape[:2], rows, columns, kernel, kernel),
        (n, c, down * stride, right * stride, down, right), writeable=False)


def _convolve(x: np.ndarray, weight: np.ndarray, stride: int, pad: int, group: int) -> np.ndarray:
    padded = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)), mode="constant")
    parts = []
    for inputs, filters in zip(np.split(padded, group, axis=1), np.split(weight, group)):
        windows = _windows(inputs, weight.shape[-1], stride)
        parts.append(np.tensordot(windows, filters, axes=((1, 4, 5), (1, 2, 3))))
    return np.moveaxis(np.concatenate(parts, axis=-1), -1, 1)


def _normalise(x: np.ndarray) -> np.ndarray:
    """Across channels; Caffe divides alpha by the window's size and adds k = 1."""
    size = int(alexnet.LRN["local_size"])
    reach = size // 2
    padded = np.pad(x * x, ((0, 0), (reach, reach), (0, 0), (0, 0)), mode="constant")
    total = sum(padded[:, shift:shift + x.shape[1]] for shift in range(size))
    return x / (1.0 + alexnet.LRN["alpha"] / size * total) ** alexnet.LRN["beta"]
