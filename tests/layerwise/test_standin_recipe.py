"""The distillation's parts, where PyTorch (an optional extra) is installed."""
from __future__ import annotations

import csv
import functools
import shutil

import cv2
import numpy as np
import pytest
from standin_forward import forward_reference

from layerwise.errors import InputError
from layerwise.standin import distil, load_standin
from layerwise.standin_init import TEACHER_SHAPES

torch = pytest.importorskip("torch", reason="PyTorch, the optional extra `standin`, is absent")

from layerwise import standin_recipe  # noqa: E402
from layerwise.standin_nets import CaffeLRN, forward_student, tensors  # noqa: E402
from layerwise.standin_recipe import (  # noqa: E402
    Log,
    LowRank,
    Settings,
    State,
    _rescale,
    autocast,
    distil_classifier,
    fastest_dtype,
    inputs_digest,
    rate_share,
)

TINY = Settings(calibration=4, iterations=4, warm_up=2, anneal=2, batch=2, views=2, epochs=2,
                classifier_batch=4, rank=4, head_rank=4, threads=1)


def test_lrn_is_caffes_forward_and_backward():
    x = 80.0 * torch.randn(2, 9, 3, 3, dtype=torch.float64,
                           generator=torch.Generator().manual_seed(0))
    expected = torch.nn.functional.local_response_norm(x, 5, 1e-4, 0.75, 1.0)
    assert torch.allclose(CaffeLRN.apply(x), expected, rtol=1e-12)
    assert torch.autograd.gradcheck(CaffeLRN.apply, (x.requires_grad_(),))


def test_student_is_the_network_that_caffe_gets():
    blobs = load_standin()
    x = np.random.default_rng(0).normal(0.0, 40.0, (1, 3, 227, 227)).astype(np.float32)
    conv = tensors({name: blob for name, blob in blobs.items() if name.startswith("conv")})
    found = forward_student(conv, torch.from_numpy(x))
    expected = forward_reference(blobs, x)
    for name in ("conv1", "conv3", "pool5"):
        difference = np.abs(found[name].numpy() - expected[name]).max()
        assert difference < 1e-4 * np.abs(expected[name]).max(), name


def test_rate_rises_stays_and_falls_to_nothing():
    settings = Settings(iterations=1000, warm_up=100, anneal=300)
    shares = [rate_share(iteration, settings) for iteration in range(1000)]
    assert shares[0] == pytest.approx(0.01) and shares[99] == 1.0
    assert set(shares[99:701]) == {1.0}
    assert all(later < earlier for earlier, later in zip(shares[701:], shares[702:]))
    assert shares[-1] < 1e-4
    assert shares[:700] == [rate_share(i, settings._replace(iterations=5000)) for i in range(700)]


@pytest.mark.parametrize("bfloat16, expected", [(0.1, torch.bfloat16), (9.0, torch.float32)])
def test_bfloat16_is_used_where_it_is_faster(monkeypatch, bfloat16, expected):
    monkeypatch.setattr(standin_recipe, "_seconds", {"bfloat16": bfloat16, "float32": 1.0}.get)
    with autocast(fastest_dtype()):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == expected


def test_products_of_both_kinds_are_timed():
    assert all(0 < standin_recipe._seconds(dtype) < 60 for dtype in ("float32", "bfloat16"))


