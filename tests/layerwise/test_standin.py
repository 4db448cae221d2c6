"""The stand-in weights: their file, the caffemodel made of it, and Caffe against plain NumPy."""
from __future__ import annotations

import hashlib
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from standin_forward import forward_reference

from layerwise import alexnet
from layerwise.errors import InputError
from layerwise.generate import text_of
from layerwise.standin import (
    STANDIN_FILE,
    distil,
    load_standin,
    save_standin,
    write_caffemodel,
)
from layerwise.standin_images import Crops
from layerwise.standin_init import deal, initial_student, read_conv_teacher, to_caffe_input

# Table I with bvlc_alexnet's groups, by hand.
WEIGHT_SHAPES = {
    "conv1": (96, 3, 11, 11), "conv2": (256, 48, 5, 5), "conv3": (384, 256, 3, 3),
    "conv4": (384, 192, 3, 3), "conv5": (256, 192, 3, 3), "fc6": (4096, 9216),
    "fc7": (4096, 4096), "fc8": (1000, 4096)}


@pytest.fixture(scope="module")
def blobs():
    return load_standin()


@pytest.fixture(scope="module")
def images():
    """Two inputs of natural contrast: smooth noise on the scale of an image less its mean."""
    import cv2

    rng = np.random.default_rng(3)
    noise = rng.normal(0.0, 1.0, (2, 227, 227, 3))
    smooth = np.stack([cv2.GaussianBlur(image, (0, 0), 4.0) for image in noise])
    return np.moveaxis(60.0 * smooth / smooth.std(), 3, 1).astype(np.float32)


@pytest.fixture(scope="module")
def caffemodel(blobs, tmp_path_factory):
    path = tmp_path_factory.mktemp("standin") / "new" / "standin.caffemodel"
    write_caffemodel(blobs, path)
    return path


@pytest.fixture(scope="module")
def deploy(tmp_path_factory):
    path = tmp_path_factory.mktemp("standin") / "deploy.prototxt"
    path.write_text(text_of(alexnet.deploy("stand-in", "fc8", 1000, batch_size=2)))
    return path


@pytest.fixture(scope="module")
def expected(blobs, images):
    return forward_reference(blobs, images)


@pytest.fixture(scope="module")
def caffe_responses(deploy, caffemodel, images):
    import caffe

    net = caffe.Net(str(deploy), str(caffemodel), caffe.TEST)
    net.blobs["data"].data[...] = images
    net.forward()
    return {name: net.blobs[name].data.copy() for name in ("pool1", "pool2", "pool5", "fc7", "fc8")}


def test_blobs_have_table_i_shapes(blobs):
    assert {name: weight.shape for name, (weight, _) in blobs.items()} == WEIGHT_SHAPES
    for name, (weight, bias) in blobs.items():
        assert bias.shape == WEIGHT_SHAPES[name][:1]
        assert weight.dtype == bias.dtype == np.float32
        assert np.isfinite(weight).all() and np.isfinite(bias).all() and weight.std() > 0


def test_file_is_small_and_holds_half_precision():
    assert STANDIN_FILE.stat().st_size <= 12_000_000
    with np.load(str(STANDIN_FILE)) as arrays:
        assert {arrays[name].dtype for name in arrays.files} == {np.dtype(np.float16)}


def test_factors_expand_the_same_in_any_order(blobs):
    with np.load(str(STANDIN_FILE)) as arrays:
        out, into = (arrays[f"fc7_{part}"].astype(np.float64) for part in ("out", "in"))
    order = np.random.default_rng(0).permutation(out.shape[1])
    assert np.array_equal((out[:, order] @ into[order]).astype(np.float32), blobs["fc7"][0])


def test_file_may_lack_the_head(tmp_path):
    with np.load(str(STANDIN_FILE)) as arrays:
        kept = {name: arrays[name] for name in arrays.files if not name.startswith("fc8")}
    np.savez(str(tmp_path / "headless.npz"), **kept)
    assert list(load_standin(tmp_path / "headless.npz")) == list(WEIGHT_SHAPES)[:-1]


