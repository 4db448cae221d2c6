"""What a run costs, in multiply-adds: the scale that tells a deep run from an fc8 run.

One pass (forward, gradient of the weights, gradient of the inputs) of a batch through a layer is
taken as its multiply-adds for every patch, and PARAMETER_WORK for every parameter, which has to
come from memory whatever the batch (FROZEN_WORK where it is only read). A test holds the ratios
between the depths to the committed benchmark, where an iteration of fc8 took 0.012 s and one of
conv1 1.1 s.
"""
from __future__ import annotations

import heapq
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from layerwise import alexnet, dense, prefix, score
from layerwise.depths import DEPTHS, LAYERS
from layerwise.frozen import Item, sets_of
from layerwise.prepared import patches_in
from layerwise.runs import Run
from layerwise.tasks import task_named

PARAMETER_WORK = 40.0      # multiply-adds that moving one parameter through memory is worth
FROZEN_WORK = 24.0         # the same of one that is read, but not updated
CLASSES = 2                # of the last layer; whether 2 or 3 is of no weight
Stored = Collection[tuple[str, str]]     # (set, blob) whose activations are computed once


@dataclass(frozen=True)
class Cost:
    """Work of one run; a run without a network has none.

    Attributes:
        step: of one iteration.
        validation: of measuring the validation set once.
        patch: of scoring one patch of the test set.
    """

    iterations: int
    evaluate_every: int
    test_patches: int
    step: float
    validation: float
    patch: float

    def trained(self, iteration: int) -> float:
        """Work of the training up to an iteration, the validation at it included."""
        due = iteration // self.evaluate_every
        due += iteration == self.iterations and iteration % self.evaluate_every > 0
        return iteration * self.step + (1 + due) * self.validation

    @property
    def training(self) -> float:
        """Work of the whole training."""
        return self.trained(self.iterations)

    @property
    def total(self) -> float:
        """Work of training and scoring."""
        return self.training + self.test_patches * self.patch


NOTHING = Cost(0, 1, 0, 0.0, 0.0, 0.0)


def cost_of(run: Run, sizes: Mapping[str, int], stored: Stored) -> Cost:
    """Work of a run that trains on the stored activations where there are some.

    Args:
        sizes: patches in each set that the run reads.
    """
    if run.init not in DEPTHS:
        return NOTHING
    depth = DEPTHS[run.init]
    train, validation, test = sets_of(run)
    blob = prefix.boundary(depth)
    tail = blob if {(train, blob), (validation, blob)} <= set(stored) else None
    scored_from = first_layer(tail if (test, blob) in stored else None)
    patch = dense.work_per_pixel(len(run.classes)) if task_named(run.task).by_region \
        else forward_patch(scored_from)
    return Cost(run.iterations, run.evaluate_every, sizes[test],
                step(first_layer(tail), depth.first_tuned, run.batch_size),
                sizes[validation] * forward_patch(first_layer(tail)),
                patch)


def set_sizes(prepared: Path, runs: Sequence[Run]) -> dict[str, int]:
    """Patches in each set that these runs read: those of `patches_in`."""
    return {name: patches_in(prepared / name)
            for name in sorted({name for run in runs for name in sets_of(run)})}


def first_layer(blob: str | None) -> str:
    """The first layer that is computed when the activations of `blob` are stored."""
    return alexnet.layers_above(blob)[0]


def step(first: str, first_tuned: str, batch: int) -> float:
    """Work of one training iteration that computes the layers from `first` on."""
    work = 0.0
    for name, passes in _passes(first, first_tuned).items():
        multiplications, parameters = _layer(name)
        moving = PARAMETER_WORK if passes > 1 else FROZEN_WORK
        work += passes * (batch * multiplications + moving * parameters)
    return work


def forward_patch(first: str) -> float:
    """Work of a forward pass from layer `first` on, for each patch of a batch of `score.BATCH`."""
    return sum(multiplications + PARAMETER_WORK * parameters / score.BATCH
               for multiplications, parameters in map(_layer, LAYERS[LAYERS.index(first):]))


def storing(items: Sequence[Item]) -> float:
    """Work of computing activations: each set once, up to its last boundary."""
    whole = forward_patch(LAYERS[0])
    by_set: dict[str, float] = {}
    for item in items:
        work = item.patches * (whole - forward_patch(first_layer(item.blob)))
        by_set[item.name] = max(work, by_set.get(item.name, 0.0))
    return sum(by_set.values())


def makespan(works: Sequence[float], workers: int) -> float:
    """When the last of some jobs ends: taken in order, each by the worker that is free first."""
    free = [0.0] * max(1, min(workers, len(works)))
    for work in works:
        heapq.heapreplace(free, free[0] + work)
    return max(free)


def _passes(first: str, first_tuned: str) -> dict[str, int]:
    """Passes through each computed layer: forward; weights' gradient; inputs' gradient."""
    computed, tuned = LAYERS.index(first), LAYERS.index(first_tuned)
    return {name: 1 + (place >= tuned) + (place > tuned)
            for place, name in enumerate(LAYERS) if place >= computed}


def _layer(name: str) -> tuple[int, int]:
    """Multiply-adds for one patch, and number of weights."""
    weight, _ = alexnet.parameter_shapes(CLASSES)[name]
    return alexnet.multiply_adds(name, CLASSES), math.prod(weight)
