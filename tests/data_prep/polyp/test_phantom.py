"""The phantom: reproducible, labelled where the polyp is, and not to be told by its colour."""
from __future__ import annotations

import csv
import hashlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from data_prep.polyp import band, boundary_forests, shape
from data_prep.polyp.edge_kinds import LUMEN, MAPPED, SPECULAR, VESSEL
from data_prep.polyp.phantom import Frame, PhantomSettings, has_polyp, render_video, write_phantom
from layerwise.errors import InputError

SMALL = PhantomSettings(videos=4, frames_per_video=2, width=192, height=144)


def _digests(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture(scope="module")
def videos() -> list[Frame]:
    """The first two frames of 24 videos at full size."""
    settings = PhantomSettings(videos=24, frames_per_video=2, polyp_video_fraction=0.8)
    return [frame for index in range(24) for frame in render_video(settings, 11, index)]


def test_the_same_seed_gives_the_same_files_whatever_the_number_of_processes(
        tmp_path: Path) -> None:
    write_phantom(tmp_path / "one", SMALL, seed=3)
    write_phantom(tmp_path / "two", SMALL, seed=3, jobs=2)
    assert _digests(tmp_path / "one") == _digests(tmp_path / "two")


def test_another_seed_gives_other_frames() -> None:
    first, other = (next(render_video(SMALL, seed, 0)).image for seed in (3, 4))
    assert np.mean(first != other) > 0.5


def test_layout_on_disk(tmp_path: Path) -> None:
    write_phantom(tmp_path / "set", SMALL, seed=5)
    with open(tmp_path / "set" / "manifest.csv", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [tuple(row) for row in rows] == [("image", "mask", "kinds", "group")] * 8
    assert sorted({row["group"] for row in rows}) == ["v000", "v001", "v002", "v003"]
    for row in rows:
        image = cv2.imread(str(tmp_path / "set" / row["image"]), cv2.IMREAD_UNCHANGED)
        mask = cv2.imread(str(tmp_path / "set" / row["mask"]), cv2.IMREAD_UNCHANGED)
        assert image.shape == (144, 192, 3) and image.dtype == np.uint8
        assert mask.shape == (144, 192) and set(np.unique(mask)) <= {0, 255}
        kinds = cv2.imread(str(tmp_path / "set" / row["kinds"]), cv2.IMREAD_UNCHANGED)
        assert kinds.shape == (144, 192) and set(np.unique(kinds)) <= {0, *MAPPED}
    assert "STAND-IN" in (tmp_path / "set" / "README.txt").read_text()


def test_a_failed_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Path, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space"):
        write_phantom(tmp_path / "set", SMALL, seed=5)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_something_in_it_is_kept(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(InputError, match="already there"):
        write_phantom(tmp_path, SMALL, seed=5)
    assert (tmp_path / "mine.txt").read_text() == "mine"


@pytest.mark.parametrize("wrong", [
    {"videos": 0, "frames_per_video": 1}, {"videos": 1, "frames_per_video": 0},
    {"videos": 1, "frames_per_video": 1, "width": 20},
    {"videos": 1, "frames_per_video": 1, "polyp_video_fraction": 1.5}])
def test_impossible_settings_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(InputError, match="phantom:"):
        PhantomSettings(**wrong)  # type: ignore[arg-type]


def test_the_share_of_videos_with_a_polyp_is_exact() -> None:
    settings = PhantomSettings(videos=40, frames_per_video=1, polyp_video_fraction=0.75)
    assert sum(has_polyp(settings, 9, index) for index in range(40)) == 30


def test_masks_are_empty_exactly_where_no_polyp_is_seen(videos: list[Frame]) -> None:
    settings = PhantomSettings(videos=24, frames_per_video=2, polyp_video_fraction=0.8)
    with_mask = {frame.group for frame in videos if frame.mask.any()}
    expected = {f"v{index:03d}" for index in range(24) if has_polyp(settings, 11, index)}
    assert with_mask <= expected
    assert len(with_mask) >= 0.85 * len(expected)  # a fold may hide the polyp in both frames


def test_polyps_lie_in_the_visible_field(videos: list[Frame]) -> None:
    for frame in videos:
        outside = cv2.morphologyEx((frame.image.max(2) < 40).astype(np.uint8), cv2.MORPH_OPEN,
                                   np.ones((5, 5), np.uint8))
        corners = cv2.connectedComponents(outside)[1]
        border = corners == corners[0, 0]
        assert not np.any(frame.mask[border & (cv2.blur(outside, (9, 9)) == 1)])


def test_videos_look_different(videos: list[Frame]) -> None:
    """Hue and brightness differ more between videos than between the frames of one."""
    colour = np.array([frame.image[frame.image.max(2) > 40].mean(0) for frame in videos])
    colour = colour.reshape(24, 2, 3)
    assert np.all(colour.mean(1).std(0) > 2 * colour.std(1).mean(0))


def test_mean_colour_does_not_give_polyps_away(videos: list[Frame]) -> None:
    quick = shape.ShapeSettings(
        forests=boundary_forests.ForestSettings(per_kind=600, trees=8, pair_trees=8),
        synthetic=band.SyntheticSettings(shapes=30))
    model = shape.learn((shape.Example(frame.group, frame.image, frame.mask > 0, frame.kinds)
                         for frame in videos), 1, quick)
    colours, labels, groups = [], [], []
    for frame in videos:
        for box in shape.detect(frame.image, model):
            x, y = (int(v) for v in box.centre)
            if not (0 <= x < 384 and 0 <= y < 288):
                continue
            rows = slice(max(int(box.y), 0), int(box.y + box.h) + 1)
            columns = slice(max(int(box.x), 0), int(box.x + box.w) + 1)
            colours.append(frame.image[rows, columns].reshape(-1, 3).mean(0))
            labels.append(bool(frame.mask[y, x]))
            groups.append(frame.group)
    assert sum(labels) > 25
    guess = make_pipeline(StandardScaler(), LogisticRegression(class_weight="balanced"))
    scores = cross_val_predict(guess, np.array(colours), labels, groups=groups,
                               cv=GroupKFold(5), method="predict_proba")[:, 1]
    assert roc_auc_score(labels, scores) < 0.7


def test_the_map_of_kinds_is_where_the_frame_shows_them(videos: list[Frame]) -> None:
    """Highlights are brighter than the frame, the lumen is darker, vessels darker in green than
    what is beside them; each as the median of the frames that show some."""
    found: dict[int, list[float]] = {kind: [] for kind in MAPPED}
    for frame in videos:
        field = frame.image.max(2) > 40
        green = frame.image[..., 1].astype(float)
        around = cv2.blur(green, (15, 15))
        for kind in MAPPED:
            here = (frame.kinds == kind) & field
            if here.sum() < 30:
                continue
            reference = around if kind == VESSEL else np.full_like(green, np.median(green[field]))
            found[kind].append(float(np.median(green[here] / reference[here])))
        assert not np.any((frame.kinds == VESSEL) & (cv2.erode(frame.mask, np.ones((9, 9))) > 0))
    assert all(len(shares) > 5 for shares in found.values())
    share = {kind: np.median(shares) for kind, shares in found.items()}
    assert share[SPECULAR] > 1.3 and share[LUMEN] < 0.6 and share[VESSEL] < 0.97
