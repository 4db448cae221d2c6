"""The systems the paper compares, as rows: their names, and how their curves are drawn.

Colours are Okabe and Ito's colour-blind-safe set; line style and marker tell the curves apart where
the colour does not (grey prints).
"""
from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

LineStyle = Any  # a Matplotlib line style: a name or (offset, dashes)


@dataclass(frozen=True)
class System:
    """One initialisation and depth of training; `label` as in Fig. 2, `short` as in Fig. 9."""

    init: str
    label: str
    short: str
    colour: str
    line: LineStyle
    marker: str


SYSTEMS = {system.init: system for system in (
    System("fc8", "Fine-tuned AlexNet:only fc8", "FT:only fc8", "#E69F00", (0, (1, 1.2)), "v"),
    System("fc7", "Fine-tuned AlexNet:fc7-fc8", "FT:fc7-fc8", "#009E73", (0, (3, 1.2)), "s"),
    System("fc6", "Fine-tuned AlexNet:fc6-fc8", "FT:fc6-fc8", "#B2A000",
           (0, (3, 1, 1, 1, 1, 1)), "P"),
    System("conv5", "Fine-tuned AlexNet:conv5-fc8", "FT:conv5-fc8", "#CC79A7",
           (0, (3, 1, 1, 1)), "X"),
    System("conv4", "Fine-tuned AlexNet:conv4-fc8", "FT:conv4-fc8", "#56B4E9",
           (0, (6, 1.5, 1, 1.5)), "D"),
    System("conv3", "Fine-tuned AlexNet:conv3-fc8", "FT:conv3-fc8", "#8B5A2B", (0, (2, 1)), "<"),
    System("conv2", "Fine-tuned AlexNet:conv2-fc8", "FT:conv2-fc8", "#6A5ACD",
           (0, (9, 1.5, 2, 1.5)), ">"),
    System("conv1", "Fine-tuned AlexNet:conv1-fc8", "FT:conv1-fc8", "#0072B2", "-", "o"),
    System("scratch-gaussian", "AlexNet scratch", "AlexNet scratch", "#D55E00", (0, (6, 2)), "^"),
    System("scratch-xavier", "AlexNet scratch (Xavier)", "scratch (Xavier)", "#A23B00",
           (0, (4, 1.2)), "<"),
    System("scratch-msra", "AlexNet scratch (MSRA)", "scratch (MSRA)", "#F0A070",
           (0, (1, 1)), ">"),
    System("handcrafted", "hand-crafted method", "Hand-crafted", "#000000", (0, (2.5, 1.5)), "*"),
)}

TEN_SYSTEMS = ("fc8", "fc7", "fc6", "conv5", "conv4", "conv3", "conv2", "conv1",
               "scratch-gaussian", "handcrafted")  # rows and columns of Tables S1-S4


def title(init: str, signs: str) -> str:
    """A system's label in tables, with the signs of its runs (see `outcome`)."""
    return f"{SYSTEMS[init].label} {signs}".rstrip()


def names(keys: Iterable[tuple[str, int]], join: str = ", ") -> str:
    """Systems, each (init, percent of the data): "FT:conv1-fc8, AlexNet scratch at 50%"."""
    return join.join(SYSTEMS[init].short + (f" at {fraction}%" if fraction != 100 else "")
                     for init, fraction in keys)


def pairs(inits: Sequence[str]) -> list[tuple[str, str]]:
    """Every pair (row, column) of the lower triangle, in the order of the paper's tables."""
    return [(row, column) for i, row in enumerate(inits) for column in inits[:i]]
