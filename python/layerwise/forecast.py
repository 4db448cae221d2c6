"""`sweep --dry-run`: what a sweep would run, in which order, and what that takes. Makes nothing."""
from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from layerwise import prefix, speed
from layerwise.alexnet import parameters
from layerwise.cost import Cost, makespan, set_sizes, storing
from layerwise.dense import ROI
from layerwise.depths import Depth, depth_named
from layerwise.frozen import Item
from layerwise.handcrafted import HANDCRAFTED
from layerwise.launch import disk_needed_bytes
from layerwise.plan import title_of
from layerwise.profiles import Profile
from layerwise.runs import Run, is_scored, is_trained
from layerwise.session import Wanted, order_by_cost, request_for
from layerwise.speed import Speed
from layerwise.sweep import memory_needed_bytes
from layerwise.tasks import Task, task_named

PATCH_BYTES = 156_000      # of a patch in an LMDB: 3 x 227 x 227 and what fills the page
UNKNOWN = "?"


@dataclass(frozen=True)
class Forecast:
    """Runs in order with what each costs; all that is printed follows from it.

    Attributes:
        runs: longest first, without those that are finished.
        costs: work of each.
        items: activations worth storing first.
        sizes: patches of each set.
        speed: None when it is not known.
    """

    runs: tuple[Run, ...]
    costs: tuple[Cost, ...]
    items: tuple[Item, ...]
    sizes: Mapping[str, int]
    workers: int
    speed: Speed | None

    def hours(self, work: float) -> float | None:
        """Time of some work, by one worker."""
        return work * self.speed.seconds_per_work / 3600 if self.speed else None

    @property
    def total_hours(self) -> float | None:
        """From the first to the last, all workers together."""
        return self.hours(storing(self.items) / self.workers + makespan(
            [cost.total for cost in self.costs], self.workers))

    @property
    def disk_bytes(self) -> float:
        """At most: patches, activations, a best snapshot of each run, and the states in work."""
        best = 4 * parameters(classes=2)
        return (self.patch_bytes + self.cache_bytes + best * len(self.runs)
                + min(self.workers, len(self.runs)) * (disk_needed_bytes(2) - best))

    @property
    def patch_bytes(self) -> int:
        """Disk space of all patches; pixels of test regions are none."""
        regions = any(task_named(run.task).by_region for run in self.runs)
        return PATCH_BYTES * sum(count for name, count in self.sizes.items()
                                 if not (regions and name == "test"))

    @property
    def cache_bytes(self) -> int:
        """Disk space of the activations."""
        return sum(item.size_bytes for item in self.items)

    @property
    def memory_bytes(self) -> int:
        """Of all runs side by side, at most."""
        largest = max((run.batch_size for run in self.runs), default=0)
        return min(self.workers, len(self.runs)) * memory_needed_bytes(largest)

    def table(self) -> list[list[str]]:
        """Head and a row for each step: number, step, what it waits for, GB, GB, hours."""
        blobs = {(item.name, item.blob) for item in self.items}
        rows = [["", "step", "waits for", "memory GB", "disk GB", "hours"]]
        if self.items:
            rows.append(["1", "frozen layers", "data", gigabytes(memory_needed_bytes(0)),
                         gigabytes(self.cache_bytes), amount(self.hours(storing(self.items)))])
        for run, cost in zip(self.runs, self.costs):
            blob = prefix.boundary(depth_named(run.init)) if run.source_sha1 else None
            after = f"1 ({blob})" if (f"train-{run.fraction}", blob) in blobs else "data"
            rows.append([str(len(rows)), title_of(run), after,
                         gigabytes(memory_needed_bytes(run.batch_size)),
                         gigabytes(disk_needed_bytes(len(run.classes))),
                         amount(self.hours(cost.total))])
        return rows


def amount(value: float | None) -> str:
    """A number of hours to two digits or so."""
    if value is None:
        return UNKNOWN
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 1 else f"{value:.3f}"


def gigabytes(size_bytes: float) -> str:
    """A size in GB, one decimal."""
    return f"{size_bytes / 1e9:.1f}"


