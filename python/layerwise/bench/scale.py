"""How much the benchmark measures: one row for results, one for rehearsing every step."""
from __future__ import annotations

from dataclasses import dataclass

from layerwise.depths import SWEEP

TASK = "polyp"


@dataclass(frozen=True)
class Scale:
    """Sizes of all parts of the benchmark.

    Attributes:
        profile: of the phantom that is trained on, and of the sweep.
        depths: configurations of the sweep.
        iterations, evaluate_every: of the sweep; None as the profile has them.
        batch_size: images per training iteration.
        test_batch: images per batch of plain Caffe's test phase.
        warm_up: iterations left out at the start of each training.
        plain: iterations of plain Caffe that are timed.
        test_batches: batches of its test phase that are timed, as one sample.
        whole: iterations of ours that are timed, all layers computed in each.
        tail: the same above stored activations; `windows` samples are made of them.
        torch_depths, torch: configurations compared with PyTorch, iterations timed.
        patches: in an LMDB that is built; `single`: with one transaction for each.
        scored: patches whose scoring is timed.
        side_by_side: runs of ours at the same time; None as many as there are cores.
        repeats: of builds, scorings, PyTorch and Caffe in turn, and limits.
    """

    name: str
    profile: str
    depths: tuple[str, ...]
    iterations: int | None
    evaluate_every: int | None
    batch_size: int
    test_batch: int
    warm_up: int
    plain: int
    test_batches: int
    whole: int
    tail: int
    windows: int
    torch_depths: tuple[str, ...]
    torch: int
    patches: int
    single: int
    scored: int
    side_by_side: int | None
    repeats: int


FULL = Scale("full", "quick", SWEEP, iterations=None, evaluate_every=None, batch_size=32,
             test_batch=50, warm_up=2, plain=5, test_batches=2, whole=6, tail=50, windows=5,
             torch_depths=("fc8", "conv1"), torch=5, patches=4000, single=400, scored=160,
             side_by_side=None, repeats=3)
TINY = Scale("tiny", "mini", ("fc8",), iterations=1, evaluate_every=1, batch_size=16, test_batch=2,
             warm_up=1, plain=2, test_batches=1, whole=1, tail=7, windows=1,
             torch_depths=("fc8",), torch=1, patches=48, single=8, scored=8,
             side_by_side=1, repeats=1)
SCALES = {scale.name: scale for scale in (FULL, TINY)}
