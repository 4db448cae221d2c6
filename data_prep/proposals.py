"""The candidates of a data set: proposing them, the best of each case, and what they miss."""
from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from data_prep.feature_table import write_features
from data_prep.parallel import one_by_one, ordered_map
from data_prep.recipe import Detection, Recipe
from layerwise.contracts import Candidate, Case, write_rows

FEATURES = "features.csv"


def detect_all(recipe: Recipe, cases: Sequence[Any], keep: int, jobs: int,
               models: Mapping[str, Path] | None = None) -> list[Detection]:
    """Labelled candidates of all cases in their order, at most `keep` each, best first.

    `models` are the files of a detector that has learnt, by group.
    """
    detect = functools.partial(_detect, recipe.detect, keep, models)
    return list(ordered_map(functools.partial(one_by_one, detect), cases, jobs, recipe.batch,
                            "finding candidates", "cases"))


def _detect(detect: Callable[..., Detection], keep: int, models: Mapping[str, Path] | None,
            case: Any) -> Detection:
    return detect(case, keep=keep, model=models[case.group]) if models else detect(case, keep=keep)


def write_detections(folder: Path, recipe: Recipe, found: Sequence[Detection]) -> None:
    """candidates.csv, and features.csv (candidate, one column per feature) where there are any."""
    write_rows(folder / "candidates.csv", (row for each in found for row in each.candidates),
               recipe.kind)
    if recipe.features:
        write_features(folder / FEATURES, recipe.features,
                       ((row.candidate, values) for each in found
                        for row, values in zip(each.candidates, each.features)))


def best(candidates: Sequence[Candidate], keep: int) -> list[Candidate]:
    """The first `keep` candidates of each case; they come best first."""
    count: dict[str, int] = {}
    chosen = []
    for row in candidates:
        count[row.case] = count.get(row.case, 0) + 1
        if count[row.case] <= keep:
            chosen.append(row)
    return chosen


def recall(cases: Sequence[Case], candidates: Sequence[Candidate], at: Sequence[int]
           ) -> dict[str, dict[str, dict[str, float]]]:
    """Part of the lesions of each split hit by the first `at` candidates of a case, and the false
    positives per case that come with them.

    A lesion is hit however many candidates hit it; a split without lesions has no entry.
    """
    table: dict[str, dict[str, dict[str, float]]] = {}
    for split in sorted({case.split for case in cases}):
        names = {case.case for case in cases if case.split == split}
        lesions = sum(case.lesions for case in cases if case.split == split)
        if lesions:
            table[split] = {}
            for keep in at:
                rows = [row for row in best(candidates, keep) if row.case in names]
                table[split][str(keep)] = {
                    "recall": len({row.lesion for row in rows if row.lesion}) / lesions,
                    "false_positives": sum(not row.lesion for row in rows) / len(names)}
    return table


def shown(table: Mapping[str, Mapping[str, Mapping[str, float]]], case: str) -> list[str]:
    """The table of `recall` as lines to print."""
    return [f"  lesions hit by the first 1, 2, ... candidates per {case}, {split}: "
            + ", ".join(f"{keep}: {row['recall']:.2f}" for keep, row in curve.items())
            + f"; false positives per {case} of the last: "
            + f"{list(curve.values())[-1]['false_positives']:.1f}"
            for split, curve in table.items()]
