"""The solver: stochastic gradient descent with momentum as in Eq. (2), as a Caffe message."""
from __future__ import annotations

import math
from typing import Any

from layerwise.depths import BASE_LR, GAMMA, MOMENTUM

WEIGHT_DECAY = 0.0005      # bvlc_alexnet's; not stated in the paper


def step_size(train_images: int, batch_size: int) -> int:
    """Iterations per epoch, ceil(|X| / N): gamma multiplies the rate once per epoch (Eq. 2)."""
    return math.ceil(train_images / batch_size)


def learning_rate(iteration: int, step: int) -> float:
    """Base learning rate in force at an iteration (counted from 0)."""
    return BASE_LR * GAMMA ** (iteration // step)


def solver(net: str, train_images: int, batch_size: int, iterations: int, snapshot_prefix: str,
           seed: int, snapshot_every: int = 0) -> Any:
    """The solver message.

    Validation is not the solver's business: Caffe has no AUC, and its test_iter would not cover
    a set that is no multiple of the batch. `layerwise train` steps the solver and scores itself.

    Args:
        net: path of the train_val prototxt.
        train_images: |X|, the number of training images.
        batch_size: N.
        snapshot_every: iterations between Caffe's own snapshots, for `caffe train`; 0 = only
            at the end.

    Returns:
        caffe_pb2.SolverParameter.
    """
    from caffe.proto import caffe_pb2

    return caffe_pb2.SolverParameter(
        net=net, type="SGD", base_lr=BASE_LR, momentum=MOMENTUM, weight_decay=WEIGHT_DECAY,
        lr_policy="step", gamma=GAMMA, stepsize=step_size(train_images, batch_size),
        max_iter=iterations, display=20, average_loss=20, snapshot=snapshot_every,
        snapshot_prefix=snapshot_prefix, random_seed=seed,
        solver_mode=caffe_pb2.SolverParameter.CPU)
