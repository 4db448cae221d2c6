"""Patches come in the order asked for, whatever the order in which frames are read."""
from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from data_prep import cutting, images, lmdb_store, patches
from data_prep.polyp.prepare import RECIPE
from layerwise.contracts import BoxCandidate


def candidate(label: int) -> BoxCandidate:
    return BoxCandidate("f", "g", "f:c01", "f:1" if label else "", label, 5.0, 6.0, 20.0, 18.0, 0.5)


@pytest.mark.parametrize("jobs", [1, 2])
def test_order_and_content(colon: Path, monkeypatch: pytest.MonkeyPatch, jobs: int) -> None:
    monkeypatch.setattr(cutting, "WINDOW", 25)
    monkeypatch.setattr(cutting, "BATCH", 4)
    rng = np.random.default_rng(0)
    paths = sorted((colon / "frames").iterdir())
    cuts = [cutting.Cut(paths[i], candidate(int(i % 2)), patches.AUGMENTATIONS[j].name)
            for i, j in zip(rng.integers(0, len(paths), 60), rng.integers(0, 120, 60))]
    values = list(cutting.cut_all(RECIPE.views, cuts, jobs, "patches"))
    assert len(values) == 60
    for cut, value in zip(cuts, values):
        image = images.to_bgr8(images.decode(cut.path, cut.path.read_bytes()))
        view = next(view for view in patches.AUGMENTATIONS if view.name == cut.view)
        patch = patches.extract(image, (5.0, 6.0, 20.0, 18.0), view)
        same = value == lmdb_store.datum_bytes(patch, cut.candidate.label)
        assert same  # not the comparison itself: pytest would print the difference, byte by byte


def test_a_frame_is_read_once_per_window(colon: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = sorted((colon / "frames").iterdir())[:3]
    cuts = [cutting.Cut(paths[i % 3], candidate(0), patches.AUGMENTATIONS[i].name)
            for i in range(30)]
    read: list[Path] = []
    read_bytes = images.read_bytes
    monkeypatch.setattr(images, "read_bytes", lambda path: read.append(path) or read_bytes(path))
    assert len(list(cutting.cut_all(RECIPE.views, cuts, 1, "patches"))) == 30
    assert read == paths
