"""Networks so narrow that a training takes half a second, with workers that are forked.

Everything else is Table I's: the layers, their order, kernels and strides.
"""
from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Optional

import pytest
import tiny
from killing import forked_workers
from training import TAIL, WHOLE, Place

from layerwise import alexnet, child

CHANNELS, UNITS = 8, 32
Prepare = Callable[[list[str]], None]


def narrow_rows() -> tuple[alexnet.Layer, ...]:
    """Table I with 8 channels and 32 fully connected units: a snapshot has 63 KB, not 228 MB."""
    rows, channels = [], 3
    for row in alexnet.TABLE_I:
        outputs = {"convolution": CHANNELS, "max pooling": channels}.get(
            row.type, UNITS if row.outputs else 0)
        rows.append(replace(row, inputs=(channels, *row.inputs[1:]), outputs=outputs))
        channels = outputs
    return tuple(rows)


@pytest.fixture(scope="module")
def narrow_table() -> Iterator[None]:
    """`narrow_rows` in place of Table I."""
    full = alexnet.TABLE_I
    alexnet.TABLE_I = narrow_rows()
    yield
    alexnet.TABLE_I = full


@pytest.fixture(scope="module")
def forks() -> Iterator[None]:
    """Workers forked from this process, which has imported Caffe."""
    import caffe  # noqa: F401

    real, child.subprocess = child.subprocess, forked_workers()
    yield
    child.subprocess = real


@pytest.fixture(scope="module")
def narrow(narrow_table: None, forks: None, tmp_path_factory: pytest.TempPathFactory) -> Place:
    """The tiny data set and random weights; what TAIL freezes is stored."""
    weights = tmp_path_factory.mktemp("weights") / "random.caffemodel"
    tiny.write_weights(weights)
    data = tiny.write_prepared(tmp_path_factory.mktemp("data") / "polyp" / "tiny")
    place = Place(data, weights)
    place.store()
    return place


@pytest.fixture(scope="module")
def references(narrow: Place, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Folders of uninterrupted runs, by depth."""
    runs = tmp_path_factory.mktemp("reference")
    return {depth: narrow.evaluate(depth, runs) for depth in (WHOLE, TAIL)}


@pytest.fixture()
def in_workers(narrow: Place, monkeypatch: Any
               ) -> Callable[[Optional[Prepare]], None]:
    """Sets what workers do before they begin, given their arguments."""
    def prepare(action: Optional[Prepare]) -> None:
        monkeypatch.setattr(child, "subprocess", forked_workers(action))
    return prepare
