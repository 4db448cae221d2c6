"""Finding and checking source weights, and the report of what a network takes from them."""
from __future__ import annotations

import hashlib

import pytest
import tiny

from layerwise import weights
from layerwise.errors import InputError


@pytest.fixture(scope="module")
def source_weights(narrow_table, tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "random.caffemodel"
    tiny.write_weights(path)
    return path


def messages():
    from caffe.proto import caffe_pb2
    return caffe_pb2


def test_a_caffemodel_of_table_i_is_taken_and_called_a_stand_in(source_weights, tmp_path):
    source = weights.find_source(source_weights, tmp_path)
    assert source.sha1 == hashlib.sha1(source_weights.read_bytes()).hexdigest()
    assert (source.path, source.name) == (source_weights, "random")
    assert "not bvlc_alexnet" in source.stand_in


def test_bvlc_alexnet_in_the_data_folder_comes_first_and_its_sha1_counts(
        tmp_path, monkeypatch):
    bundled = tmp_path / "bvlc_alexnet.caffemodel"
    bundled.write_bytes(b"weights")
    with pytest.raises(InputError, match="SHA-1 is .*, bvlc_alexnet's is 9116a64"):
        weights.find_source(None, tmp_path)
    monkeypatch.setattr(weights, "BVLC_ALEXNET_SHA1", hashlib.sha1(b"weights").hexdigest())
    source = weights.find_source(None, tmp_path)
    assert (source.path, source.name, source.stand_in) == (bundled, "bvlc_alexnet", None)


@pytest.mark.parametrize("damage, message", [
    (lambda raw: raw[:len(raw) // 2], "truncated or not a caffemodel"),
    (lambda raw: b"", "holds no weights"),
    (lambda raw: b"\x89PNG" + raw[:100], "not a caffemodel|holds no weights"),
], ids=["truncated", "empty", "other"])
def test_damaged_files_are_refused(source_weights, tmp_path, damage, message):
    path = tmp_path / "damaged.caffemodel"
    path.write_bytes(damage(source_weights.read_bytes()))
    with pytest.raises(InputError, match=message) as caught:
        weights.find_source(path, tmp_path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(InputError, match="no such weights file"):
        weights.find_source(tmp_path / "none.caffemodel", tmp_path)


def test_caffenet_is_recognised_by_its_order(tmp_path):
    net = messages().NetParameter(name="CaffeNet")
    for name in ("conv1", "pool1", "norm1"):
        net.layer.add(name=name)
    net.layer[0].blobs.add().shape.dim.append(1)
    with pytest.raises(InputError, match="CaffeNet, which pools before it normalises"):
        weights.check_table_i(tmp_path, net)


def test_one_column_alexnet_is_refused_with_both_shapes(tmp_path):
    net = messages().NetParameter()
    layer = net.layer.add(name="conv1")
    for shape in ((64, 3, 11, 11), (64,)):
        layer.blobs.add().shape.dim.extend(shape)
    with pytest.raises(InputError, match=r"conv1 has blobs \[\(64, 3, 11, 11\), \(64,\)\], Table"):
        weights.check_table_i(tmp_path, net)


def old_format(path, version):
    """The same weights in the V1 format (four-dimensional blobs), or in V0 inside V1."""
    new, old = messages().NetParameter.FromString(path.read_bytes()), messages().NetParameter()
    kinds = {"Convolution": 4, "InnerProduct": 14}
    for layer in new.layer:
        outer = old.layers.add()
        inner = outer
        if version == 0:
            inner = outer.layer
            inner.type = {"Convolution": "conv", "InnerProduct": "innerproduct"}[layer.type]
        else:
            inner.type = kinds[layer.type]
        inner.name = layer.name
        for blob in layer.blobs:
            dims = (1,) * (4 - len(blob.shape.dim)) + tuple(blob.shape.dim)
            copy = inner.blobs.add(num=dims[0], channels=dims[1], height=dims[2], width=dims[3])
            copy.data.extend(blob.data)
    return old


@pytest.mark.parametrize("version", [0, 1])
def test_old_formats_load_in_caffe_and_report_the_same(source_weights, tmp_path, version):
    import caffe

    from layerwise import alexnet
    from layerwise.generate import text_of

    old = tmp_path / "old.caffemodel"
    old.write_bytes(old_format(source_weights, version).SerializeToString())
    assert weights.find_source(old, tmp_path).path == old
    reports = [weights.transfer_report(weights.read_caffemodel(path), "fc8_polyp", 2)
               for path in (old, source_weights)]
    assert [row for row in reports[0] if row.action != "dropped"] == [
        row for row in reports[1] if row.action != "dropped"]
    net_path = tmp_path / "deploy.prototxt"
    net_path.write_text(text_of(alexnet.deploy("n", "fc8_polyp", 2, 1)))
    nets = [caffe.Net(str(net_path), caffe.TEST, weights=str(path))
            for path in (old, source_weights)]
    for layer in ("conv1", "conv5", "fc6", "fc7"):
        assert nets[0].params[layer][0].data.any()
        assert (nets[0].params[layer][0].data == nets[1].params[layer][0].data).all()


def test_mean_image_becomes_channel_means(tmp_path):
    path = tmp_path / "mean.binaryproto"
    blob = messages().BlobProto(num=1, channels=3, height=1, width=2, data=[1, 3, 10, 20, 7, 7])
    path.write_bytes(blob.SerializeToString())
    assert weights.read_mean(path) == (2.0, 15.0, 7.0)
    path.write_bytes(messages().BlobProto(num=1, channels=3, height=1, width=3, data=[
        104, 104, 104.0575, *[1] * 6]).SerializeToString())
    assert weights.read_mean(path)[0] == 104.0192         # as a prototxt says it
    path.write_bytes(messages().BlobProto(num=1, channels=1, height=1, width=1,
                                          data=[1]).SerializeToString())
    with pytest.raises(InputError, match="a mean image is 1x3xHxW, BGR"):
        weights.read_mean(path)
    path.write_bytes(b"\xff" * 40)
    with pytest.raises(InputError, match="not a mean image"):
        weights.read_mean(path)


def test_transfer_report(source_weights):
    report = weights.transfer_report(weights.read_caffemodel(source_weights), "fc8_polyp", 2)
    actions = {(row.layer, row.blob): (row.action, row.shape) for row in report}
    assert len(report) == len(actions) == 18
    assert actions["conv1", 0] == ("copied", (8, 3, 11, 11))
    assert actions["fc7", 1] == ("copied", (32,))
    assert actions["fc8_polyp", 0] == ("re-initialised", (2, 32))
    assert actions["fc8", 0] == ("dropped", (1000, 32))
    assert [row.action for row in report].count("copied") == 14
