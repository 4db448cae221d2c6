"""The paper's whole study as a plan: `python3 -m layerwise.study [docs/planning.md]`.

Four tasks, eleven networks on all data, the nine of a sweep on each reduced training set, three
seeds, at the paper's sizes: what that takes on a machine whose speed was measured, and on GPUs
whose speed is an assumption.
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from layerwise.contracts import atomic_text
from layerwise.cost import step
from layerwise.depths import DEPTHS, SWEEP
from layerwise.forecast import (
    Forecast,
    gigabytes,
    planned_run,
    training_sizes,
)
from layerwise.launch import disk_needed_bytes
from layerwise.profiles import PROFILES
from layerwise.session import order_by_cost
from layerwise.speed import Speed
from layerwise.sweep import memory_needed_bytes
from layerwise.tasks import TASKS, Task

SEEDS = (1, 2, 3)
CACHE_GB = 100.0

# The paper's test sets (section IV): what is scored, and patches of each.
TESTED = {
    "polyp": (18_900, 120, "18,900 frames, one candidate each, 120 views"),
    "pe": (2_415, 90, "253 + 2,162 candidates, 90 views"),
    "frames": (2_000, 200, "2,000 frames, 200 crops"),
    "cimt": (132, 5_520, "132 regions, every pixel of 92 x 60"),
}

STUDIED = [TASKS[name] for name in TESTED]


@dataclass(frozen=True)
class Machine:
    """What the study could run on: `workers` runs side by side, each at `speed`."""

    name: str
    workers: int
    speed: Speed


# Measured: the committed quick sweep (results/polyp/phantom-quick/scratch-gaussian), median of its
# iterations, two runs side by side on the two cores. The GPU's is an assumption: what Caffe's own
# documentation gives for a K40 with cuDNN, 19.2 s for 20 iterations of CaffeNet with 256 images;
# later GPUs are faster, and this harness was never run on one.
CORE = Speed(2.18, 32, "measured")
GPU = Speed(0.96, 256, "assumed")
MACHINES = (
    Machine("2 cores, as measured", 2, CORE),
    Machine("one CPU node, 32 such cores", 32, CORE),
    Machine("one GPU", 1, GPU),
    Machine("8 GPUs", 8, GPU),
)


def study_of(task: Task, machine: Machine) -> Forecast:
    """All runs of one task."""
    profile = PROFILES["paper"]
    fractions = [round(100 * fraction) for fraction in task.fractions]
    runs = [planned_run(task, profile, depth, fraction, seed, "paper")
            for seed in SEEDS for fraction in fractions for depth in DEPTHS.values()
            if fraction == 100 or depth.name in SWEEP]
    tested, views, _ = TESTED[task.name]
    sizes = {**training_sizes(task.patches, fractions, profile.batch_size), "test": tested * views}
    order, costs, items = order_by_cost(runs, runs, sizes, CACHE_GB * 1e9)
    return Forecast(tuple(order), tuple(costs), tuple(items), sizes, machine.workers,
                    machine.speed)


def page() -> str:
    """docs/planning.md."""
    profile = PROFILES["paper"]
    plans = [[study_of(task, machine) for machine in MACHINES] for task in STUDIED]
    counts = [plan[0] for plan in plans]
    share = step("fc7", "fc8", profile.batch_size) / step("conv1", "conv1", profile.batch_size)
    return f"""\
# The whole study, planned

Written by `environment/run python3 -m layerwise.study docs/planning.md`. `layerwise sweep TASK --dry-run` plans one
sweep on your machine, from an iteration measured there or your `--seconds-per-iteration`, and makes nothing.

The paper's four tasks at its sizes: eleven networks on all training data (eight depths, scratch with three
initialisers), the nine of a sweep on each reduced training set, {len(SEEDS)} seeds; batches of {profile.batch_size}, **at most**
{profile.iterations:,} iterations. Training stops after {profile.patience} validations without a new best, and the paper's own curves end
before {profile.iterations:,}, so most runs will take less.

{_table(("task", "runs", "training patches", "test set", "test patches", "patches on disk",
         "activations stored once"),
        [(task.title, str(len(plan.runs)), f"{plan.sizes['train-100']:,}", TESTED[task.name][2],
          f"{plan.sizes['test']:,}", gigabytes(plan.patch_bytes) + " GB",
          gigabytes(plan.cache_bytes) + " GB") for task, plan in zip(STUDIED, counts)])}

Days from the first run of a task to the last:

{_table(("task", *(machine.name for machine in MACHINES)),
        [(task.title, *(f"{_hours(plan) / 24:,.1f}" for plan in row))
         for task, row in zip(STUDIED, plans)]
        + [("**all four, one after another**", *(
            f"**{sum(_hours(row[place]) for row in plans) / 24:,.0f}**"
            for place in range(len(MACHINES))))])}

{_table(("one worker", "an iteration that tunes all layers", "where that is from"), [
    ("core", f"{CORE.at(profile.batch_size):.1f} s for {profile.batch_size} images",
     f"**measured**: {CORE.seconds:.2f} s for {CORE.batch} images, one thread, two runs side by side on an AMD EPYC "
     "([log](../results/polyp/phantom-quick/scratch-gaussian/100/1/log.csv)); that each of 32 cores is as fast is an "
     "assumption: they share one memory"),
    ("GPU", f"{GPU.at(profile.batch_size):.2f} s for {profile.batch_size} images",
     "**assumption**: Caffe's documentation gives 19.2 s for 20 iterations of CaffeNet on a K40 with cuDNN; this "
     "harness was never run on a GPU, and that patches are read as fast as they are trained on is assumed too")])}

The other depths follow by the cost model (`cost.py`): an iteration of only fc8 on stored activations takes {share:.1%} of
one that tunes all layers. A run takes {gigabytes(memory_needed_bytes(profile.batch_size))} GB of memory, {gigabytes(disk_needed_bytes(2))} GB of disk while it trains and 0.2 GB when it is
done. The plan stores activations up to `--cache-gb {CACHE_GB:.0f}`; the default is 8. No number of machines ends a task before
its longest run does ({_longest(plans)}).
"""  # noqa: E501  (lines of the page)


def _hours(plan: Forecast) -> float:
    hours = plan.total_hours
    assert hours is not None
    return hours


def _longest(plans: Sequence[Sequence[Forecast]]) -> str:
    return ", ".join(
        f"{max(_hours_of_longest(plan[place]) for plan in plans):.0f} hours on a {name}"
        for place, name in ((0, "core"), (2, "GPU")))


def _hours_of_longest(plan: Forecast) -> float:
    hours = plan.hours(plan.costs[0].total)
    assert hours is not None
    return hours


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


@click.command("study")
@click.argument("out", required=False, type=click.Path())
def main(out: str | None) -> None:
    """Write the page to the file OUT, else print it."""
    if out is None:
        click.echo(page(), nl=False)
        return
    with atomic_text(Path(out)) as handle:
        handle.write(page())


if __name__ == "__main__":
    main()
