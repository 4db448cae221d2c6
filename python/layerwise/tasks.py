"""The four tasks of the paper, as rows.

Sizes are the paper's (section IV). `train_images` is |X| of Eq. (2): the 80% of the stratified
patches that are left for training after the validation split.
"""
from __future__ import annotations

from dataclasses import dataclass

from layerwise.errors import InputError


@dataclass(frozen=True)
class Task:
    """One medical task: what is told apart, how it is split, evaluated and reduced."""

    name: str
    title: str
    classes: tuple[str, ...]           # index = label; 0 is the background class
    group: str                         # unit of splitting and of the bootstrap
    case: str                          # unit of "false positives per ..."
    evaluation: str                    # froc | roc | boundary
    patches: int                       # stratified patches of the paper, training + validation
    fractions: tuple[float, ...]       # reduced training sets, 1.0 first
    reduced_by: str                    # a reduced training set has fewer: group | lesion | case
    operating_points: tuple[float, ...]  # of Tables S1-S3: false positives per case, or FPR (roc)
    preparer: str = ""                 # module with prepare(), "" until the task is ready
    handcrafted: str = ""              # module with scores() of the handcrafted system

    @property
    def ready(self) -> bool:
        """Whether the harness can prepare this task's data."""
        return bool(self.preparer)

    @property
    def train_images(self) -> int:
        """|X| of Eq. (2) at the paper's set size: 80% of the patches."""
        return self.patches * 4 // 5

    @property
    def last_layer(self) -> str:
        """Name of the classifier layer; new, so that Caffe initialises it instead of copying."""
        return f"fc8_{self.name}"


TASKS = {task.name: task for task in (
    Task("polyp", "Polyp detection", ("background", "polyp"), "video", "frame", "froc",
         100_000, (1.0, 0.5, 0.25), "group", (0.001, 0.01),
         preparer="data_prep.polyp.prepare"),
    Task("pe", "Pulmonary embolism detection", ("background", "embolism"), "patient", "volume",
         "froc", 81_000, (1.0, 0.5, 0.25), "lesion", (1.0, 2.0, 3.0, 4.0, 5.0),
         preparer="data_prep.pe.prepare", handcrafted="data_prep.pe.handcrafted"),
    Task("frames", "Colonoscopy frame quality", ("noninformative", "informative"), "video",
         "frame", "roc", 40_000, (1.0, 0.1, 0.05, 0.01), "case", (0.10, 0.15, 0.20),
         preparer="data_prep.frames.prepare", handcrafted="data_prep.frames.handcrafted"),
    Task("cimt", "Intima-media boundary segmentation",
         ("background", "lumen_intima", "media_adventitia"), "subject", "region", "boundary",
         200_000, (1.0,), "group", ()),
)}


def task_named(name: str) -> Task:
    """The task's row; InputError lists the known ones."""
    if name not in TASKS:
        raise InputError(f"unknown task {name!r}; the tasks are {', '.join(TASKS)}")
    return TASKS[name]


def ready_task(name: str) -> Task:
    """The task's row, provided its data preparation has landed."""
    task = task_named(name)
    if not task.ready:
        ready = ", ".join(row.name for row in TASKS.values() if row.ready)
        raise InputError(f"task {name} ({task.title}) is not ready yet; ready: {ready}")
    return task
