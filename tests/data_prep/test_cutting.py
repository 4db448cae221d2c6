"""Patches come in the order asked for, whatever the order in which frames are read."""
from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from data_prep import cutting, images, lmdb_store, patches


@pytest.mark.parametrize("jobs", [1, 2])
def test_order_and_content(colon: Path, monkeypatch: pytest.MonkeyPatch, jobs: int) -> None:
    monkeypatch.setattr(cutting, "WINDOW", 25)
    monkeypatch.setattr(cutting, "BATCH", 4)
    rng = np.random.default_rng(0)
    paths = sorted((colon / "frames").iterdir())
    cuts = [cutting.Cut(paths[i], (5.0, 6.0, 20.0, 18.0), patches.AUGMENTATIONS[j], int(i % 2))
            for i, j in zip(rng.integers(0, len(paths), 60), rng.integers(0, 120, 60))]
    values = list(cutting.cut_all(cuts, jobs, "patches"))
    assert len(values) == 60
    for cut, value in zip(cuts, values):
        image = images.to_bgr8(images.decode(cut.image_path, cut.image_path.read_bytes()))
        patch = patches.extract(image, cut.box, cut.augmentation)
        same = value == lmdb_store.datum_bytes(patch, cut.label)
        assert same  # not the comparison itself: pytest would print the difference, byte by byte


def test_a_frame_is_read_once_per_window(colon: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = sorted((colon / "frames").iterdir())[:3]
    cuts = [cutting.Cut(paths[i % 3], (5.0, 6.0, 20.0, 18.0), patches.AUGMENTATIONS[i], 0)
            for i in range(30)]
    read: list[Path] = []
    read_bytes = images.read_bytes
    monkeypatch.setattr(images, "read_bytes", lambda path: read.append(path) or read_bytes(path))
    assert len(list(cutting.cut_all(cuts, 1, "patches"))) == 30
    assert read == paths
