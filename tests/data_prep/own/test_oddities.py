"""Warnings: nearly equal images of two groups, tiny classes, classes in one group."""
from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from data_prep.own.oddities import class_warnings, fingerprint, near_pairs, warnings
from data_prep.own.reader import OwnImage


def blobs(seed: int, size: int = 96) -> np.ndarray:
    """A smooth picture, as no other seed's."""
    noise = np.random.default_rng(seed).normal(0, 1, (size, size, 3)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), size / 12)
    return np.asarray(np.clip(128 + 60 * smooth / smooth.std(), 0, 255), np.uint8)


def image(folder: Path, name: str, group: str, pixels: np.ndarray, label: int = 0) -> OwnImage:
    path = folder / name
    assert cv2.imwrite(str(path), pixels)
    return OwnImage(path.stem, group, "", path, ((label, None),))


def pairs(images: list[OwnImage]) -> list[tuple[int, int]]:
    return list(near_pairs([fingerprint(one) for one in images], [one.group for one in images]))


def test_copies_in_another_group_are_found_whatever_their_format(tmp_path: Path) -> None:
    first = blobs(0)
    images = [image(tmp_path, "a.png", "p1", first), image(tmp_path, "b.png", "p1", first),
              image(tmp_path, "c.jpg", "p2", first), image(tmp_path, "d.png", "p2", blobs(1)),
              image(tmp_path, "e.png", "p3", cv2.resize(first, (64, 64))),
              image(tmp_path, "f.png", "p4", np.asarray(first // 2 + 60, np.uint8))]
    assert pairs(images) == [(0, 2), (0, 4), (0, 5), (1, 2), (1, 4), (1, 5), (2, 4), (2, 5),
                             (4, 5)]


def test_different_pictures_are_not(tmp_path: Path) -> None:
    assert pairs([image(tmp_path, f"{i}.png", f"p{i}", blobs(i)) for i in range(120)]) == []


def test_pictures_that_share_a_frame_are_told_apart(tmp_path: Path) -> None:
    """A bright half in all of them makes hashes alike, but not the correlation."""
    images = []
    for i in range(20):
        pixels = blobs(i)
        pixels[:48] = 255
        images.append(image(tmp_path, f"{i}.png", f"p{i}", pixels))
    assert len(pairs(images)) <= 2


def test_images_of_one_grey_level_are_like_nothing(tmp_path: Path) -> None:
    black = np.zeros((40, 40), np.uint8)
    assert pairs([image(tmp_path, f"{i}.png", f"p{i}", black) for i in range(3)]) == []


def test_more_than_a_block(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from data_prep.own import oddities

    images = [image(tmp_path, f"{i}.png", f"p{i}", blobs(i % 7)) for i in range(11)]
    whole = pairs(images)
    monkeypatch.setattr(oddities, "_BLOCK", 2)
    assert pairs(images) == whole == [(i, i + 7) for i in range(4)]


def test_all_warnings_name_what_to_look_at(tmp_path: Path) -> None:
    listed = [image(tmp_path, "a.png", "p1", blobs(0)), image(tmp_path, "b.png", "p2", blobs(0)),
              image(tmp_path, "dark.png", "p3", np.full((9, 9), 4000, np.uint16), 1)]
    found = warnings(listed, 1, ("well", "sick"))
    assert [line.split()[:4] for line in found[:3]] == [
        ["class", "well", "has", "2"], ["class", "well", "is", "in"], ["class", "sick", "has", "1"]]
    assert "class sick is in one group only (p3)" in found[3]
    assert "a.png of group p1 and" in found[4] and "b.png of group p2" in found[4]
    assert "1 images" in found[5] and "dark.png" in found[5] and len(found) == 6


def test_large_classes_in_many_groups_are_nothing_odd(tmp_path: Path) -> None:
    listed = [OwnImage(f"{i}", f"p{i % 5}", "", tmp_path, ((i % 2, None),)) for i in range(60)]
    assert class_warnings(listed, ("well", "sick")) == []
