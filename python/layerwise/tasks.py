"""The four tasks of the paper, as rows, and the row of your own images.

Sizes are the paper's (section IV). `train_images` is |X| of Eq. (2): the 80% of the stratified
patches that are left for training after the validation split.
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

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
    reduced_by: str                    # a reduced training set has fewer: see splits.pools
    operating_points: tuple[float, ...]  # of Tables S1-S3: false positives per case, or FPR (roc)
    handcrafted: str = ""              # module with scores() of the handcrafted system
    extra_points: tuple[float, ...] = ()   # beside the paper's: where few cases can still tell
    ranking: str = "lesion"            # one AUC of many classes: a rule of `ranking.RULES`
    validation_every: int = 5          # one training group in so many validates: the paper's 80/20

    @property
    def preparer(self) -> str:
        """Name of the module with RECIPE and prepare()."""
        return f"data_prep.{self.name}.prepare"

    @property
    def by_region(self) -> bool:
        """Whether every pixel of a test region is classified, instead of candidates."""
        return self.evaluation == "boundary"

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
         handcrafted="data_prep.polyp.handcrafted", extra_points=(0.1, 1.0)),
    Task("pe", "Pulmonary embolism detection", ("background", "embolism"), "patient", "volume",
         "froc", 81_000, (1.0, 0.5, 0.25), "lesion", (1.0, 2.0, 3.0, 4.0, 5.0),
         handcrafted="data_prep.pe.handcrafted"),
    Task("frames", "Colonoscopy frame quality", ("noninformative", "informative"), "video",
         "frame", "roc", 40_000, (1.0, 0.1, 0.05, 0.01), "case", (0.10, 0.15, 0.20),
         handcrafted="data_prep.frames.handcrafted"),
    Task("cimt", "Intima-media boundary segmentation",
         ("background", "lumen_intima", "media_adventitia"), "subject", "region", "boundary",
         200_000, (1.0, 0.1), "group", (), handcrafted="data_prep.cimt.handcrafted"),
)}


# Its classes are in the images' manifest and, once there are runs, in every run's config.json. How
# deep to tune is decided on the validation groups, so that there are more of them.
OWN = Task("own", "Your own images", (), "group", "image", "roc",
           5000, (1.0, 0.5, 0.25), "training group", (0.05, 0.10, 0.20),
           ranking="one-vs-rest", validation_every=3)


def task_named(name: str, classes: Sequence[str] = ()) -> Task:
    """The task's row; InputError lists the known ones.

    Args:
        classes: of your own images; the paper's tasks know theirs.
    """
    if name == OWN.name:
        return replace(OWN, classes=tuple(classes))
    if name not in TASKS:
        raise InputError(f"unknown task {name!r}; the tasks are {', '.join(TASKS)}, "
                         f"and {OWN.name} for your own images")
    return TASKS[name]
