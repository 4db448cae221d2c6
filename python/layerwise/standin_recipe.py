"""The distillation that makes the stand-in weights. Needs PyTorch (the optional extra `standin`).

Two stages, both on random crops of natural images:

1. conv1 to conv5 start as the teacher's (`standin_init`) and regress the teacher's conv3 and pool5.
2. fc6, fc7 (low rank) and a 1000-way head learn a whole ImageNet classifier's soft labels from the
   pool5 so made, so that fc7 is a general feature. They are then rescaled, which changes no score.

The scales matter as much as the features: Table II's rates suit a network whose conv1 sees 0..255,
whose normalisation layers are active and whose fc7 is small. The student has such scales from the
start.
"""
from __future__ import annotations

import csv
import hashlib
import json
import math
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from tqdm import tqdm

from layerwise.errors import InputError
from layerwise.standin_images import Crops, image_files
from layerwise.standin_init import Start, initial_student, read_conv_teacher, to_caffe_input
from layerwise.standin_nets import SqueezeNet, Tensors, forward_student, forward_teacher, tensors

COMPARED = ("conv3", "pool5")              # where student and teacher line up
LOG_FIELDS = ("stage", "step", "loss", *COMPARED, "rate", "seconds", "dtype")
STATE_FILE = "conv_state.pt"               # in the work folder, until the result is written
SAVE_EVERY, LOG_EVERY = 200, 50            # iterations


class Settings(NamedTuple):
    """What can be set. The images, the teachers and the dtype (`fastest_dtype`) decide as well."""

    calibration: int = 64                  # crops that the start is fitted on
    iterations: int = 2600
    warm_up: int = 100                     # iterations of rising rate
    anneal: int = 800                      # iterations of falling rate
    batch: int = 32
    peak_rate: float = 4e-4                # 2e-3 destroys what the teacher gave
    bias_rate_factor: float = 10.0         # biases are on the scale of responses, not of weights
    smallest_crop: float = 0.55            # of the image's shorter side
    gains: tuple[float, float, float, float] = (30.0, 8.0, 2.5, 1.7)  # conv1 to conv4 over teacher
    pool5_norm: float = 180.0              # mean over crops; conv5's gain follows from it
    fc6_norm: float = 60.0
    fc7_norm: float = 25.0
    views: int = 3                         # crops of every image in stage 2
    epochs: int = 16
    classifier_batch: int = 256
    classifier_rate: float = 5e-4
    temperature: float = 2.0
    rank: int = 96                         # of fc6 and fc7
    head_rank: int = 160
    seed: int = 0
    threads: int = 2


DEFAULTS = Settings()


class Log:
    """log.csv: one row per report; conv3 and pool5 are relative squared errors on that batch."""

    def __init__(self, path: Path, dtype: str, resumed: bool) -> None:
        """dtype: of the convolutions. A run that is not resumed replaces the log of another."""
        self._started = time.monotonic()
        self._dtype = dtype
        self._file = path.open("a" if resumed else "w", newline="", encoding="utf-8")
        self._writer = csv.DictWriter(self._file, LOG_FIELDS)
        if self._file.tell() == 0:
            self._writer.writeheader()

    def row(self, **values: Any) -> None:
        """Write one row, at once."""
        shown = {key: f"{value:.5g}" if isinstance(value, float) else value
                 for key, value in values.items()}
        self._writer.writerow({**shown, "seconds": round(time.monotonic() - self._started),
                               "dtype": self._dtype})
        self._file.flush()


