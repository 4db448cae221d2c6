"""Table II as rows: eight fine-tuning depths, and training from scratch with three initialisers.

A depth is named by its first tuned layer: `conv4` tunes conv4 to fc8 and freezes conv1 to conv3.
"""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from layerwise.errors import InputError

LAYERS = ("conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7", "fc8")

MOMENTUM = 0.9        # Table II, mu
GAMMA = 0.95          # Table II, gamma: once per epoch, Eq. (2)
BASE_LR = 0.001       # Table II, every tuned layer but fc8
BIAS_FACTOR = 2.0     # section III: "the learning rate of the bias is twice"


@dataclass(frozen=True)
class Depth:
    """One row of Table II.

    Attributes:
        name: `fc8` ... `conv1` for fine-tuning, `scratch-<filler>` for training from scratch.
        legend: the name in the paper's figures.
        first_tuned: the first layer with a learning rate; those before it are frozen.
        fc8_lr: learning rate of the last layer's weights.
        filler: initialiser of every layer's weights from scratch; None when fine-tuning.
    """

    name: str
    legend: str
    first_tuned: str
    fc8_lr: float
    filler: str | None = None

    @property
    def fine_tuned(self) -> bool:
        """Whether training starts from source weights."""
        return self.filler is None

    @property
    def frozen(self) -> tuple[str, ...]:
        """The layers whose learning rate is 0."""
        return LAYERS[:LAYERS.index(self.first_tuned)]

    def rates(self) -> Mapping[str, float]:
        """Learning rate of each layer's weights before any decay (Table II)."""
        rates = {layer: 0.0 if layer in self.frozen else BASE_LR for layer in LAYERS}
        rates["fc8"] = self.fc8_lr
        return rates


def _fine_tuned(first: str) -> Depth:
    span = "only fc8" if first == "fc8" else f"{first}-fc8"
    return Depth(first, f"Fine-tuned AlexNet:{span}", first, fc8_lr=0.01)


def _scratch(filler: str) -> Depth:
    legend = "AlexNet scratch" + ("" if filler == "gaussian" else f" ({filler})")
    return Depth(f"scratch-{filler}", legend, "conv1", fc8_lr=0.001, filler=filler)


DEPTHS = {depth.name: depth for depth in (
    *(_fine_tuned(layer) for layer in reversed(LAYERS)),
    *(_scratch(filler) for filler in ("gaussian", "xavier", "msra")),
)}

# What "scratch" means in a sweep, and in the paper's FROC and ROC figures.
SWEEP = (*reversed(LAYERS), "scratch-gaussian")


def depth_named(name: str) -> Depth:
    """The depth's row; `scratch` is short for `scratch-gaussian`. InputError lists the known."""
    name = "scratch-gaussian" if name == "scratch" else name
    if name not in DEPTHS:
        raise InputError(f"unknown depth {name!r}; the depths are {', '.join(DEPTHS)}")
    return DEPTHS[name]
