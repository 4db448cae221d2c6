"""An exported network, and predictions with it by this program and by OpenCV."""
from __future__ import annotations

import csv
import io
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
import tiny
from own_images import layerwise, one_thread, training_options, write_images

from layerwise.contracts import read_scores
from layerwise.errors import InputError
from layerwise.export import export, read_model
from layerwise.weights import read_mean


@pytest.fixture(scope="module")
def place(narrow_table: None, forks: None, tmp_path_factory: pytest.TempPathFactory
          ) -> Iterator[Path]:
    """Images, one trained and scored run of them, and it exported as `model`."""
    root = tmp_path_factory.mktemp("own")
    tiny.write_weights(root / "random.caffemodel")
    write_images(root / "scans", hint=20)
    with one_thread():
        done = layerwise("evaluate", "own", "conv5", "--images", root / "scans",
                         *training_options(root, root / "random.caffemodel"))
        assert done.exit_code == 0, done.stderr
        done = layerwise("export", run_folder(root), "--out", root / "model")
        assert done.exit_code == 0 and done.stdout == f"{root / 'model'}\n"
        yield root


def run_folder(root: Path) -> Path:
    return root / "runs/own/scans-mini/conv5/100/1"


def table(text: str) -> dict[str, list[float]]:
    header, *lines = csv.reader(io.StringIO(text))
    assert header == ["image", "p_well", "p_ill"]
    return {Path(name).name: [float(value) for value in values] for name, *values in lines}


def test_the_files_are_those_of_caffes_own_example(place: Path) -> None:
    model = place / "model"
    assert sorted(path.name for path in model.iterdir()) == [
        "MODEL_CARD.md", "config.json", "deploy.prototxt", "labels.txt", "mean.binaryproto",
        "model.caffemodel", "model.json"]
    assert (model / "labels.txt").read_text() == "well\nill\n"
    assert read_mean(model / "mean.binaryproto") == (104.0, 117.0, 123.0)
    best = run_folder(place) / "best.caffemodel"
    assert (model / "model.caffemodel").read_bytes() == best.read_bytes()
    known = read_model(model)
    assert known.classes == ("well", "ill") and known.views == ("s1.0_centre_r0",)


def test_the_card_says_what_it_is_and_how_good(place: Path) -> None:
    text = (place / "model" / "MODEL_CARD.md").read_text()
    assert "# Your own images: Fine-tuned AlexNet:conv5-fc8" in text
    assert "frozen: conv1, conv2, conv3, conv4" in text
    assert "**Source weights: random.caffemodel, not bvlc_alexnet (stand-in)**" in text
    assert "In the data: well 27, ill 26 candidates. The classes were equally frequent in " in text
    assert "`p_<class>` is not a probability at the clinic's prevalence" in text
    assert "- 0: well\n- 1: ill\n" in text and "Not a medical device" in text
    result = json.loads((run_folder(place) / "result.json").read_text())
    assert f"AUC of patches {result['best_auc']:.4f}" in text
    assert "test candidates: AUC " in text and "[95%: " in text


def test_predictions_are_the_runs_own_scores(place: Path) -> None:
    scores, _ = read_scores(run_folder(place) / "scores.csv")
    images = [place / "scans" / f"{row.case}.png" for row in scores]
    done = layerwise("predict", place / "model", *images, "--out", place / "p.csv")
    assert done.exit_code == 0, done.stderr
    found = table((place / "p.csv").read_text())
    assert list(found) == [path.name for path in images]
    for row in scores:
        assert found[f"{row.case}.png"] == pytest.approx(row.probabilities, abs=1e-6)
    assert np.ptp([row.probabilities[0] for row in scores]) > 1e-3


def test_many_views_are_averaged_chunk_by_chunk(place: Path, tmp_path: Path,
                                                monkeypatch: pytest.MonkeyPatch) -> None:
    from layerwise import predict

    images = sorted((place / "scans").glob("00*.png"))[:5]
    model = tmp_path / "model"
    export(run_folder(place), model)
    facts = json.loads((model / "model.json").read_text())
    single = []
    for views in (["s1.0_centre_r0"], ["s0.9_up_r90"], ["s1.0_centre_r0", "s0.9_up_r90"]):
        (model / "model.json").write_text(json.dumps({**facts, "views": views}))
        monkeypatch.setattr(predict, "CHUNK_PATCHES", 2 * len(views))
        done = layerwise("predict", model, *images)
        assert done.exit_code == 0, done.stderr
        single.append(np.array(list(table(done.stdout).values())))
    assert single[2] == pytest.approx((single[0] + single[1]) / 2, abs=1e-6)