def run(images: Path, conv_teacher: Path, classifier_teacher: Path, work: Path,
        settings: Settings = DEFAULTS) -> dict[str, np.ndarray]:
    """Both stages; returns the stand-in's arrays, float32, named as in its file.

    Args:
        images, conv_teacher, classifier_teacher: see `standin.distil`.
        work: folder of log.csv and of stage 1's state, from which an interrupted run resumes.

    Raises:
        InputError: an input cannot be used, or `work` holds the state of a run with others.
    """
    torch.set_num_threads(settings.threads)
    cv2.setNumThreads(1)                   # with more, OpenCV and PyTorch wait for each other
    classifier = SqueezeNet(classifier_teacher)
    teacher = read_conv_teacher(conv_teacher)
    state = State(work, inputs_digest(images, (conv_teacher, classifier_teacher), settings))
    crops = Crops(images, settings.smallest_crop)
    work.mkdir(parents=True, exist_ok=True)
    log = Log(work / "log.csv", state.dtype, state.resumed)
    teacher_tensors = tensors({**teacher, "conv1": to_caffe_input(*teacher["conv1"])})
    conv = distil_conv(crops, initial_student(teacher), teacher_tensors, settings, log, state)
    pool5, scores = look(crops, conv, classifier, settings, state.dtype)
    arrays = distil_classifier(pool5, scores, settings, log)
    for name, (weight, bias) in conv.items():
        arrays[f"{name}_weight"] = np.ascontiguousarray(weight.numpy())
        arrays[f"{name}_bias"] = bias.numpy()
    return arrays


def inputs_digest(images: Path, teachers: Sequence[Path], settings: Settings) -> str:
    """Of the settings, the teachers' contents and the images' names and sizes."""
    contents = [hashlib.sha256(path.read_bytes()).hexdigest() for path in teachers]
    sizes = [(path.relative_to(images).as_posix(), path.stat().st_size)
             for path in image_files(images)]
    return hashlib.sha256(json.dumps([settings._asdict(), contents, sizes]).encode()).hexdigest()


class State:
    """Stage 1 on the disk: what an interrupted run, and no other, resumes from.

    dtype: of the convolutions; decided by a fresh start, kept by a run that is resumed.
    """

    def __init__(self, work: Path, inputs: str) -> None:
        """inputs: see `inputs_digest`; InputError when the state in `work` is of others."""
        self._path, self._inputs = work / STATE_FILE, inputs
        self._saved: dict[str, Any] = torch.load(self._path) if self._path.exists() else {}
        self.resumed = bool(self._saved)
        if self.resumed and self._saved.get("inputs") != inputs:
            raise InputError(f"{work}: holds the state of a run with other images, teachers or "
                             "settings; remove this folder or choose another --out")
        self.dtype: str = self._saved["dtype"] if self.resumed else fastest_dtype()

    def save(self, done: int, student: Tensors, optimiser: torch.optim.Optimizer) -> None:
        """Keep student and optimiser after this many iterations."""
        partial = self._path.with_suffix(".partial")
        torch.save({"inputs": self._inputs, "dtype": self.dtype, "iteration": done,
                    "optimiser": optimiser.state_dict(),
                    "student": {name: (w.detach(), b.detach())
                                for name, (w, b) in student.items()}}, partial)
        os.replace(partial, self._path)

    def restore(self, student: Tensors, optimiser: torch.optim.Optimizer) -> int:
        """Fill student and optimiser; returns the iterations done, 0 in a fresh start."""
        if not self.resumed:
            return 0
        optimiser.load_state_dict(self._saved["optimiser"])
        with torch.no_grad():
            for name, layer in student.items():
                for blob, saved in zip(layer, self._saved["student"][name]):
                    blob.copy_(saved)
        return int(self._saved["iteration"])


def calibrate(start: Start, wanted: dict[str, torch.Tensor], x: torch.Tensor,
              gains: dict[str, float]) -> Tensors:
    """The student's first layers with every filter regressed on its teacher's response.

    A factor and a bias per filter, layer by layer, so that each sees what those below now give.

    Args:
        start: as from `initial_student`.
        wanted: the teacher's responses to the batch `x`.
        gains: how much larger than the teacher's the responses of each layer are to be.
    """
    student: Tensors = {}
    for name, (weight, bias) in tensors(start.blobs).items():
        target = wanted[f"pre_{name}"][:, start.source[name]] * gains[name]
        student[name] = (weight, torch.zeros_like(bias))
        own = forward_student(student, x)[f"pre_{name}"]
        mean, target_mean = own.mean((0, 2, 3)), target.mean((0, 2, 3))
        own = own - mean[None, :, None, None]
        target = target - target_mean[None, :, None, None]
        power = own.square().mean((0, 2, 3)).clamp_min(1e-12)
        slope = (own * target).mean((0, 2, 3)) / power
        # A filter that lost most of its inputs still has to respond, or it cannot learn.
        slope = torch.maximum(slope, 0.25 * (target.square().mean((0, 2, 3)) / power).sqrt())
        student[name] = (weight * slope[:, None, None, None], target_mean - slope * mean)
    return student


