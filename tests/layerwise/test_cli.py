"""The command line as a user meets it: help, order of making things, and one line per error."""
from __future__ import annotations

import os
import subprocess
import sys

import pytest
import tiny
from caffe.proto import caffe_pb2
from click.testing import CliRunner

from layerwise.cli import main


def layerwise(*arguments: str):
    return CliRunner().invoke(main, arguments)


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "layerwise", *arguments], text=True,
                          capture_output=True, env={**os.environ, **environment})


@pytest.mark.parametrize("verb", sorted(main.commands))
def test_every_verb_explains_itself(verb):
    result = layerwise(verb, "--help")
    assert result.exit_code == 0
    assert main.commands[verb].help.split("\n")[0].rstrip(".")[:40] in result.output


@pytest.mark.parametrize("arguments, message", [
    (["train", "polyps", "conv1"], "unknown task 'polyps'; the tasks are polyp, pe, frames, cimt"),
    (["train", "polyp", "conv6"], "unknown depth 'conv6'"),
    (["sweep", "polyp", "--depths", ""], "unknown depth ''"),
    (["train", "polyp", "fc8", "--profile", "huge"], "unknown profile 'huge'; the profiles are"),
    (["sweep", "polyp", "--seeds", "1,two"], "'1,two' is no list of different integers from 1"),
    (["sweep", "polyp", "--seeds", "1,1"], "'1,1' is no list of different integers"),
    (["train", "polyp", "fc8", "--learning-rate", "1"], "no such option: --learning-rate"),
    (["train", "polyp"], "Missing argument 'DEPTH'"),
    (["train", "polyp", "fc8", "--gpu", "0"], "--gpu 0: "),
    (["train", "polyp", "fc8", "--weights", "none.caffemodel"],
     "none.caffemodel: no such weights file"),
    (["weights", "polyp", "--weights", "README.md"], "README.md: "),
    (["train", "polyp", "scratch", "--images", "nowhere"], "nowhere"),
    (["figures", "nowhere"], "nowhere"),
    (["train", "polyp", "conv1", "--patch-side", "64"], "--patch-side is for task cimt"),
    (["recommend", "cimt"], "recommend is not for task cimt"),
    (["recommend", "own"], "name your images by --images"),
    (["export", "nowhere", "--out", "there"], "nowhere"),
])
def test_one_clear_line_and_exit_code_2(arguments, message, tmp_path, project, monkeypatch):
    monkeypatch.chdir(project)
    data, runs = tmp_path / "data", tmp_path / "runs"
    done = run(*arguments, LAYERWISE_DATA=str(data), LAYERWISE_RUNS=str(runs))
    assert done.returncode == 2
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("layerwise: ")
    assert message.lower() in lines[0].lower()
    assert not runs.exists() and not data.exists()


@pytest.mark.usefixtures("narrow_table")
def test_a_network_trained_on_the_task_is_no_source(tmp_path):
    tiny.write_weights(tmp_path / "w.caffemodel")
    net = caffe_pb2.NetParameter.FromString((tmp_path / "w.caffemodel").read_bytes())
    last = net.layer[-1]
    last.name, last.blobs[0].shape.dim[0], last.blobs[1].shape.dim[0] = "fc8_polyp", 2, 2
    for blob in last.blobs:
        del blob.data[2 * len(blob.data) // 1000:]
    (tmp_path / "w.caffemodel").write_bytes(net.SerializeToString())
    result = layerwise("train", "polyp", "fc8", "--weights", str(tmp_path / "w.caffemodel"),
                       "--data", str(tmp_path / "data"), "--runs", str(tmp_path / "runs"))
    assert result.exit_code == 2
    assert "holds fc8_polyp, so it was trained on this task" in result.output
    assert not (tmp_path / "data").exists() and not (tmp_path / "runs").exists()
