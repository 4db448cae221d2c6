"""Options of the command line, as the verbs share them, and their kinds of values."""
from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any, TypeVar

import click

LARGEST_INT = 2**31 - 1      # of Caffe's messages
LARGEST_BATCH = LARGEST_INT // math.prod((96, 55, 55))     # Caffe counts a blob's values by an int

Command = TypeVar("Command", bound=Callable[..., Any])
FOLDER = click.Path(file_okay=False, path_type=None)


class Integers(click.ParamType):
    """Different integers of a range, separated by commas."""

    name = "integers"

    def __init__(self, low: int, high: int) -> None:
        self.low, self.high = low, high

    def convert(self, value: Any, param: Any, ctx: Any) -> list[int]:
        try:
            numbers = [int(part) for part in str(value).split(",")]
        except ValueError:
            numbers = []
        if not numbers or len(set(numbers)) < len(numbers) \
                or not all(self.low <= number <= self.high for number in numbers):
            self.fail(f"{value!r} is no list of different integers from {self.low} to {self.high}, "
                      "separated by commas", param, ctx)
        return numbers


class Minutes(click.ParamType):
    """A time in one of Slurm's forms, in minutes: M, M:S, H:M:S, D-H, D-H:M, D-H:M:S."""

    name = "time"
    _FORMS = tuple(map(re.compile, (
        r"(?P<m>\d+)(:(?P<s>\d+))?", r"(?P<h>\d+):(?P<m>\d+):(?P<s>\d+)",
        r"(?P<d>\d+)-(?P<h>\d+)(:(?P<m>\d+)(:(?P<s>\d+))?)?")))

    def convert(self, value: Any, param: Any, ctx: Any) -> int:
        match = next(filter(None, (form.fullmatch(str(value)) for form in self._FORMS)), None)
        parts = {key: int(text) for key, text in match.groupdict().items() if text} if match else {}
        minutes = (1440 * parts.get("d", 0) + 60 * parts.get("h", 0) + parts.get("m", 0)
                   + (parts.get("s", 0) > 0))
        if not minutes:
            self.fail(f"{value!r} is no time such as 90 (minutes), 12:00:00 or 2-00", param, ctx)
        return minutes


class Box(click.ParamType):
    """`X,Y,W,H` in pixels."""

    name = "box"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[float, ...]:
        try:
            numbers = tuple(float(part) for part in str(value).split(","))
        except ValueError:
            numbers = ()
        if len(numbers) != 4 or not all(map(math.isfinite, numbers)) or min(numbers[2:]) <= 0:
            self.fail(f"{value!r} is no X,Y,W,H with W and H above 0", param, ctx)
        return numbers


class KeyValue(click.ParamType):
    """`key=value`."""

    name = "key=value"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[str, str]:
        key, equals, text = str(value).lstrip("-").partition("=")
        if not key or not equals:
            self.fail(f"{value!r} is not key=value", param, ctx)
        return key, text


