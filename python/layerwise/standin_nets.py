"""The networks of the stand-in's distillation in PyTorch (the optional extra `standin`)."""
from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from layerwise.alexnet import LRN, TABLE_I
from layerwise.errors import InputError
from layerwise.standin import Blobs

Tensors = dict[str, tuple[torch.Tensor, torch.Tensor]]

CONVOLUTIONS = tuple(row for row in TABLE_I if row.type == "convolution")
POOLED = ("conv1", "conv2", "conv5")


def tensors(blobs: Blobs) -> Tensors:
    """Convolution blobs as tensors with the channels last in memory, which is faster here."""
    return {name: (torch.from_numpy(np.array(weight)).contiguous(memory_format=torch.channels_last),
                   torch.from_numpy(np.array(bias))) for name, (weight, bias) in blobs.items()}


class CaffeLRN(torch.autograd.Function):
    """Caffe's LRN across channels; autograd's takes twice the time, and bfloat16 has none."""

    REACH = int(LRN["local_size"]) // 2
    ALPHA = LRN["alpha"] / int(LRN["local_size"])     # of one element, as Caffe divides it
    BETA = LRN["beta"]

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        scale = _across_channels(x * x).mul_(CaffeLRN.ALPHA).add_(1.0)
        root = scale.rsqrt()
        factor = root * root.sqrt()                   # scale ** -BETA
        ctx.save_for_backward(x, scale, factor)
        return x * factor

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> torch.Tensor:
        x, scale, factor = ctx.saved_tensors
        gradient, = gradients
        neighbours = _across_channels(gradient * x * factor / scale)
        return gradient * factor - x * neighbours * (2 * CaffeLRN.BETA * CaffeLRN.ALPHA)


def _across_channels(x: torch.Tensor) -> torch.Tensor:
    """Sum over each channel and the two on either side."""
    reach, count = CaffeLRN.REACH, x.shape[1]
    padded = F.pad(x, (0, 0, 0, 0, reach, reach))
    total: torch.Tensor = padded[:, :count] + padded[:, 1:count + 1]
    for shift in range(2, 2 * reach + 1):
        total += padded[:, shift:count + shift]
    return total


def _pool(x: torch.Tensor) -> torch.Tensor:
    return F.max_pool2d(x, 3, 2, ceil_mode=True)


def forward_student(layers: Tensors, x: torch.Tensor) -> dict[str, torch.Tensor]:
    """Table I's responses of conv1 to conv5 (`pre_…` before the ReLU) and pool5.

    Args:
        layers: the first one to five convolution layers.
        x: n x 3 x 227 x 227, BGR 0..255 less the channel means.
    """
    return _forward(layers, x, student=True)


def forward_teacher(layers: Tensors, x: torch.Tensor) -> dict[str, torch.Tensor]:
    """The same of the one-column AlexNet: no groups, no LRN; conv1 unpadded so that sizes agree."""
    return _forward(layers, x, student=False)


def _forward(layers: Tensors, x: torch.Tensor, student: bool) -> dict[str, torch.Tensor]:
    found: dict[str, torch.Tensor] = {}
    for row in CONVOLUTIONS[:len(layers)]:
        groups = row.group if student else 1
        before = F.conv2d(x, *layers[row.name], stride=row.stride, padding=row.pad, groups=groups)
        x = F.relu(before)
        found[f"pre_{row.name}"], found[row.name] = before, x
        if row.lrn and student:
            x = CaffeLRN.apply(x)
        if row.name in POOLED:
            x = _pool(x)
            found[f"pool{row.name[-1]}"] = x
    return found


class SqueezeNet:
    """SqueezeNet v1.0 up to the class scores before the softmax."""

    def __init__(self, path: Path) -> None:
        """path: an .npz with `<layer>_w` and `<layer>_b`: conv1, fire2/s, fire2/e1 … conv10."""
        try:
            with np.load(str(path)) as arrays:
                self._blobs = {name: torch.from_numpy(arrays[name].astype(np.float32))
                               for name in arrays.files}
            if self._blobs["conv10_w"].shape != (1000, 512, 1, 1):
                raise KeyError("conv10_w of shape (1000, 512, 1, 1)")
        except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
            raise InputError(f"{path}: not the .npz of SqueezeNet v1.0: {error}") from None

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """n x 1000 scores from n x 3 x 227 x 227 (BGR 0..255 less the channel means)."""
        x = _pool(self._conv(x, "conv1", stride=2))
        for fire in range(2, 10):
            squeezed = self._conv(x, f"fire{fire}/s")
            expanded = self._conv(squeezed, f"fire{fire}/e3", padding=1)
            x = torch.cat([self._conv(squeezed, f"fire{fire}/e1"), expanded], dim=1)
            if fire in (4, 8):
                x = _pool(x)
        return self._conv(x, "conv10", padding=1).mean((2, 3))

    def _conv(self, x: torch.Tensor, name: str, **options: int) -> torch.Tensor:
        blobs: Mapping[str, torch.Tensor] = self._blobs
        return F.relu(F.conv2d(x, blobs[f"{name}_w"], blobs[f"{name}_b"], **options))