def print_plan(wanted: Wanted, seconds_per_iteration: float | None, most_workers: int | None
               ) -> None:
    """Print the plan of a sweep.

    Args:
        seconds_per_iteration: of an iteration that tunes all layers; None = as measured here.
        most_workers: runs side by side on a cluster; None = on this machine.
    """
    request = request_for(wanted.task.name, wanted.fractions, wanted.options)
    dataset = import_module("data_prep.prepare").dataset_name(request)
    prepared = request.data / wanted.task.name / dataset
    runs = [planned_run(wanted.task, wanted.profile, depth, fraction, seed, dataset)
            for seed in wanted.seeds for fraction in wanted.fractions for depth in wanted.depths]
    ready = (prepared / "source.json").is_file() and all(
        (prepared / f"train-{fraction}" / "index.csv").is_file() for fraction in wanted.fractions)
    sizes = set_sizes(prepared, runs) if ready else profile_sizes(wanted)
    root = Path(wanted.options["runs"])
    left = [run for run in runs if not is_scored(run.folder(root))]
    order, costs, items = order_by_cost(
        left, [run for run in left if not is_trained(run.folder(root))], sizes,
        wanted.cache_bytes)
    plan = Forecast(tuple(order), tuple(costs), tuple(items), sizes,
                    min(most_workers or wanted.jobs, max(1, len(order))),
                    _speed(wanted, seconds_per_iteration))
    print(f"{wanted.task.name} on {dataset}: {len(left)} of {len(runs)} runs to do, "
          f"{plan.workers} side by side; nothing is made")
    print("patches: " + ", ".join(f"{name} {size}" for name, size in sizes.items())
          + ("" if ready else " at most (not prepared yet)")
          + f", {gigabytes(plan.patch_bytes)} GB")
    for blob in sorted({item.blob for item in plan.items}):
        of = [item for item in plan.items if item.blob == blob]
        print(f"stored once: {blob} of {', '.join(sorted(item.name for item in of))}, "
              f"{gigabytes(sum(item.size_bytes for item in of))} GB")
    if plan.speed:
        print(f"seconds per iteration of {wanted.profile.batch_size} images, all layers tuned: "
              f"{plan.speed.at(wanted.profile.batch_size):.2f} ({plan.speed.source})")
    else:
        print("seconds per iteration: unknown; give --seconds-per-iteration for hours")
    for line in aligned(plan.table()):
        print(line)
    handcrafted = [folder for seed in wanted.seeds for fraction in wanted.fractions
                   for folder in [root / wanted.task.name / dataset / HANDCRAFTED / str(fraction)
                                  / str(seed)] if not is_scored(folder)]
    if wanted.handcrafted and handcrafted:
        print(f"and the handcrafted system, {len(handcrafted)} of "
              f"{len(wanted.seeds) * len(wanted.fractions)} runs to do, minutes of one core each, "
              "not in the hours below")
    print(f"in all {amount(plan.total_hours)} hours"
          + (" at most (patience may end runs early)" if wanted.profile.patience else "")
          + f", {gigabytes(plan.disk_bytes)} GB of disk at most, "
          f"{gigabytes(plan.memory_bytes)} GB of memory")


def planned_run(task: Task, profile: Profile, depth: Depth, fraction: int, seed: int,
                dataset: str) -> Run:
    """A run as far as its cost goes."""
    return Run(task.name, dataset, depth.name, fraction, seed, task.classes, "", "", 0,
               profile.batch_size, profile.iterations, profile.evaluate_every, profile.patience,
               (), None, depth.name if depth.fine_tuned else None, None, None, 1)


def profile_sizes(wanted: Wanted) -> dict[str, int]:
    """Patches of sets that are not prepared yet, at most: of the images named, or the phantom's.

    Raises InputError for images that the task's reader refuses.
    """
    size, images = wanted.profile.sizes[wanted.task.name], wanted.options["images"]
    share: float = wanted.options["test_fraction"]
    if images:
        listed = import_module(wanted.task.preparer).RECIPE.read(Path(images))
        tested = [each for each in listed if each.split == "test"]
        if not tested:
            tested = listed[:math.ceil(len(listed) * share)]
        cases, candidates = len(tested), sum(
            len(getattr(each, "regions", ())) or size.candidates_per_case for each in tested)
    else:
        drawn = size.phantom_groups * size.phantom_cases * share
        cases, candidates = round(drawn), round(drawn * size.candidates_per_case)
    return {**training_sizes(size.patches, wanted.fractions, wanted.profile.batch_size),
            "test": cases * math.prod(ROI) if wanted.task.by_region
            else candidates * size.test_patches}


def training_sizes(patches: int, fractions: Sequence[int], batch_size: int) -> dict[str, int]:
    """Patches of training (4 of 5, at least a mini-batch) and validation sets at percentages."""
    sizes = {}
    for fraction in fractions:
        total = patches * fraction // 100
        sizes[f"train-{fraction}"] = max(total * 4 // 5, batch_size)
        sizes[f"validation-{fraction}"] = max(total - total * 4 // 5, 2)
    return sizes


def _speed(wanted: Wanted, seconds: float | None) -> Speed | None:
    if seconds is not None:
        return Speed(seconds, wanted.profile.batch_size, "as given")
    return speed.measured(wanted.threads) if wanted.options["gpu"] is None else None


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines with columns of equal width; numbers to the right."""
    widths = [max(map(len, column)) for column in zip(*rows)]
    return ["  ".join(cell.ljust(width) if place in (1, 2) else cell.rjust(width)
                      for place, (cell, width) in enumerate(zip(row, widths))).rstrip()
            for row in rows]
