"""Tables I and II: against the paper's numbers, against Caffe, and against the committed files."""
from __future__ import annotations

import math
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest

from layerwise import alexnet, solver
from layerwise.depths import BASE_LR, DEPTHS, LAYERS, depth_named
from layerwise.errors import InputError
from layerwise.generate import committed, generate, text_of
from layerwise.tasks import TASKS

# Output shapes of Table I, typed from the paper.
PAPER_OUTPUTS = {
    "conv1": (96, 55, 55), "pool1": (96, 27, 27), "conv2": (256, 27, 27), "pool2": (256, 13, 13),
    "conv3": (384, 13, 13), "conv4": (384, 13, 13), "conv5": (256, 13, 13), "pool5": (256, 6, 6),
    "fc6": (4096,), "fc7": (4096,)}
# Weights and biases of BVLC AlexNet's layers (two groups in conv2, conv4, conv5), by hand.
PARAMETERS = {
    "conv1": 96 * 3 * 121 + 96, "conv2": 256 * 48 * 25 + 256, "conv3": 384 * 256 * 9 + 384,
    "conv4": 384 * 192 * 9 + 384, "conv5": 256 * 192 * 9 + 256, "fc6": 4096 * 9216 + 4096,
    "fc7": 4096 * 4096 + 4096}
# Table II, typed from the paper: first tuned layer, its rate, and fc8's.
PAPER_RATES = {"fc8": (.01, .01), "fc7": (.001, .01), "fc6": (.001, .01), "conv5": (.001, .01),
               "conv4": (.001, .01), "conv3": (.001, .01), "conv2": (.001, .01),
               "conv1": (.001, .01), "scratch-gaussian": (.001, .001)}


@pytest.mark.parametrize("task", TASKS.values(), ids=lambda task: task.name)
def test_caffe_reports_table_i(task, tmp_path):
    import caffe

    path = tmp_path / "deploy.prototxt"
    path.write_text(text_of(alexnet.deploy("n", task.last_layer, len(task.classes), 1)))
    net = caffe.Net(str(path), caffe.TEST)
    for name, shape in PAPER_OUTPUTS.items():
        assert net.blobs[name].data.shape[1:] == shape
    assert net.blobs["prob"].data.shape == (1, len(task.classes))
    counts = {name: sum(blob.count for blob in blobs) for name, blobs in net.params.items()}
    assert counts == {**PARAMETERS, task.last_layer: len(task.classes) * 4097}
    shapes = alexnet.parameter_shapes(len(task.classes))
    assert {name.split("_")[0]: tuple(tuple(blob.data.shape) for blob in blobs)
            for name, blobs in net.params.items()} == shapes


def test_rows_agree_with_one_another():
    assert [row.inputs[1:] for row in alexnet.TABLE_I[1:-2]] == [
        (row.side, row.side) for row in alexnet.TABLE_I[:-3]]


@pytest.mark.parametrize("name", PAPER_RATES)
def test_rates_are_table_ii(name):
    tuned, last = PAPER_RATES[name]
    first = LAYERS.index(name) if name in LAYERS else 0
    expected = [0.0] * first + [tuned] * (8 - first)
    expected[-1] = last
    assert list(DEPTHS[name].rates().values()) == expected


@pytest.mark.parametrize("task", TASKS.values(), ids=lambda task: task.name)
@pytest.mark.parametrize("depth", DEPTHS.values(), ids=lambda depth: depth.name)
def test_effective_rate_of_every_blob(task, depth):
    net = alexnet.train_val("n", task.last_layer, len(task.classes), depth, {})
    message = solver.solver("n", 100, 10, 1, "s", 1)
    learned = {layer.name: layer.param for layer in net.layer if layer.param}
    assert [name.split("_")[0] for name in learned] == list(LAYERS)
    for name, blocks in learned.items():
        rate = depth.rates()[name.split("_")[0]]
        assert [block.lr_mult * message.base_lr for block in blocks] == pytest.approx(
            [rate, 2 * rate])
        assert [block.decay_mult for block in blocks] == ([1, 0] if rate else [0, 0])


def test_layers_in_the_order_of_bvlc_alexnet():
    net = alexnet.train_val("n", "fc8_polyp", 2, depth_named("conv1"), {})
    assert [layer.name for layer in net.layer] == [
        "conv1", "relu1", "norm1", "pool1", "conv2", "relu2", "norm2", "pool2", "conv3", "relu3",
        "conv4", "relu4", "conv5", "relu5", "pool5", "fc6", "relu6", "drop6", "fc7", "relu7",
        "drop7", "fc8_polyp", "accuracy", "loss"]
    by_name = {layer.name: layer for layer in net.layer}
    assert by_name["pool1"].bottom == ["norm1"] and by_name["norm1"].bottom == ["conv1"]
    assert [by_name[f"conv{n}"].convolution_param.group for n in range(1, 6)] == [1, 2, 1, 2, 2]
    assert by_name["norm2"].lrn_param.local_size == 5
    assert by_name["drop6"].dropout_param.dropout_ratio == 0.5