def rate_share(iteration: int, settings: Settings) -> float:
    """Of the peak rate: up over `warm_up` iterations, level, and down half a cosine over `anneal`.

    Before the fall, runs of any length agree.
    """
    left = settings.iterations - iteration
    down = 0.5 - 0.5 * math.cos(math.pi * min(1.0, left / settings.anneal))
    return min(1.0, (iteration + 1) / settings.warm_up, down)


def distil_conv(crops: Crops, start: Start, teacher: Tensors, settings: Settings, log: Log,
                state: State) -> Tensors:
    """Stage 1: conv1 to conv5 by the squared errors of conv3 and pool5 over the targets' powers."""
    rng = np.random.default_rng([settings.seed, 0])
    with torch.no_grad():
        x = torch.from_numpy(crops.batch(rng.integers(0, len(crops), settings.calibration), rng))
        wanted = forward_teacher(teacher, x)
        pool5_gain = settings.pool5_norm / float(wanted["pool5"].flatten(1).norm(dim=1).mean())
        gains = dict(zip(teacher, (*settings.gains, pool5_gain)))
        student = calibrate(start, wanted, x, gains)
    gain = {"conv3": gains["conv3"], "pool5": pool5_gain}
    power = {key: gain[key] ** 2 * float(wanted[key].square().mean()) for key in COMPARED}
    student = {name: (w.requires_grad_(), b.requires_grad_()) for name, (w, b) in student.items()}
    optimiser = torch.optim.AdamW([{"params": [w for w, _ in student.values()]},
                                   {"params": [b for _, b in student.values()]}])
    peaks = (settings.peak_rate, settings.peak_rate * settings.bias_rate_factor)
    first = state.restore(student, optimiser)
    for iteration in tqdm(range(first, settings.iterations), desc="conv1-conv5", unit="iteration",
                          initial=first, total=settings.iterations):
        rng = np.random.default_rng([settings.seed, 1, iteration])
        x = torch.from_numpy(crops.batch(rng.integers(0, len(crops), settings.batch), rng))
        with autocast(state.dtype):
            with torch.no_grad():
                target = forward_teacher(teacher, x)
            found = forward_student(student, x)
        wanted = {key: target[key].float() * gain[key] for key in COMPARED}
        errors = {key: (found[key].float() - wanted[key]).square() for key in COMPARED}
        loss = torch.stack([errors[key].mean() / power[key] for key in COMPARED]).sum()
        share = rate_share(iteration, settings)
        for group, peak in zip(optimiser.param_groups, peaks):
            group["lr"] = peak * share
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        done = iteration + 1
        if done % LOG_EVERY == 0 or done == 1:
            relative = {key: (errors[key].sum() / wanted[key].square().sum()).item()
                        for key in COMPARED}
            log.row(stage="conv", step=done, loss=loss.item(), rate=peaks[0] * share, **relative)
        if done % SAVE_EVERY == 0 or done == settings.iterations:
            state.save(done, student, optimiser)
    return {name: (w.detach(), b.detach()) for name, (w, b) in student.items()}


def _seconds(dtype: str) -> float:
    """The least of three products of 512 x 512 matrices."""
    one = torch.ones(512, 512, dtype=getattr(torch, dtype))
    took = []
    for _ in range(4):                     # the first one also prepares
        start = time.perf_counter()
        one @ one
        took.append(time.perf_counter() - start)
    return min(took[1:])


def fastest_dtype() -> str:
    """bfloat16 where its products are faster, else float32; emulated, they take 20 times as long.

    By timing, so another or busier machine may answer otherwise: ask once for all that is one run.
    """
    return min(("float32", "bfloat16"), key=_seconds)


def autocast(dtype: str) -> torch.autocast:
    """bfloat16, or the float32 that everything is in."""
    return torch.autocast("cpu", dtype=torch.bfloat16, enabled=dtype == "bfloat16")


