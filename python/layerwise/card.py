"""The card of an exported network: what it was made from, how good it is, what it is for."""
from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from layerwise.analysis.auc_bootstrap import evidence_groups
from layerwise.analysis.deeper import measure
from layerwise.contracts import read_candidates, read_scores
from layerwise.depths import depth_named
from layerwise.errors import InputError
from layerwise.runs import RESULT, SCORES, Run, read_json
from layerwise.tasks import task_named
from layerwise.validation import Judged, judged_scores, read_validation

BALANCED = ("The classes were equally frequent in training, whatever they are in the data: "
            "`p_<class>` is not a probability at the clinic's prevalence, and 0.5 over-calls rare "
            "classes.")


def card(folder: Path, run: Run, views: Sequence[str]) -> str:
    """Markdown; `folder` is the run's, `views` those of an image that are averaged.

    Raises InputError when the prepared data are gone.
    """
    task, depth, result = task_named(run.task, run.classes), depth_named(run.init), \
        read_json(folder / RESULT)
    stand_ins = [f"- **{what}: {text} (stand-in)**" for what, text in (
        ("Data", run.stand_in_data), ("Source weights", run.stand_in_weights)) if text]
    start = f"fine-tuned from {run.source_weights} (SHA-1 {run.source_sha1})" \
        if depth.fine_tuned else f"trained from scratch ({depth.filler} initialisation)"
    frozen = ", ".join(depth.frozen) or "none"
    return "\n".join((
        f"# {task.title}: {depth.legend}",
        "",
        f"AlexNet (Caffe), {start}, {depth.first_tuned} the first tuned layer; frozen: {frozen}.",
        "",
        "## Classes",
        "",
        *(f"- {label}: {name}" for label, name in enumerate(run.classes)),
        "",
        f"In the data: {_counts(run)} candidates. {BALANCED}",
        "",
        "## Data",
        "",
        *(stand_ins or [f"- {run.dataset}"]),
        f"- data set {run.dataset}, {run.fraction}% of its training data, {run.train_images} "
        "patches; training, validation and test share no group "
        f"({task.group.split()[-1]})",
        "",
        "## Training",
        "",
        f"- seed {run.seed}, mini-batches of {run.batch_size}, at most {run.iterations} iterations",
        f"- best of the snapshots on the validation set: iteration {result['best_iteration']}, "
        f"AUC of patches {result['best_auc']:.4f}{_validated(folder, task.ranking)}; a little too "
        "high, as the snapshot was chosen on it",
        "",
        "## Test",
        "",
        f"- {_tested(folder, task.ranking)}",
        "",
        "## Input",
        "",
        f"227x227 BGR, 0..255, less the mean {', '.join(f'{value:g}' for value in run.mean_bgr)}; "
        f"the probabilities of {len(views)} views of an image are averaged ({', '.join(views)}).",
        "",
        "## Intended use",
        "",
        "Research on images of the same kind, from the same kind of device, prepared alike. Not a "
        "medical device: not for diagnosis. Numbers of other groups, devices or sites are unknown.",
        *(["", "Numbers on stand-ins say nothing about what they stand in for."]
          if stand_ins else []),
        ""))


def _counts(run: Run) -> str:
    found = Counter(row.label for row in read_candidates(Path(run.data) / "candidates.csv"))
    return ", ".join(f"{name} {found[label]}" for label, name in enumerate(run.classes))


def _validated(folder: Path, ranking: str) -> str:
    judged = read_validation(folder)
    return "" if judged is None else f" (on {judged.name} {_numbers(judged, ranking)})"


def _tested(folder: Path, ranking: str) -> str:
    if not (folder / SCORES).is_file():
        return "not scored"
    judged = judged_scores("test", read_scores(folder / SCORES)[0])
    return f"{len(judged.labels)} test candidates: {_numbers(judged, ranking)}"


def _numbers(judged: Judged, ranking: str) -> str:
    try:
        pairs = judged.pairs(ranking)
    except InputError:
        return "no AUC, only one class"
    groups = evidence_groups(pairs)
    found = measure("", [pairs], groups, 0)
    ends = "no interval" if math.isnan(found.low) else f"{found.low:.4f}, {found.high:.4f}"
    return (f"AUC {found.auc:.4f} [95%: {ends}; bootstrap over groups, {groups} of them with the "
            "rarer class]")