def test_opencv_gives_the_same(place: Path, project: Path) -> None:
    """With the example of docs/, on images of the patch's size, which need no resampling."""
    for number in range(4):
        pixels = np.random.default_rng(number).integers(0, 255, (227, 227, 3)).astype(np.uint8)
        cv2.imwrite(str(place / f"patch{number}.png"), pixels)
    images = sorted(place.glob("patch*.png"))
    ours = layerwise("predict", place / "model", *images)
    other = subprocess.run(
        [sys.executable, str(project / "docs/examples/opencv_predict.py"), str(place / "model"),
         *map(str, images)], capture_output=True, text=True, check=True)
    expected, found = table(ours.stdout), table(other.stdout)
    assert list(expected) == list(found) and len(found) == 4
    for name, values in expected.items():
        assert found[name] == pytest.approx(values, abs=1e-4)


def test_a_box_is_the_image_cropped(place: Path, tmp_path: Path) -> None:
    image = cv2.imread(str(place / "scans" / "000.png"))
    cv2.imwrite(str(tmp_path / "crop.png"), image[4:20, 3:15])
    boxed = layerwise("predict", place / "model", place / "scans/000.png", "--box", "3,4,12,16")
    cropped = layerwise("predict", place / "model", tmp_path / "crop.png")
    whole = layerwise("predict", place / "model", place / "scans/000.png")
    values = [next(iter(table(one.stdout).values())) for one in (boxed, cropped, whole)]
    assert values[0] == pytest.approx(values[1], abs=0.02) and values[0] != values[2]


def test_bad_images_are_a_line_each_and_the_others_are_done(place: Path, tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("no image")
    done = layerwise("predict", place / "model", tmp_path / "text.png", place / "scans/000.png",
                     tmp_path / "missing.png")
    assert done.exit_code == 2 and list(table(done.stdout)) == ["000.png"]
    lines = [line for line in done.stderr.splitlines() if line.startswith("layerwise: ")]
    assert lines == [
        f"layerwise: {tmp_path}/text.png: not a PNG, JPEG or TIFF file; replace the file",
        f"layerwise: {tmp_path}/missing.png: cannot be read (No such file or directory)"]


def test_what_cannot_be_exported_or_used(place: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="config.json: no such file"):
        export(tmp_path, tmp_path / "out")
    with pytest.raises(InputError, match="model: already there"):
        export(run_folder(place), place / "model")
    with pytest.raises(InputError, match="model.json: no such file"):
        read_model(tmp_path)
    export(run_folder(place), tmp_path / "model")
    with (tmp_path / "model" / "model.caffemodel").open("ab") as handle:
        handle.write(b"x")
    with pytest.raises(InputError, match="not the network that was exported"):
        read_model(tmp_path / "model")
    done = layerwise("predict", place / "model", place / "scans/000.png", "--box", "0,0,1e9,4")
    assert done.exit_code == 2 and "more than 10 times as large" in done.stderr
    done = layerwise("predict", place / "model", place / "scans/000.png", "--box", "1,2,0,4")
    assert done.exit_code == 2 and "is no X,Y,W,H with W and H above 0" in done.stderr
    assert not list(tmp_path.glob(".*"))


def test_data_prepared_anew_say_nothing_of_an_older_run(place: Path, tmp_path: Path) -> None:
    run = shutil.copytree(run_folder(place), tmp_path / "own/scans-mini/conv5/100/1")
    config = json.loads((run / "config.json").read_text())
    (run / "config.json").write_text(json.dumps({**config, "data_sha256": "of other data"}))
    with pytest.raises(InputError, match="other data than the run began with.*says which views"):
        export(run, tmp_path / "model")
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize("task, box, message", [
    ("pe", None, "patches of task pe are not cut from single images"),
    ("polyp", None, "name the candidate's box by --box"),
    ("frames", (0, 0, 9, 9), "leave --box out")])
def test_tasks_differ_in_what_a_patch_is(task: str, box: tuple[float, ...] | None, message: str
                                         ) -> None:
    from data_prep.rendering import renderer

    with pytest.raises(InputError, match=message):
        renderer(task, box)