@pytest.fixture(scope="module")
def made_from(tmp_path_factory):
    """Folder of four images, convolution teacher and classifier teacher, of random numbers."""
    folder, rng = tmp_path_factory.mktemp("made_from"), np.random.default_rng(5)
    (folder / "images" / "a").mkdir(parents=True)
    for number in range(4):
        write_image(folder / "images" / "a" / f"{number}.png", rng)
    conv = {}
    for name, shape in TEACHER_SHAPES.items():
        conv[f"{name}_weight"] = normal(rng, shape)
        conv[f"{name}_bias"] = np.zeros(shape[0], np.float32)
    np.savez(str(folder / "conv.npz"), **conv)
    shapes, inputs = {"conv1": (96, 3, 7, 7)}, 96
    for fire, squeezed in zip(range(2, 10), (16, 16, 32, 32, 48, 48, 64, 64)):
        shapes[f"fire{fire}/s"] = (squeezed, inputs, 1, 1)
        shapes[f"fire{fire}/e1"] = (4 * squeezed, squeezed, 1, 1)
        shapes[f"fire{fire}/e3"] = (4 * squeezed, squeezed, 3, 3)
        inputs = 8 * squeezed
    shapes["conv10"] = (1000, inputs, 1, 1)
    classifier = {}
    for name, shape in shapes.items():
        classifier[f"{name}_w"] = normal(rng, shape)
        classifier[f"{name}_b"] = np.zeros(shape[0], np.float32)
    np.savez(str(folder / "classifier.npz"), **classifier)
    return folder / "images", folder / "conv.npz", folder / "classifier.npz"


def write_image(path, rng):
    """A file with 40 x 50 random pixels."""
    cv2.imwrite(str(path), rng.integers(0, 256, (40, 50, 3), dtype=np.uint8))


def normal(rng, shape):
    """Weights that keep the power of rectified inputs."""
    return rng.normal(0.0, (2 / np.prod(shape[1:])) ** 0.5, shape).astype(np.float32)


@pytest.fixture
def tiny(monkeypatch):
    """The recipe at a few iterations, on a processor whose float32 is faster."""
    monkeypatch.setattr(standin_recipe, "run", functools.partial(standin_recipe.run, settings=TINY))
    monkeypatch.setattr(standin_recipe, "SAVE_EVERY", 2)
    monkeypatch.setattr(standin_recipe, "LOG_EVERY", 1)
    monkeypatch.setattr(standin_recipe, "_seconds", {"bfloat16": 2.0, "float32": 1.0}.get)


def logged(work):
    """(stage, step, dtype) of the rows of log.csv."""
    with (work / "log.csv").open(newline="") as handle:
        return [(row["stage"], int(row["step"]), row["dtype"]) for row in csv.DictReader(handle)]


def interrupted(made_from, out, monkeypatch, *place):
    """Distil until the row of this stage and step is to be logged."""
    row = Log.row

    def stopping(log, **values):
        if (values["stage"], values["step"]) == place:
            raise KeyboardInterrupt
        row(log, **values)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Log, "row", stopping)
        distil(*made_from, out, out.parent / "work")
    assert not out.exists() and (out.parent / "work" / "conv_state.pt").is_file()


def test_a_run_resumed_on_another_processor_gives_the_same_and_leaves_no_state(
        made_from, tiny, tmp_path, monkeypatch):
    distil(*made_from, tmp_path / "whole" / "out.npz", tmp_path / "whole" / "work")
    out = tmp_path / "parts" / "out.npz"
    interrupted(made_from, out, monkeypatch, "conv", 3)
    monkeypatch.setattr(standin_recipe, "_seconds", {"bfloat16": 1.0, "float32": 2.0}.get)
    interrupted(made_from, out, monkeypatch, "fc", 2)
    distil(*made_from, out, out.parent / "work")
    assert out.read_bytes() == (tmp_path / "whole" / "out.npz").read_bytes()
    for name in ("whole", "parts"):
        assert [path.name for path in (tmp_path / name / "work").iterdir()] == ["log.csv"]
        assert logged(tmp_path / name / "work") == [
            ("conv", 1, "float32"), ("conv", 2, "float32"), ("conv", 3, "float32"),
            ("conv", 4, "float32"), ("fc", 2, "float32"), ("fc", 4, "float32")]


def test_the_same_out_is_made_anew_from_other_images(made_from, tiny, tmp_path):
    images, *teachers = made_from
    shutil.copytree(str(images), str(tmp_path / "images"))
    out, work = tmp_path / "out.npz", tmp_path / "work"
    distil(tmp_path / "images", *teachers, out, work)
    with np.load(str(out)) as arrays:
        before = arrays["conv1_weight"]
    write_image(tmp_path / "images" / "more.png", np.random.default_rng(6))
    distil(tmp_path / "images", *teachers, out, work)
    with np.load(str(out)) as arrays:
        assert not np.array_equal(arrays["conv1_weight"], before)
    assert [step for stage, step, _ in logged(work) if stage == "conv"] == [1, 2, 3, 4]