@torch.no_grad()
def look(crops: Crops, conv: Tensors, classifier: SqueezeNet, settings: Settings,
         dtype: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Stage 2's data, float16: student's pool5 (n x 9216) and classifier's scores (n x 1000).

    n is `views` times the number of images.
    """
    total, batch = settings.views * len(crops), 64
    pool5 = torch.empty(total, 9216, dtype=torch.half)
    scores = torch.empty(total, 1000, dtype=torch.half)
    for first in tqdm(range(0, total, batch), desc="views", unit="batch"):
        rng = np.random.default_rng([settings.seed, 2, first])
        rows = np.arange(first, min(first + batch, total))
        x = torch.from_numpy(crops.batch(rows % len(crops), rng))
        with autocast(dtype):
            pool5[rows] = forward_student(conv, x)["pool5"].flatten(1).half()
            scores[rows] = classifier(x).half()
    return pool5, scores


class LowRank(NamedTuple):
    """A fully connected layer out · (into · x) + bias."""

    into: torch.Tensor                     # rank x inputs
    out: torch.Tensor                      # outputs x rank
    bias: torch.Tensor

    @classmethod
    def random(cls, inputs: int, outputs: int, rank: int, generator: torch.Generator) -> LowRank:
        """Gaussian factors whose product keeps the power of rectified inputs; no bias."""
        into = torch.randn(rank, inputs, generator=generator) * inputs ** -0.5
        out = torch.randn(outputs, rank, generator=generator) * (2.0 / rank) ** 0.5
        return cls(into.requires_grad_(), out.requires_grad_(),
                   torch.zeros(outputs).requires_grad_())

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return F.linear(F.linear(x, self.into), self.out, self.bias)


def distil_classifier(pool5: torch.Tensor, scores: torch.Tensor, settings: Settings,
                      log: Log) -> dict[str, np.ndarray]:
    """Stage 2: fc6_in, fc6_out, fc6_bias to fc8_bias, float32, from `look`'s views."""
    generator = torch.Generator().manual_seed(settings.seed)
    fc6 = LowRank.random(9216, 4096, settings.rank, generator)
    fc7 = LowRank.random(4096, 4096, settings.rank, generator)
    fc8 = LowRank.random(4096, 1000, settings.head_rank, generator)
    layers = {"fc6": fc6, "fc7": fc7, "fc8": fc8}
    to_unit = 1.0 / float(pool5[:2048].float().square().mean().sqrt())
    batches = len(pool5) // settings.classifier_batch
    optimiser = torch.optim.AdamW([blob for layer in layers.values() for blob in layer],
                                  weight_decay=0.05)
    cycle = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, settings.classifier_rate, total_steps=settings.epochs * batches, pct_start=0.1)
    for epoch in tqdm(range(settings.epochs), desc="fc6-fc8", unit="epoch"):
        order = torch.randperm(len(pool5), generator=generator)
        for rows in order[:batches * settings.classifier_batch].split(settings.classifier_batch):
            fc7_response = F.relu(fc7(F.relu(fc6(pool5[rows].float() * to_unit))))
            found = F.log_softmax(fc8(fc7_response) / settings.temperature, dim=1)
            wanted = F.softmax(scores[rows].float() / settings.temperature, dim=1)
            loss = F.kl_div(found, wanted, reduction="batchmean") * settings.temperature ** 2
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            cycle.step()
        log.row(stage="fc", step=(epoch + 1) * batches, loss=loss.item(),
                rate=cycle.get_last_lr()[0])
    with torch.no_grad():
        fc6.into.mul_(to_unit)
        x = pool5[::max(1, len(pool5) // 2048)].float()
        x = _rescale(fc6, fc7, x, settings.fc6_norm)
        _rescale(fc7, fc8, x, settings.fc7_norm)
    return {f"{name}_{part}": blob.detach().numpy() for name, layer in layers.items()
            for part, blob in zip(("in", "out", "bias"), layer)}


def _rescale(layer: LowRank, following: LowRank, x: torch.Tensor, norm: float) -> torch.Tensor:
    """Give the layer's rectified response to x this mean norm, and undo it in the next layer."""
    response = F.relu(layer(x))
    factor = norm / float(response.norm(dim=1).mean())
    layer.out.mul_(factor)
    layer.bias.mul_(factor)
    following.out.div_(factor)
    return response * factor
