"""Dense confidence maps against one forward pass per pixel."""
from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
import tiny

from layerwise import alexnet, dense
from layerwise.generate import text_of
from layerwise.regions import CONTEXT_PX, PATCH_PX, Region, margin_for

MEAN = (104.0, 117.0, 123.0)
LAST, CLASSES = "fc8_cimt", 3


def region(rows, columns, side=32, seed=0):
    margin = margin_for(side)
    noise = np.random.default_rng(seed).uniform(0, 255, (rows + 2 * margin, columns + 2 * margin))
    image = cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 2.0), None, 0, 255, cv2.NORM_MINMAX)
    return Region("r", "g", image.astype(np.uint8), np.zeros((2, columns)), 50.0, margin, side)


def load(message, folder, weights=None):
    import caffe

    path = folder / f"{message.name}.prototxt"
    path.write_text(text_of(message))
    net = caffe.Net(str(path), caffe.TEST, **({"weights": str(weights)} if weights else {}))
    rng = np.random.default_rng(3)      # an fc8 whose answers vary
    net.params[LAST][0].data[...] = rng.normal(0, 0.1, net.params[LAST][0].data.shape)
    return net


@pytest.fixture(scope="module")
def weights(narrow_table, tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "random.caffemodel"
    tiny.write_weights(path, scale=1.5)
    return path


@pytest.fixture(scope="module")
def padded(weights, tmp_path_factory):
    """Table I's network."""
    return load(alexnet.deploy("padded", LAST, CLASSES, 1), tmp_path_factory.mktemp("n"), weights)


@pytest.fixture(scope="module")
def unpadded(weights, tmp_path_factory):
    """The same without padding, for patches so large that fc6 has its 6x6 inputs."""
    message = alexnet.deploy("unpadded", LAST, CLASSES, 1)
    for layer in message.layer:
        if layer.type == "Convolution":
            layer.convolution_param.ClearField("pad")
    message.layer[0].input_param.shape[0].dim[2:] = [CONTEXT_PX, CONTEXT_PX]
    return load(message, tmp_path_factory.mktemp("n"), weights)


@pytest.mark.parametrize("fine, scale", [(False, 1 / 16), (True, 1 / 8)])
def test_without_padding_every_pixel_is_what_its_patch_gives(unpadded, padded, fine, scale):
    """Enlarged 16 or 8 times, so that a step is a pixel."""
    one = region(5, 8)
    expected = np.empty((CLASSES, *one.roi.shape))
    for y in range(one.roi.shape[0]):
        for x in range(one.roi.shape[1]):
            first = (1 - CONTEXT_PX) / 2 * scale + one.margin
            patch = cv2.warpAffine(
                one.image, np.array([[scale, 0, x + first], [0, scale, y + first]]),
                (CONTEXT_PX, CONTEXT_PX), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
                borderMode=cv2.BORDER_REPLICATE)
            unpadded.blobs["data"].data[0] = patch - np.array(MEAN).reshape(3, 1, 1)
            expected[:, y, x] = unpadded.forward()["prob"].ravel()
    assert expected.std(axis=(1, 2)).min() > 0.01          # or the comparison would say nothing
    maps = dense.Convolutional(padded, fine).maps(one, MEAN, side=PATCH_PX * scale)
    assert maps.shape == expected.shape and maps.dtype == np.float32
    assert np.abs(maps - expected).max() < 1e-4


@pytest.mark.parametrize("fine", [False, True])
def test_tiles_make_no_difference(padded, monkeypatch, fine):
    """OpenCV rounds places to 1/32 of a pixel; these are multiples of that."""
    one, net = region(9, 13), dense.Convolutional(padded, fine)
    side = PATCH_PX / (8 if fine else 16)
    whole = net.maps(one, MEAN, side)
    monkeypatch.setattr(dense, "TILE", 4)
    assert np.abs(net.maps(one, MEAN, side) - whole).max() < 1e-5


def test_context_is_what_the_layers_see():
    """From fc6 down: one output sees kernel + (outputs - 1) stride inputs, without padding."""
    side = 6
    for row in reversed(alexnet.TABLE_I):
        if row.type != "fully connected":
            side = (side - 1) * row.stride + row.kernel
    assert side == CONTEXT_PX


@pytest.mark.parametrize("size, step", [(1, 1.0), (60, 1.0), (92, 1.128), (7, 1.0), (33, 2.3)])
def test_grids_hold_the_region(size, step):
    for multiple in (2, 1):
        grid = dense._grid(size, step, multiple)
        assert len(grid) % multiple == 0 and len(grid) >= 2 and np.allclose(np.diff(grid), step)
        assert -step < grid[0] <= 1e-9 and size - 1 - 1e-9 <= grid[-1] < size - 1 + 2 * step
    weights = dense._weights(size, grid)
    assert np.allclose(weights @ grid, np.arange(size)) and np.allclose(weights.sum(axis=1), 1)
    assert (weights >= -1e-9).all()


def test_multiplications_are_those_of_the_nets(padded):
    net = dense.Convolutional(padded)
    net.maps(region(8, 12), MEAN, side=PATCH_PX / 16)
    counted = 0
    for part in net._nets:
        for name, blobs in part.params.items():
            outputs = part.blobs[name].data.shape
            counted += math.prod(blobs[0].data.shape) * outputs[0] * outputs[2] * outputs[3]
    assert dense.multiplications(8, 12, CLASSES) == counted