def test_the_state_of_other_inputs_is_refused(made_from, tmp_path):
    images, conv_teacher, classifier_teacher = made_from
    moved, other, work = (tmp_path / name for name in ("moved", "other.npz", "work"))
    shutil.copytree(str(images), str(moved))
    shutil.copy(str(classifier_teacher), str(other))
    work.mkdir()
    blobs = {"conv1": (torch.ones(2, 3), torch.zeros(2))}
    optimiser = torch.optim.AdamW([blob.requires_grad_() for blob in blobs["conv1"]])

    def digest(settings=TINY):
        return inputs_digest(moved, (conv_teacher, other), settings)

    State(work, digest()).save(2, blobs, optimiser)
    assert digest() == inputs_digest(images, made_from[1:], TINY)      # wherever they lie
    assert State(work, digest()).restore(blobs, optimiser) == 2

    def refused():
        with pytest.raises(InputError, match="work: .*remove this folder or choose another --out"):
            standin_recipe.run(moved, conv_teacher, other, work, TINY)
        return [path.name for path in work.iterdir()] == ["conv_state.pt"]

    with pytest.raises(InputError, match="work: holds the state of a run with other images"):
        State(work, digest(TINY._replace(peak_rate=1e-3)))
    (moved / "a" / "0.png").rename(moved / "a" / "9.png")
    assert refused()
    (moved / "a" / "9.png").rename(moved / "a" / "0.png")
    content = (moved / "a" / "0.png").read_bytes()
    (moved / "a" / "0.png").write_bytes(content + b" ")
    assert refused()
    (moved / "a" / "0.png").write_bytes(content)
    with np.load(str(classifier_teacher)) as arrays:
        np.savez(str(other), **{**arrays, "conv10_b": np.ones(1000, np.float32)})
    assert refused()
    torch.save({"iteration": 2}, str(work / "conv_state.pt"))          # it does not say of which
    assert refused()


def test_rescaling_changes_norms_and_no_score():
    generator = torch.Generator().manual_seed(1)
    lower = LowRank.random(20, 30, 4, generator)
    upper = LowRank.random(30, 5, 4, generator)
    x = torch.rand(50, 20, generator=generator)
    with torch.no_grad():
        before = upper(torch.relu(lower(x)))
        response = _rescale(lower, upper, x, 7.0)
        assert float(response.norm(dim=1).mean()) == pytest.approx(7.0, rel=1e-5)
        assert torch.allclose(upper(torch.relu(lower(x))), before, rtol=1e-4, atol=1e-5)


def test_classifier_learns_the_teachers_labels_and_ends_at_the_wanted_norm(tmp_path):
    generator = torch.Generator().manual_seed(2)
    kinds = torch.arange(400) % 4
    pool5 = torch.relu(torch.randn(4, 9216, generator=generator)[kinds]
                       + 0.3 * torch.randn(400, 9216, generator=generator))
    scores = 30.0 * torch.nn.functional.one_hot(kinds, 1000).float()
    settings = Settings(rank=32, head_rank=32, epochs=20, classifier_batch=40)
    log = Log(tmp_path / "log.csv", "float32", resumed=False)
    arrays = distil_classifier(pool5.half(), scores.half(), settings, log)
    x = pool5.numpy()
    for name in ("fc6", "fc7"):
        x = np.maximum(x @ arrays[f"{name}_in"].T @ arrays[f"{name}_out"].T
                       + arrays[f"{name}_bias"], 0.0)
    assert np.linalg.norm(x, axis=1).mean() == pytest.approx(settings.fc7_norm, rel=0.01)
    found = x @ arrays["fc8_in"].T @ arrays["fc8_out"].T + arrays["fc8_bias"]
    assert (found.argmax(1) == kinds.numpy()).mean() > 0.95
    rows = (tmp_path / "log.csv").read_text().splitlines()
    assert len(rows) == 21 and rows[-1].startswith("fc,200,")