@pytest.mark.parametrize("filler, spread", [
    ("gaussian", 0.01), ("xavier", 1 / math.sqrt(363)), ("msra", math.sqrt(2 / 363))])
def test_caffe_draws_the_initialiser(filler, spread, tmp_path):
    """Standard deviation of conv1's weights, fan-in 3 x 11 x 11 = 363 (xavier: uniform)."""
    import caffe

    net = alexnet.train_val("n", "fc8_polyp", 2, DEPTHS[f"scratch-{filler}"], {})
    layer = next(layer for layer in net.layer if layer.name == "conv1")
    from caffe.proto import caffe_pb2

    alone = caffe_pb2.NetParameter()
    alone.layer.add(name="data", type="Input", top=["data"]).input_param.shape.add(
        dim=[1, 3, 227, 227])
    alone.layer.add().CopyFrom(layer)
    path = tmp_path / "net.prototxt"
    path.write_text(text_of(alone))
    caffe.set_random_seed(3)
    weights = caffe.Net(str(path), caffe.TEST).params["conv1"][0].data
    assert np.std(weights) == pytest.approx(spread, rel=0.02)


def test_solver_is_equation_2():
    message = solver.solver("n", 80_000, 256, 10_000, "s", 1)
    assert (message.lr_policy, message.stepsize) == ("step", 313)
    assert [solver.learning_rate(t, 313) for t in (0, 312, 313, 626)] == pytest.approx(
        [BASE_LR, BASE_LR, BASE_LR * .95, BASE_LR * .9025])
    assert (message.momentum, message.gamma) == pytest.approx((0.9, 0.95))


def test_committed_files_are_the_generators_output(project, tmp_path):
    written = {path.relative_to(tmp_path): path.read_text() for path in generate(tmp_path)}
    found = {path.relative_to(project): path.read_text()
             for folder in ("prototxt", "solvers")
             for path in (project / folder).rglob("*.prototxt")}
    assert found == written


def test_text_holds_the_numbers_exactly():
    from caffe.proto import caffe_pb2
    from google.protobuf import text_format

    for task in TASKS.values():
        for depth in DEPTHS.values():
            net = alexnet.train_val("n", task.last_layer, len(task.classes), depth, {})
            assert text_format.Parse(text_of(net), caffe_pb2.NetParameter()) == net
    message = solver.solver("n", 80_000, 256, 10_000, "s", 1)
    assert text_format.Parse(text_of(message), caffe_pb2.SolverParameter()) == message


def test_depth_names():
    assert depth_named("scratch") is DEPTHS["scratch-gaussian"]
    with pytest.raises(InputError, match="unknown depth 'conv6'; the depths are fc8"):
        depth_named("conv6")


@pytest.mark.parametrize("depth", DEPTHS)
def test_caffe_accepts_solver_and_freezes_the_prefix(depth, prepared, tmp_path):
    """`caffe train` on the committed polyp solver, its data replaced by a tiny LMDB.

    Its log must say of exactly the layers before the first tuned one that they need no backward
    computation. Constant fillers spare drawing 57 million random numbers.
    """
    from caffe.proto import caffe_pb2
    from google.protobuf import text_format

    files = committed(TASKS["polyp"])
    net = text_format.Parse(files[Path(f"prototxt/polyp/{depth}_train_val.prototxt")],
                            caffe_pb2.NetParameter())
    for layer in net.layer:
        if layer.type == "Data":
            layer.data_param.source, layer.data_param.batch_size = str(
                prepared / "train-100" / "lmdb"), 1
        for settings in (layer.convolution_param, layer.inner_product_param):
            if settings.HasField("weight_filler"):
                settings.weight_filler.Clear()
    message = text_format.Parse(files[Path(f"solvers/polyp/{depth}.prototxt")],
                                caffe_pb2.SolverParameter())
    message.net, message.snapshot_prefix = str(tmp_path / "net.prototxt"), str(tmp_path / "s")
    message.max_iter, message.snapshot_after_train = 0, False
    (tmp_path / "net.prototxt").write_text(text_of(net))
    (tmp_path / "solver.prototxt").write_text(text_of(message))
    done = subprocess.run(["caffe", "train", f"--solver={tmp_path / 'solver.prototxt'}"],
                          stderr=subprocess.PIPE, text=True,
                          env={"PATH": "/usr/bin:/bin", "GLOG_minloglevel": "0"})
    assert done.returncode == 0, done.stderr[-2000:]
    idle = set(re.findall(r"\] (\S+) does not need backward computation", done.stderr))
    learned = {layer: "fc8_polyp" if layer == "fc8" else layer for layer in LAYERS}
    assert {layer for layer, name in learned.items() if name in idle} == set(
        DEPTHS[depth].frozen)