def together(*options: Callable[[Any], Any]) -> Callable[[Command], Command]:
    """Several options as one decorator, in this order in the help."""
    def decorate(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command
    return decorate


SEEDS = click.option("--seeds", type=Integers(1, LARGEST_INT), default="1", show_default=True,
                     help="Training runs of each network, comma-separated.")
DATA = click.option("--data", type=FOLDER, default="data", envvar="LAYERWISE_DATA",
                    show_default=True, help="Root of prepared data and source weights.")
RUNS = click.option("--runs", type=FOLDER, default="runs", envvar="LAYERWISE_RUNS",
                    show_default=True, help="Root of run folders.")
PREPARING = together(
    click.option("--images", type=click.Path(),
                 help="Your images: a folder, of task own also a CSV; default: the built-in "
                      "phantom (own has none)."),
    click.option("--negative", metavar="CLASS",
                 help="Task own: the class that the others are told apart from; default: the one "
                      "with the most images."),
    click.option("--upright", is_flag=True,
                 help="Task own: patches are neither turned nor mirrored."),
    click.option("--profile", default="quick", show_default=True,
                 help="How much of everything: mini, quick, reference or paper."),
    click.option("--data-seed", default=1, show_default=True, help="Seed of splits and patches."),
    click.option("--test-fraction", type=click.FloatRange(0.05, 0.95), default=0.5,
                 show_default=True, help="Share of the groups that is held out for testing."),
    click.option("--patch-side", type=click.IntRange(8, 227), default=32, show_default=True,
                 help="Pixels across a patch; cimt only."),
    click.option("--jobs", type=click.IntRange(1), help="Processes side by side; default: cores."),
    DATA)
TRAINING = together(
    RUNS,
    click.option("--weights", type=click.Path(dir_okay=False),
                 help="Source caffemodel, or a stand-in's .npz; default: bvlc_alexnet in the "
                      "data folder, else the stand-in."),
    click.option("--mean", type=click.Path(dir_okay=False),
                 help="Mean image (binaryproto); its channel means replace (104, 117, 123)."),
    click.option("--iterations", type=click.IntRange(1, LARGEST_INT), help="Longest training."),
    click.option("--batch-size", type=click.IntRange(1, LARGEST_BATCH),
                 help="Images per mini-batch."),
    click.option("--evaluate-every", type=click.IntRange(1, LARGEST_INT),
                 help="Iterations between validations."),
    click.option("--patience", type=click.IntRange(0),
                 help="Validations without a new best before stopping; 0 = never."),
    click.option("--threads", type=click.IntRange(1),
                 help="BLAS threads per network; default: 1, the repeatable choice."),
    click.option("--cache-gb", type=click.FloatRange(0), default=8.0, show_default=True,
                 help="Disk space for activations of frozen layers, computed once; 0 = none."),
    click.option("--gpu", type=click.IntRange(0), help="GPU to train on; default: the CPU."))
ONE_RUN = together(
    click.option("--fraction", type=click.IntRange(1, 100), default=100, show_default=True,
                 help="Percent of the training data (groups; pe: emboli; frames: frames)."),
    click.option("--seed", type=click.IntRange(1, LARGEST_INT), default=1, show_default=True,
                 help="Seed of the training."))


RESULTS = together(
    click.argument("folders", nargs=-1, type=FOLDER),
    click.option("--out", type=FOLDER, default="figures", show_default=True,
                 help="Folder to write to; files go to OUT/<task>/<dataset>/."),
    click.option("--method", type=click.Choice(["bootstrap", "idca", "wilson"]),
                 default="bootstrap", show_default=True,
                 help="Error bars: test groups drawn again; the paper's model, which takes "
                      "candidates as independent; or binomial."))
LAUNCHING = together(
    click.option("--dry-run", is_flag=True, help="Print the plan; nothing is made."),
    click.option("--seconds-per-iteration", type=click.FloatRange(0.001),
                 help="For the plan: of tuning all layers, at this batch size; default: measured "
                      "on this machine once."),
    click.option("--launcher", type=click.Choice(["local", "slurm"]), default="local",
                 show_default=True, help="Where the runs are computed. Options below: slurm only."),
    click.option("--partition", help="Slurm's partition; default: the cluster's."),
    click.option("--time", type=Minutes(),
                 help="Longest time of a job, default 24:00:00; a run that needs more goes on in "
                      "the next."),
    click.option("--memory-gb", type=click.FloatRange(0.1),
                 help="Of each job; default: estimated from the batch size."),
    click.option("--cpus", type=click.IntRange(1), help="Of each job; default: --threads."),
    click.option("--gpus", type=click.IntRange(0, 1), help="Of each job; default: 0."),
    click.option("--max-parallel", type=click.IntRange(1), help="Runs side by side at most."),
    click.option("--slurm-option", type=KeyValue(), multiple=True,
                 help="Further option of sbatch, such as account=NAME; may be repeated."),
    click.option("--container", metavar="IMAGE",
                 help="Run in this image by Apptainer instead of the private root."))
