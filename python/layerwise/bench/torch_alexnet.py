"""Table I in PyTorch, timed as an ordinary program would train it; PyTorch is optional.

`python3 -m layerwise.bench.torch_alexnet REQUEST` prints JSON. PyTorch's own layers throughout:
grouped convolutions, local response normalisation, pooling that rounds up as Caffe's does.
"""
from __future__ import annotations

import json
import sys
import time
from typing import Any

import torch
from torch import nn

from layerwise.alexnet import DROPOUT, INPUT_SHAPE, LRN, MEAN_BGR, TABLE_I
from layerwise.depths import BIAS_FACTOR, LAYERS, MOMENTUM, Depth, depth_named
from layerwise.solver import WEIGHT_DECAY

CLASSES = 2


def network() -> nn.Sequential:
    """Table I; layers with weights have Table I's names."""
    net = nn.Sequential()
    for row in TABLE_I:
        if row.type == "max pooling":
            net.add_module(row.name, nn.MaxPool2d(row.kernel, row.stride, ceil_mode=True))
            continue
        if row.type == "convolution":
            net.add_module(row.name, nn.Conv2d(row.inputs[0], row.outputs, row.kernel, row.stride,
                                               row.pad, groups=row.group))
        else:
            if row.name == "fc6":
                net.add_module("flatten", nn.Flatten())
            net.add_module(row.name, nn.Linear(row.inputs[0] * row.inputs[1] * row.inputs[2],
                                               row.outputs or CLASSES))
        if row.name == LAYERS[-1]:
            continue
        net.add_module(f"{row.name}_relu", nn.ReLU(inplace=True))
        if row.lrn:
            net.add_module(f"{row.name}_norm", nn.LocalResponseNorm(
                int(LRN["local_size"]), LRN["alpha"], LRN["beta"]))
        if row.type == "fully connected":
            net.add_module(f"{row.name}_drop", nn.Dropout(DROPOUT))
    return net


def optimizer(net: nn.Sequential, depth: Depth) -> torch.optim.SGD:
    """Stochastic gradient descent with Table II's rates; frozen layers get no gradients."""
    groups: list[dict[str, Any]] = []
    for name, rate in depth.rates().items():
        layer = net.get_submodule(name)
        if not rate:
            layer.requires_grad_(False)
            continue
        groups += [{"params": [layer.weight], "lr": rate, "weight_decay": WEIGHT_DECAY},
                   {"params": [layer.bias], "lr": BIAS_FACTOR * rate}]
    return torch.optim.SGD(groups, lr=0.0, momentum=MOMENTUM)


def steps(depth: Depth, batch_size: int, threads: int, warm_up: int, timed: int) -> list[float]:
    """Seconds of each training step after the warm-up, on uint8 patches held in memory."""
    torch.set_num_threads(threads)
    torch.manual_seed(1)
    net = network().train()
    solver, loss = optimizer(net, depth), nn.CrossEntropyLoss()
    patches = torch.randint(0, 256, (batch_size, *INPUT_SHAPE), dtype=torch.uint8)
    labels = torch.arange(batch_size) % CLASSES
    mean = torch.tensor(MEAN_BGR).reshape(1, -1, 1, 1)
    clock = []
    for _ in range(warm_up + timed):
        start = time.perf_counter()
        solver.zero_grad(set_to_none=True)
        loss(net(patches.float() - mean), labels).backward()
        solver.step()
        clock.append(time.perf_counter() - start)
    return clock[warm_up:]


def main(text: str) -> None:
    """Print {"version", "seconds"} for a request."""
    request = json.loads(text)
    seconds = steps(depth_named(request["depth"]), request["batch_size"], request["threads"],
                    request["warm_up"], request["steps"])
    print(json.dumps({"version": torch.__version__, "seconds": seconds}))


if __name__ == "__main__":
    main(sys.argv[1])
