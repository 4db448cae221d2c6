"""Table I in PyTorch has Caffe's shapes and freezes what Table II freezes."""
from __future__ import annotations

import pytest

from layerwise import alexnet
from layerwise.depths import DEPTHS, LAYERS

torch = pytest.importorskip("torch", reason="PyTorch, an optional extra, is not here")


def test_shapes_and_rates() -> None:
    from layerwise.bench.torch_alexnet import network, optimizer

    net = network()
    for name, (weight, bias) in alexnet.parameter_shapes(2).items():
        layer = net.get_submodule(name)
        assert tuple(layer.weight.shape) == weight and tuple(layer.bias.shape) == bias
    assert net(torch.zeros(1, 3, 227, 227)).shape == (1, 2)
    solver = optimizer(net, DEPTHS["fc7"])
    assert [group["lr"] for group in solver.param_groups] == pytest.approx([.001, .002, .01, .02])
    assert [name for name in LAYERS if net.get_submodule(name).weight.requires_grad] == [
        "fc7", "fc8"]


def test_a_step_takes_time() -> None:
    from layerwise.bench.torch_alexnet import steps

    clock = steps(DEPTHS["fc8"], batch_size=1, threads=1, warm_up=1, timed=2)
    assert len(clock) == 2 and min(clock) > 0
