"""A task's data set, from images to patches, in one folder.

`<data>/<task>/<dataset>/` holds cases.csv, candidates.csv, source.json, and the sealed folders
models/ (where the detector learns), detections/ (candidates before trimming, features of the
handcrafted system), train-100/, validation-100/, ... and test/; for the phantom also source/, its
images. inputs.json remembers the hashes of the images. Every part is complete or absent, and made
again only when what it is made from has changed. source.json comes last: without it the data set is
not finished.
"""
from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from data_prep import (
    inspection,
    models,
    proposals,
    seal,
    sets,
    splits,
)
from data_prep.code import code_digest
from data_prep.manifest import MANIFEST
from data_prep.recipe import Inspection, Recipe
from data_prep.request import Request, percent
from layerwise.contracts import Candidate, Case, json_or_empty, read_candidates, write_rows
from layerwise.errors import InputError
from layerwise.tasks import task_named

SUMMARY = "source.json"

# What patches are made with, beside the recipe's own code: a change makes them again.
SET_CODE = (inspection, models, proposals, sets, splits)


def dataset_name(request: Request) -> str:
    """Name of the data set's folder: where it comes from, and what of the request shapes it."""
    parts = [_source_name(request.source) if request.source else "phantom", request.profile.name]
    if request.seed != Request.seed:
        parts.append(f"seed{request.seed}")
    if request.test_fraction != Request.test_fraction:
        parts.append(f"test{percent(request.test_fraction)}")
    if request.negative:
        parts.append("negative_" + re.sub(r"[^\w.]+", "_", request.negative))
    if request.upright:
        parts.append("upright")
    if request.patch_side != Request.patch_side:
        parts.append(f"patch{request.patch_side}")
    return "-".join(parts)


def _source_name(source: Path) -> str:
    """A folder's name; of a table that names the images its stem, or its folder's if it is none."""
    path = source.resolve()
    return path.name if path.is_dir() else path.parent.name if path.name == MANIFEST else path.stem


def prepare(recipe: Recipe, request: Request) -> Path:
    """Make the data set of a request, or as much of it as is missing; the folder it is in.

    With a `source` of None the phantom is rendered first. Raises InputError for unusable input (as
    the recipe's reader), no candidates, too few groups or patches, a full or unwritable disk.
    """
    dataset = request.data / recipe.task / dataset_name(request)
    if request.source:
        recipe.read(request.source)  # complain before anything is made
    with seal.file_errors(dataset), seal.locked(dataset):
        source = request.source or _phantom(recipe, request, dataset / "source")
        _prepare(recipe, request, source, dataset)
    return dataset


def _prepare(recipe: Recipe, request: Request, source: Path, dataset: Path) -> None:
    listed, sizes = recipe.read(source), request.profile.sizes[recipe.task]
    found = inspection.inspect_cases(recipe, listed, dataset / "inputs.json", request.jobs)
    inspection.refuse_shared_images(recipe, listed, found)
    inputs = inspection.inputs_digest(listed, found)
    made_from = {
        "inputs_sha256": inputs, "seed": request.seed, "test_fraction": request.test_fraction,
        "patches": sizes.patches, "test_patches": sizes.test_patches,
        "candidates_per_case": sizes.candidates_per_case, "batch_size": request.profile.batch_size,
        "patch_side": request.patch_side,
        "code_sha256": code_digest(*recipe.code, *SET_CODE)}
    before = json_or_empty(dataset / SUMMARY)
    if _is_finished(dataset, before, made_from, sets.set_names(request.fractions)):
        _print_warnings(before.get("warnings", ()))
        return
    if before.get("made_from") != made_from:
        if before.get("source", str(source.resolve())) != str(source.resolve()) \
                and before["made_from"]["inputs_sha256"] != inputs:
            raise InputError(f"{dataset} holds what was made of {before['source']}, other images "
                             f"than in {source}: choose another --data folder, rename one of the "
                             "two sources, or delete it")
        (dataset / SUMMARY).unlink(missing_ok=True)     # else only sets are added to it
    try:
        # Who learns is known before there are candidates where these have to be learnt.
        split_of, trained = {each.group: each.split for each in listed}, None
        if recipe.learn:
            split_of, _ = _divide(recipe, request, _expected(listed, found), split_of)
            trained = models.learn_all(recipe, listed, found, split_of, dataset / "models", inputs,
                                       request.seed)
        every = _detections(recipe, request, dataset / "detections", listed, inputs, trained)
        chosen = proposals.best(every, sizes.candidates_per_case)
        side_of, order = _divide(recipe, request, [(row.group, row.label) for row in chosen],
                                 split_of)
        planned = sets.plan(recipe, request, chosen, side_of, order)
    except InputError as error:
        raise InputError(f"{source}: {error}") from None
    tested = [each for each in listed if side_of[each.group] == "test"]
    cases = [Case(each.case, each.group, side_of[each.group], found[each.case].lesions)
             for each in listed]
    write_rows(dataset / "cases.csv", cases, Case)
    write_rows(dataset / "candidates.csv", chosen, recipe.kind)
    sets.write_sets(recipe, dataset, planned, made_from,
                    {each.case: recipe.files(each)[0] for each in listed}, listed, tested,
                    request)
    _summarise(recipe, request, source, dataset, made_from, cases, chosen,
               proposals.recall(cases, every, recipe.recall_at),
               recipe.warn(listed, request.jobs) if recipe.warn else [])


