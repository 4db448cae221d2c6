"""Recall of a task's candidates against their number per case, from the command line.

    python3 -m data_prep.recall polyp FOLDER [--groups 16,17,18]
"""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Optional

import click

from data_prep import proposals
from data_prep.recipe import Recipe
from layerwise.command import Command
from layerwise.contracts import Case
from layerwise.tasks import task_named


def recall_table(recipe: Recipe, listed: Sequence[Any], jobs: int = 1
                 ) -> tuple[int, Mapping[str, Mapping[str, float]]]:
    """Lesions in the cases, and the share hit by the best candidates of a case, by their number.

    Without lesions there are no shares.
    """
    cases = [Case(each.case, each.group, "test", recipe.inspect(each).lesions) for each in listed]
    found = proposals.detect_all(recipe, listed, max(recipe.recall_at, default=1), jobs)
    rows = [row for each in found for row in each.candidates]
    return (sum(case.lesions for case in cases),
            proposals.recall(cases, rows, recipe.recall_at).get("test", {}))


@click.command("recall", cls=Command)
@click.argument("task")
@click.argument("folder", type=Path)
@click.option("--groups", help="Only these groups (videos, patients), separated by commas.")
@click.option("--jobs", default=1, show_default=True, help="Processes.")
def main(task: str, folder: Path, groups: Optional[str], jobs: int) -> None:
    """Print the recall of TASK's candidates on a FOLDER of images and masks."""
    recipe: Recipe = import_module(task_named(task).preparer).RECIPE
    listed = recipe.read(folder)
    if groups is not None:
        wanted = set(groups.split(","))
        listed = [each for each in listed if each.group in wanted]
    lesions, shares = recall_table(recipe, listed, jobs)
    click.echo(f"{len(listed)} cases, {lesions} lesions")
    for keep, row in shares.items():
        click.echo(f"{keep:>3} per case: {row['recall']:6.1%}  "
                   f"{round(row['recall'] * lesions)} found, "
                   f"{row['false_positives']:.1f} false positives per case")


if __name__ == "__main__":
    main()
