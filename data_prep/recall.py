"""Recall of a task's candidates against their number per case, from the command line.

    python3 -m data_prep.recall polyp FOLDER --learn-from 1,2,3 [--groups 16,17,18]
"""
from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Optional

import click

from data_prep import proposals
from data_prep.recipe import Recipe
from layerwise.command import Command
from layerwise.contracts import Case
from layerwise.errors import InputError
from layerwise.tasks import task_named


def recall_table(recipe: Recipe, listed: Sequence[Any], jobs: int = 1, model: Path | None = None
                 ) -> tuple[int, Mapping[str, Mapping[str, float]]]:
    """Lesions in the cases, and the share hit by the best candidates of a case, by their number.

    Without lesions there are no shares. `model` is the file of a detector that has learnt.
    """
    cases = [Case(each.case, each.group, "test", recipe.inspect(each).lesions) for each in listed]
    models = {each.group: model for each in listed} if model else None
    found = proposals.detect_all(recipe, listed, max(recipe.recall_at, default=1), jobs, models)
    rows = [row for each in found for row in each.candidates]
    return (sum(case.lesions for case in cases),
            proposals.recall(cases, rows, recipe.recall_at).get("test", {}))


@click.command("recall", cls=Command)
@click.argument("task")
@click.argument("folder", type=Path)
@click.option("--groups", help="Only these groups (videos, patients), separated by commas.")
@click.option("--learn-from", help="Groups that a detector that learns is to learn from; they are "
                                   "left out of the recall.")
@click.option("--jobs", default=1, show_default=True, help="Processes.")
def main(task: str, folder: Path, groups: Optional[str], learn_from: Optional[str], jobs: int
         ) -> None:
    """Print the recall of TASK's candidates on a FOLDER of images and masks."""
    recipe: Recipe = import_module(task_named(task).preparer).RECIPE
    listed = recipe.read(folder)
    known = _of_groups(listed, learn_from)
    if recipe.learn and not known:
        raise InputError(f"the candidates of {task} are learnt: name groups of {folder} to learn "
                         "from, --learn-from A,B,...")
    seen = {each.group for each in known}
    tested = [each for each in (listed if groups is None else _of_groups(listed, groups))
              if each.group not in seen]
    with tempfile.TemporaryDirectory() as place:
        model = Path(place) / "model" if recipe.learn else None
        if recipe.learn and model:
            recipe.learn(known, model, 1)
        lesions, shares = recall_table(recipe, tested, jobs, model)
    click.echo(f"{len(tested)} cases, {lesions} lesions")
    for keep, row in shares.items():
        click.echo(f"{keep:>3} per case: {row['recall']:6.1%}  "
                   f"{round(row['recall'] * lesions)} found, "
                   f"{row['false_positives']:.1f} false positives per case")


def _of_groups(listed: Sequence[Any], groups: Optional[str]) -> list[Any]:
    return [each for each in listed if groups and each.group in groups.split(",")]


if __name__ == "__main__":
    main()
