"""Phantom and semi-synthetic sets: reproducible, and nothing but the fault tells the classes."""
from __future__ import annotations

import csv
import hashlib
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from _pytest.monkeypatch import MonkeyPatch
from scipy.stats import norm
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from data_prep.frames import phantom, reader, semisynthetic, stand_in
from data_prep.frames.degrade import Fault
from data_prep.frames.phantom import PhantomSettings, write_phantom
from data_prep.frames.semisynthetic import write_semisynthetic
from data_prep.manifest import origin_of
from layerwise.errors import InputError

SMALL = PhantomSettings(videos=2, frames_per_video=3, width=240, height=230)
VIDEOS, FRAMES, SEEDS = 10, 10, (3, 4)


def digests(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(folder.rglob("*")) if path.is_file()}


def truth(folder: Path) -> dict[str, tuple[str, float]]:
    with (folder / "truth.csv").open(newline="") as stream:
        return {row["image"]: (row["kind"], float(row["severity"]))
                for row in csv.DictReader(stream)}


def drawing(number: int, group: int) -> np.ndarray:
    """A view of 280x240: texture and vessels in a video's own octagon, hue and noise."""
    rng, of_video = np.random.default_rng(number), np.random.default_rng([1, group])
    image = np.full((240, 280, 3), 0, np.float32)
    left, top, cut = of_video.integers(8, 24, 3)
    field = np.zeros((240, 280), np.uint8)
    points = [(left + cut, top), (270 - cut, top), (270, top + cut), (270, 230 - cut),
              (270 - cut, 230), (left + cut, 230), (left, 230 - cut), (left, top + cut)]
    cv2.fillConvexPoly(field, np.array([[int(v) for v in point] for point in points]), 1)
    small = rng.normal(1, 0.2, (12, 14)).astype(np.float32)
    image += cv2.resize(small, (280, 240), interpolation=cv2.INTER_CUBIC)[..., None]
    image *= np.array([60, 90, 170]) * of_video.uniform(0.8, 1.2, 3)
    for _ in range(12):
        ends = rng.integers(0, 240, (2, 2)).tolist()
        cv2.line(image, tuple(ends[0]), tuple(ends[1]), (30, 40, 110), 2, cv2.LINE_AA)
    image[field == 0] = of_video.uniform(6, 20)
    noise = of_video.uniform(1, 3) * rng.standard_normal(image.shape)
    return np.clip(image + noise, 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in the layout of real frames, without masks."""
    folder = tmp_path_factory.mktemp("real")
    (folder / "frames").mkdir()
    lines = ["frame,sequence"]
    for number in range(VIDEOS * FRAMES):
        assert cv2.imwrite(str(folder / "frames" / f"{number:03d}.png"),
                           drawing(number, number // FRAMES))
        lines.append(f"{number:03d},{number // FRAMES + 1}")
    (folder / "sequences.csv").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture(scope="module")
def semisynthetic_sets(real: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("semisynthetic")
    for seed in SEEDS:
        write_semisynthetic(real, folder / str(seed), seed)
    return [folder / str(seed) for seed in SEEDS]


@pytest.fixture(scope="module")
def semisynthetic_set(semisynthetic_sets: list[Path]) -> Path:
    return semisynthetic_sets[0]


@pytest.fixture(scope="module")
def phantom_sets(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Many small videos of one view each, moved about instead of rendered anew."""
    folder, patch, views = tmp_path_factory.mktemp("phantom"), MonkeyPatch(), phantom.render_views

    def moving(settings: PhantomSettings, seed: int, index: int
               ) -> tuple[np.ndarray, Iterator[np.ndarray]]:
        field, frames = views(replace(settings, frames_per_video=2), seed, index)
        first, rng = next(frames), np.random.default_rng([seed, index])
        return field, (np.where(field[..., None], np.roll(first, rng.integers(-20, 20, 2), (0, 1)),
                                first) for _ in range(settings.frames_per_video))
    patch.setattr(phantom, "render_views", moving)
    try:
        for seed in SEEDS:
            write_phantom(folder / str(seed), PhantomSettings(VIDEOS, FRAMES, 240, 230), seed)
    finally:
        patch.undo()
    return [folder / str(seed) for seed in SEEDS]


def nuisances(folders: list[Path]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(frames, nuisances), labels and groups of all of these sets."""
    values, labels, groups, listed = [], [], [], []
    for folder in folders:
        with (folder / "manifest.csv").open(newline="") as stream:
            listed += [(folder, order, row) for order, row in enumerate(csv.DictReader(stream))]
    for folder, order, row in listed:
        path = folder / row["image"]
        image = cv2.imread(str(path))
        status = path.stat()
        corners = [part[:12, :12].reshape(-1, 3).astype(float)
                   for part in (image, image[::-1], image[:, ::-1], image[::-1, ::-1])]
        number = int("".join(filter(str.isdigit, path.stem)))
        values.append([
            status.st_size, *image.shape, order, order % 2, order % 7, number, number % 2,
            number % 10, len(path.name), status.st_mtime_ns % 10 ** 15,
            *(corner.mean() for corner in corners), *(corner.std() for corner in corners)])
        labels.append(row["label"] == "informative")
        groups.append(f"{folder.name} {row['group']}")
    return np.array(values, float), np.array(labels), np.array(groups)


def auc(values: np.ndarray, labels: np.ndarray, groups: np.ndarray, model: object) -> float:
    scores = cross_val_predict(model, values, labels, groups=groups, cv=GroupKFold(6),
                               method="predict_proba")[:, 1]
    return float(roc_auc_score(labels, scores))


def half_width(labels: np.ndarray) -> float:
    """Of the 95% interval of an AUC whose scores say nothing (Mann-Whitney).

    95% for the four comparisons below together (Bonferroni).
    """
    positive, negative = labels.sum(), (~labels).sum()
    deviation = ((positive + negative + 1) / (12 * positive * negative)) ** 0.5
    return float(norm.ppf(1 - 0.05 / 4 / 2) * deviation)


MODELS = {"logistic": make_pipeline(StandardScaler(), LogisticRegression()),
          "forest": RandomForestClassifier(200, min_samples_leaf=5, random_state=0)}


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("name", ["phantom_sets", "semisynthetic_sets"])
def test_nuisances_say_nothing(name: str, model: str, request: pytest.FixtureRequest) -> None:
    """Sizes, names, order, times and the border around the field leave the classes at chance."""
    values, labels, groups = nuisances(request.getfixturevalue(name))
    assert abs(auc(values, labels, groups, MODELS[model]) - 0.5) < half_width(labels)


def compress_the_spoilt(folder: Path) -> None:
    for frame in reader.read_frames(folder):
        if not frame.informative:
            assert cv2.imwrite(str(frame.image_path), cv2.imread(str(frame.image_path)))


def list_by_class(folder: Path) -> None:
    header, *lines = (folder / "manifest.csv").read_text().splitlines()
    (folder / "manifest.csv").write_text("\n".join(
        [header, *sorted(lines, key=lambda line: "non" in line)]))


def brighten_the_border(folder: Path) -> None:
    for frame in reader.read_frames(folder):
        image = cv2.imread(str(frame.image_path))
        image[image.max(2) < 25] += np.uint8(15 * frame.informative)
        assert cv2.imwrite(str(frame.image_path), image, [cv2.IMWRITE_PNG_COMPRESSION, 0])


@pytest.mark.parametrize("harm", [compress_the_spoilt, list_by_class, brighten_the_border])
def test_the_guard_sees_a_shortcut(semisynthetic_set: Path, tmp_path: Path, harm: object) -> None:
    shutil.copytree(semisynthetic_set, tmp_path / "set")
    harm(tmp_path / "set")  # type: ignore[operator]
    values, labels, groups = nuisances([tmp_path / "set"])
    assert auc(values, labels, groups, MODELS["forest"]) > 0.5 + 2 * half_width(labels)


@pytest.mark.parametrize("name", ["phantom_sets", "semisynthetic_sets"])
def test_files_are_of_one_size(name: str, request: pytest.FixtureRequest) -> None:
    for folder in request.getfixturevalue(name):
        sizes = {frame.image_path.stat().st_size for frame in reader.read_frames(folder)}
        assert len(sizes) == 1


@pytest.mark.parametrize("jobs", [1, 2])
def test_the_same_seed_gives_the_same_phantom(tmp_path: Path, jobs: int) -> None:
    write_phantom(tmp_path / "one", SMALL, seed=3)
    write_phantom(tmp_path / "two", SMALL, seed=3, jobs=jobs)
    assert digests(tmp_path / "one") == digests(tmp_path / "two")


def test_another_seed_gives_another_phantom() -> None:
    one, two = (next(phantom.render_video(SMALL, seed, 0)).image for seed in (3, 4))
    assert (one != two).mean() > 0.5


def test_the_phantom_on_disk(tmp_path: Path) -> None:
    write_phantom(tmp_path / "set", SMALL, seed=5)
    frames, faults = reader.read_frames(tmp_path / "set"), truth(tmp_path / "set")
    assert [frame.case for frame in frames] == [f"v{v:03d}_f{f:03d}" for v in (0, 1)
                                                for f in (0, 1, 2)]
    assert [sum(frame.informative for frame in frames if frame.group == group)
            for group in ("v000", "v001")] == [1, 2]
    for frame in frames:
        assert frame.informative == (faults[f"frames/{frame.case}.png"][1] < 0.5)
        assert cv2.imread(str(frame.image_path), cv2.IMREAD_UNCHANGED).shape == (230, 240, 3)
    assert origin_of(tmp_path / "set") == "phantom"
    assert "STAND-IN" in (tmp_path / "set" / "README.txt").read_text()


def test_informative_frames_of_severity_0_are_those_rendered() -> None:
    settings = PhantomSettings(videos=1, frames_per_video=6, width=230, height=227)
    field, frames = phantom.render_views(settings, 7, 0)
    drawn = list(phantom.render_video(settings, 7, 0))
    assert field.shape == (227, 230)
    assert any(each.fault.severity == 0 for each in drawn)
    for image, each in zip(frames, drawn):
        assert (each.image == image).all() == (each.fault.severity == 0)


@pytest.mark.parametrize("wrong", [{"videos": 0}, {"frames_per_video": 1}, {"width": 226},
                                   {"height": 100}])
def test_impossible_settings_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(InputError, match="phantom: .* must be at least"):
        PhantomSettings(**wrong)


def test_each_source_is_used_once(real: Path, semisynthetic_set: Path) -> None:
    frames = reader.read_frames(semisynthetic_set)
    assert len(frames) == VIDEOS * FRAMES
    assert Counter(frame.group for frame in frames) == {
        str(group): FRAMES for group in range(1, VIDEOS + 1)}
    for group in {frame.group for frame in frames}:
        assert sum(frame.informative for frame in frames if frame.group == group) == FRAMES // 2
    assert sorted(int(frame.case) for frame in frames) == list(range(VIDEOS * FRAMES))
    assert "semi-synthetic" in str(origin_of(semisynthetic_set))


def test_untouched_frames_are_the_sources_recompressed(semisynthetic_set: Path) -> None:
    """Those of severity 0 are found again among the real frames of their video, each once."""
    faults, found = truth(semisynthetic_set), []
    for frame in reader.read_frames(semisynthetic_set):
        if frame.group == "1" and faults[f"frames/{frame.case}.png"][1] == 0:
            image = cv2.imread(str(frame.image_path)).astype(int)
            found += [number for number in range(FRAMES)
                      if np.abs(image - drawing(number, 0)).mean() < 4]
    assert len(found) == len(set(found)) > 0


def test_semisynthetic_bytes_do_not_depend_on_jobs(real: Path, tmp_path: Path) -> None:
    (tmp_path / "few" / "frames").mkdir(parents=True)
    for number in range(0, 4 * FRAMES, FRAMES // 2):
        shutil.copy(real / "frames" / f"{number:03d}.png", tmp_path / "few" / "frames")
    (tmp_path / "few" / "t.csv").write_text("frame,video\n" + "".join(
        f"{path.stem},{int(path.stem) // FRAMES}\n"
        for path in (tmp_path / "few" / "frames").iterdir()))
    for jobs in (1, 2):
        write_semisynthetic(tmp_path / "few", tmp_path / str(jobs), seed=3, jobs=jobs)
    assert digests(tmp_path / "1") == digests(tmp_path / "2")
    assert len(digests(tmp_path / "1")) == 8 + 4


def test_real_frames_without_a_video_are_refused(real: Path, tmp_path: Path) -> None:
    (tmp_path / "frames").symlink_to(real / "frames")
    (tmp_path / "t.csv").write_text("frame,video\n000,1\n001,2\n")
    with pytest.raises(InputError, match=r"002\.png: frame has no group; add a line to t\.csv"):
        write_semisynthetic(tmp_path, tmp_path / "out", seed=1)
    assert not (tmp_path / "out").exists()


def test_a_failed_write_leaves_nothing(real: Path, tmp_path: Path,
                                       monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> np.ndarray:
        raise OSError(28, "No space left on device")
    monkeypatch.setattr(semisynthetic, "degrade", broken)
    with pytest.raises(OSError, match="No space"):
        write_semisynthetic(real, tmp_path / "out", seed=1)
    assert list(tmp_path.iterdir()) == []


def test_what_is_there_is_kept(real: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(InputError, match="already there"):
        write_semisynthetic(real, tmp_path, seed=1)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_the_border_of_a_fault_is_a_half() -> None:
    assert Fault("motion", 0.499).informative
    assert not Fault("motion", 0.5).informative
    assert stand_in.LABELS[Fault("motion", 0.5).informative] == "noninformative"


def test_a_given_split_is_kept(real: Path, tmp_path: Path) -> None:
    shutil.copytree(real, tmp_path / "real")
    table = tmp_path / "real" / "sequences.csv"
    first, *lines = table.read_text().split()
    table.write_text("\n".join([f"{first},split", *(
        f"{line},{'test' if line.endswith(',2') else 'train'}" for line in lines)]) + "\n")
    write_semisynthetic(tmp_path / "real", tmp_path / "set", 1)
    frames = reader.read_frames(tmp_path / "set")
    assert {frame.group for frame in frames if frame.split == "test"} == {"2"}
    assert len(frames) == VIDEOS * FRAMES
