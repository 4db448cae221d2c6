"""Shared fixtures. Caffe's own log is silenced; its children write theirs to caffe.log."""
from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import settings

os.environ.setdefault("GLOG_minloglevel", "2")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).parent))

# The same examples in every run, so that a change fails for what it changes;
# --hypothesis-profile=fresh draws new ones. A busy machine is no failure of a property.
settings.register_profile("fresh", deadline=None)
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")

PROJECT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def project() -> Path:
    """The project's folder."""
    return PROJECT


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny prepared data set: 12 training, 5 validation and 6 test patches."""
    import tiny

    return tiny.write_prepared(tmp_path_factory.mktemp("data") / "polyp" / "tiny")


@pytest.fixture(scope="module")
def small_table() -> Iterator[None]:
    """Table I with 32 instead of 4096 fully connected units: a snapshot has 11 MB, not 228."""
    from layerwise import alexnet

    full = alexnet.TABLE_I
    alexnet.TABLE_I = tuple(
        replace(row, outputs=32 if row.name in ("fc6", "fc7") else row.outputs,
                inputs=(32, 1, 1) if row.name in ("fc7", "fc8") else row.inputs)
        for row in full)
    yield
    alexnet.TABLE_I = full


@pytest.fixture(scope="module")
def source_weights(small_table: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A caffemodel of the small table's shapes with seeded random weights and a 1000-way fc8."""
    import tiny

    path = tmp_path_factory.mktemp("weights") / "random.caffemodel"
    tiny.write_weights(path)
    return path