def _divide(recipe: Recipe, request: Request, labels: Sequence[tuple[str, int]],
            split_of: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """The side of the split that each group is on, and the order of the training groups."""
    return recipe.divide(labels, split_of, request.test_fraction, request.seed)


def _expected(listed: Sequence[Any], found: Mapping[str, Inspection]) -> list[tuple[str, int]]:
    """Groups and labels of the candidates of a detector that finds every lesion, and something
    else in every case."""
    return [(each.group, label) for each in listed
            for label in ((0, 1) if found[each.case].lesions else (0,))]


def _is_finished(dataset: Path, summary: Mapping[str, Any], made_from: Mapping[str, Any],
                 names: Sequence[str]) -> bool:
    return summary.get("made_from") == made_from \
        and all(seal.is_sealed(dataset / name, made_from) for name in names) \
        and all(seal.file_digest(dataset / name) == sha256
                for name, sha256 in summary["sha256"].items())


def _phantom(recipe: Recipe, request: Request, folder: Path) -> Path:
    """Render the phantom unless it is there already."""
    if recipe.phantom is None:
        raise InputError(f"task {recipe.task} has no phantom; name your images by --images")
    sizes = request.profile.sizes[recipe.task]
    settings = recipe.phantom.settings(sizes.phantom_groups, sizes.phantom_cases)
    made_from = {"settings": asdict(settings), "seed": request.seed,
                 "code_sha256": code_digest(*recipe.phantom.code)}
    if not seal.is_sealed(folder, made_from):
        with seal.sealed(folder, made_from) as draft:
            recipe.phantom.write(draft.path, settings, request.seed, request.jobs)
    return folder


def _detections(recipe: Recipe, request: Request, folder: Path, listed: Sequence[Any], inputs: str,
                trained: Mapping[str, Path] | None) -> list[Candidate]:
    """All labelled candidates, from the last run where images, code and models are the same.

    More are kept than the profile trains on, for the recall of longer lists.
    """
    keep = max((*recipe.recall_at, request.profile.sizes[recipe.task].candidates_per_case))
    made_from = {"inputs_sha256": inputs, "keep": keep,
                 "code_sha256": code_digest(*recipe.code, proposals)}
    if trained:
        made_from["models"] = {group: [path.name, seal.file_digest(path)]
                               for group, path in trained.items()}
    if not seal.is_sealed(folder, made_from):
        found = proposals.detect_all(recipe, listed, keep, request.jobs, trained)
        if not any(each.candidates for each in found):
            case = task_named(recipe.task).case
            raise InputError(f"no candidates in any of {len(listed)} {case}s; are these "
                             f"{recipe.expects}?")
        with seal.sealed(folder, made_from) as draft:
            proposals.write_detections(draft.path, recipe, found)
    return read_candidates(folder / "candidates.csv")


def _summarise(recipe: Recipe, request: Request, source: Path, dataset: Path,
               made_from: Mapping[str, Any], cases: Sequence[Case], chosen: Sequence[Candidate],
               recall: Mapping[str, Mapping[str, Mapping[str, float]]], warnings: Sequence[str]
               ) -> None:
    """Write source.json and print what a reader of the results has to know."""
    task = task_named(recipe.task)
    facts = {folder.name: json_or_empty(folder / seal.SEAL)["facts"]
             for folder in sets.written_sets(dataset)}
    counts = {split: {
        "groups": len({case.group for case in cases if case.split == split}),
        f"{task.case}s": sum(case.split == split for case in cases),
        "lesions": sum(case.lesions for case in cases if case.split == split),
        "candidates": sum(row.case in names for row in chosen),
        "positive_candidates": sum(row.case in names and row.label > 0 for row in chosen)}
        for split in ("train", "test")
        for names in [{case.case for case in cases if case.split == split}]}
    # Nobody has the paper's private data: whatever the images are, they stand in for them.
    stand_in = (recipe.origin(source) or None) if request.source else "phantom"
    seal.write_json(dataset / SUMMARY, {
        "task": recipe.task, "dataset": dataset.name, "source": str(source.resolve()),
        "stand_in": stand_in,
        "seed": request.seed,
        "settings": {"profile": request.profile.name, "test_fraction": request.test_fraction,
                     "fractions": list(request.fractions)},
        "counts": counts, "recall_by_candidates_per_case": recall, "sets": facts,
        "made_from": made_from, **({"warnings": warnings} if recipe.warn else {}),
        "sha256": {name: seal.file_digest(dataset / name)
                   for name in ("cases.csv", "candidates.csv")}})
    print(dataset.name + (f": {stand_in} (stand-in)" if stand_in else ""))
    for split, row in counts.items() if task.classes else ():     # your own have lines per class
        print(f"  {split}: " + ", ".join(f"{value} {key.replace('_', ' ')}"
                                         for key, value in row.items()))
    if task.evaluation == "froc":   # elsewhere nothing is searched for, and nothing missed
        for line in proposals.shown(recall, task.case):
            print(line)
    _print_warnings(warnings)


def _print_warnings(warnings: Sequence[str]) -> None:
    for line in warnings:
        print(f"  warning: {line}")
