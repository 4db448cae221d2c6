"""What a sweep hands from the process that knows Caffe to jobs elsewhere, and how they answer.

Each submission has a folder, `<runs>/slurm/<time>-<letters>/`, on the file system that the nodes
share: handover.json with the settings and the resolved runs, and for every job the file of what it
last began with and that of its outcome, written last, beside submitit's logs and the traceback of
an error that nobody foresaw.
"""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from layerwise.cost import Cost
from layerwise.errors import LayerwiseError
from layerwise.plan import Setting
from layerwise.profiles import profile_named
from layerwise.runs import Run, read_json, write_json
from layerwise.tasks import task_named
from layerwise.weights import Source

HANDOVER = "handover.json"
HANDOVER_VARIABLE = "LAYERWISE_HANDOVER"   # names the file; `sweep` then makes all, and stops
FEATURES = "features"                      # name of the job that stores frozen layers


@dataclass(frozen=True)
class Handover:
    """Everything a job needs. `costs` are the runs' costs; the runs are longest first.

    Attributes:
        storing: work of the activations that are worth storing; 0 = none are.
    """

    setting: Setting
    runs: tuple[Run, ...]
    costs: tuple[Cost, ...]
    storing: float


def write_handover(path: Path, handover: Handover) -> None:
    """Write as JSON."""
    setting = handover.setting
    write_json(path, {
        "setting": {**{name: getattr(setting, name) for name in (
                        "mean_bgr", "threads", "gpu", "cache_bytes")},
                    "task": setting.task.name, "classes": setting.task.classes,
                    "profile": setting.profile.name,
                    "prepared": str(setting.prepared), "runs": str(setting.runs),
                    "source": setting.source and {**asdict(setting.source),
                                                  "path": str(setting.source.path.resolve())}},
        "runs": [asdict(run) for run in handover.runs],
        "costs": [asdict(cost) for cost in handover.costs],
        "storing": handover.storing})


def read_handover(path: Path) -> Handover:
    """Read it back; the BLAS kernel is left open, and the runs have all that the profile decides.

    Raises InputError when there is no such file.
    """
    content = read_json(path)
    return Handover(_setting(content["setting"]), tuple(map(_run, content["runs"])),
                    tuple(Cost(**cost) for cost in content["costs"]), content["storing"])


def _setting(content: Mapping[str, Any]) -> Setting:
    source = content["source"] and Source(**{**content["source"],
                                             "path": Path(content["source"]["path"])})
    return Setting(task_named(content["task"], content["classes"]), Path(content["prepared"]),
                   Path(content["runs"]),
                   profile_named(content["profile"]), source or None, tuple(content["mean_bgr"]),
                   content["threads"], content["gpu"], {}, content["cache_bytes"])


def _run(content: Mapping[str, Any]) -> Run:
    return Run(**{**content, "classes": tuple(content["classes"]),
                  "mean_bgr": tuple(content["mean_bgr"])})


def check_progress(folder: Path, job: str, stage: str, timeouts: int) -> None:
    """Write down what a job begins with, each time that it begins.

    Args:
        stage: says what, and how much of it is saved.
        timeouts: how often the job has used up its time.

    Raises LayerwiseError when it has used up its time since it began with the same.
    """
    path = folder / f"{job}.begun.json"
    before = read_json(path) if path.exists() else {}
    if before.get("stage") == stage and before["timeouts"] < timeouts:
        raise LayerwiseError(f"{stage}: nothing was saved in all of a job's time; give a longer "
                             "--time, or fewer patches")
    write_json(path, {"stage": stage, "timeouts": timeouts})


def outcome_path(folder: Path, job: str) -> Path:
    """Where the job of a submission says how it ended."""
    return folder / f"{job}.outcome.json"


def write_outcome(folder: Path, job: str, error: str) -> None:
    """Say that a job has ended, well when `error` is empty."""
    write_json(outcome_path(folder, job), {"error": error})


def read_outcome(folder: Path, job: str) -> str | None:
    """The error of a job that has ended, "" when it ended well; None when it has not."""
    path = outcome_path(folder, job)
    return str(read_json(path)["error"]) if path.exists() else None