@pytest.mark.parametrize("change, complaint", [
    (lambda arrays: arrays.pop("conv3_bias"), "conv3_bias"),
    (lambda arrays: arrays.update(conv1_weight=np.zeros((64, 3, 11, 11))), "conv1 has shapes"),
    (lambda arrays: arrays.update(fc6_in=arrays["fc6_in"][:5]), "not the .npz of a stand-in"),
])
def test_other_files_are_refused(tmp_path, change, complaint):
    with np.load(str(STANDIN_FILE)) as arrays:
        changed = {name: arrays[name] for name in arrays.files}
    change(changed)
    path = tmp_path / "changed.npz"
    np.savez(str(path), **changed)
    with pytest.raises(InputError, match=complaint) as caught:
        load_standin(path)
    assert str(path) in str(caught.value)


def test_truncated_text_and_absent_files_are_refused(tmp_path):
    whole = STANDIN_FILE.read_bytes()
    (tmp_path / "cut.npz").write_bytes(whole[:len(whole) // 2])
    (tmp_path / "text.npz").write_text("not an archive")
    for name in ("cut.npz", "text.npz", "absent.npz"):
        with pytest.raises(InputError, match=name):
            load_standin(tmp_path / name)


def test_saving_is_reproducible_and_all_or_nothing(tmp_path):
    arrays = {"b": np.linspace(0, 1, 5), "a": np.ones((2, 3), dtype=np.float32)}
    save_standin(arrays, tmp_path / "one.npz")
    save_standin(dict(reversed(list(arrays.items()))), tmp_path / "two.npz")
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()
    with pytest.raises(InputError, match="b has values"):
        save_standin({**arrays, "b": np.array([1e6])}, tmp_path / "one.npz")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one.npz", "two.npz"]
    with np.load(str(tmp_path / "one.npz")) as saved:
        assert np.allclose(saved["b"], arrays["b"], atol=1e-3)


def test_caffemodel_is_reproducible_and_complete(blobs, caffemodel, tmp_path):
    again = tmp_path / "again.caffemodel"
    write_caffemodel(blobs, again)
    digests = [hashlib.sha256(path.read_bytes()).hexdigest() for path in (caffemodel, again)]
    assert digests[0] == digests[1]
    assert [path.name for path in tmp_path.iterdir()] == ["again.caffemodel"]


def test_caffe_reads_every_blob_unchanged(blobs, deploy, caffemodel):
    import caffe

    net = caffe.Net(str(deploy), str(caffemodel), caffe.TEST)
    assert list(net.params) == list(blobs)
    for name, arrays in blobs.items():
        for found, array in zip(net.params[name], arrays):
            assert np.array_equal(found.data, array)


def test_caffe_agrees_with_the_plain_forward_pass(expected, caffe_responses):
    for name in ("pool1", "pool2", "pool5", "fc7"):
        difference = np.abs(caffe_responses[name] - expected[name]).max()
        assert difference < 1e-4 * np.abs(expected[name]).max(), name
    assert (expected["fc7"] > 0).mean() > 0.02


def test_opencv_reads_net_and_weights_and_agrees(deploy, caffemodel, images, caffe_responses):
    import cv2

    net = cv2.dnn.readNetFromCaffe(str(deploy), str(caffemodel))
    net.setInput(images)
    found = net.forward("fc8")
    scores = caffe_responses["fc8"]
    assert np.abs(found - scores).max() < 1e-4 * np.abs(scores).max()


def test_scales_suit_table_ii(blobs, expected):
    """conv1 meets 0..255 with LRN at work, and fc7 stays small: what Table II's rates assume."""
    assert 0.03 < blobs["conv1"][0].std() < 0.2
    assert expected["conv1"].max() > 100.0
    assert 5.0 < np.linalg.norm(expected["fc7"], axis=1).mean() < 60.0


def test_first_layer_for_caffe_input_responds_alike():
    rng = np.random.default_rng(1)
    weight = rng.normal(size=(4, 3, 11, 11))
    bias = rng.normal(size=4)
    patch = rng.integers(0, 256, (3, 11, 11)).astype(float)            # RGB 0..255
    mean, std = np.array([.485, .456, .406]), np.array([.229, .224, .225])
    seen = (patch / 255 - mean[:, None, None]) / std[:, None, None]
    wanted = np.tensordot(weight, seen, 3) + bias
    caffe_weight, caffe_bias = to_caffe_input(weight, bias)
    caffe_patch = patch[::-1] - np.array([104.0, 117.0, 123.0])[:, None, None]
    assert np.allclose(np.tensordot(caffe_weight, caffe_patch, 3) + caffe_bias, wanted, rtol=1e-4)


@given(st.lists(st.floats(0, 1e6), min_size=2, max_size=40), st.data())
def test_dealing_gives_both_groups_the_important_and_loses_none(values, data):
    importance = np.array(values)
    outputs = data.draw(st.integers(len(values), 2 * len(values)).filter(lambda n: n % 2 == 0))
    shared = outputs - len(values)
    groups = deal(importance, outputs)
    if (len(values) - shared) % 2:         # cannot be dealt out evenly; Table I's numbers can
        return
    assert [len(set(group)) for group in groups] == [outputs // 2] * 2
    assert set(groups[0]) | set(groups[1]) == set(range(len(values)))
    both = sorted(set(groups[0]) & set(groups[1]))
    assert len(both) == shared
    others = np.delete(importance, both)
    assert not both or not others.size or importance[both].min() >= others.max()


def test_student_starts_from_the_teachers_filters(tmp_path):
    rng = np.random.default_rng(2)
    shapes = {"conv1": (64, 3, 11, 11), "conv2": (192, 64, 5, 5), "conv3": (384, 192, 3, 3),
              "conv4": (256, 384, 3, 3), "conv5": (256, 256, 3, 3)}
    arrays = {}
    for name, shape in shapes.items():
        arrays[f"{name}_weight"] = rng.normal(size=shape).astype(np.float32)
        arrays[f"{name}_bias"] = rng.normal(size=shape[0]).astype(np.float32)
    np.savez(str(tmp_path / "teacher.npz"), **arrays)
    start = initial_student(read_conv_teacher(tmp_path / "teacher.npz"))
    assert {name: weight.shape for name, (weight, _) in start.blobs.items()} == {
        name: shape for name, shape in WEIGHT_SHAPES.items() if name in shapes}
    source = start.source
    assert np.array_equal(source["conv3"], np.arange(384))
    assert np.array_equal(source["conv5"], np.arange(256))
    # Filter 200 of conv2 is in the second group, which sees conv1's filters 48 to 95.
    assert np.array_equal(start.blobs["conv2"][0][200],
                          arrays["conv2_weight"][source["conv2"][200]][source["conv1"][48:]])
    # conv3 sees every copy of a conv2 filter; together they weigh what the teacher's does.
    total = np.zeros((384, 192, 3, 3))
    for copy, original in enumerate(source["conv2"]):
        total[:, original] += start.blobs["conv3"][0][:, copy]
    assert np.allclose(total, arrays["conv3_weight"], rtol=1e-5)
    del arrays["conv4_bias"]
    np.savez(str(tmp_path / "short.npz"), **arrays)
    with pytest.raises(InputError, match="short.npz"):
        read_conv_teacher(tmp_path / "short.npz")


def test_crops_are_inside_the_image_and_less_the_mean(tmp_path):
    import cv2

    image = np.full((200, 400, 3), (10, 20, 30), dtype=np.uint8)
    cv2.imwrite(str(tmp_path / "a.png"), image)
    crops = Crops(tmp_path, smallest_crop=0.5)
    assert [crop.shape for crop in crops.images] == [(160, 320, 3)]
    batch = crops.batch(np.array([0, 0]), np.random.default_rng(0))
    assert batch.shape == (2, 3, 227, 227) and batch.dtype == np.float32
    assert np.allclose(batch, np.array([10 - 104, 20 - 117, 30 - 123])[:, None, None])


def test_bad_image_folders_are_refused(tmp_path):
    with pytest.raises(InputError, match="no .jpg or .png"):
        Crops(tmp_path, 0.5)
    (tmp_path / "broken.jpg").write_bytes(b"not a picture")
    with pytest.raises(InputError, match="broken.jpg"):
        Crops(tmp_path, 0.5)


def test_distilling_without_pytorch_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "layerwise.standin_recipe", None)
    with pytest.raises(InputError, match="needs PyTorch"):
        distil(tmp_path, tmp_path, tmp_path, tmp_path / "out.npz", tmp_path / "work")
    assert list(tmp_path.iterdir()) == []
