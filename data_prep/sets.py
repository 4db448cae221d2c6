"""The sets of patches of a split: which there are, how large, and writing them."""
from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_prep import cutting, lmdb_store, patches, sampling, seal, splits
from data_prep.recipe import Recipe
from data_prep.request import Request, percent
from layerwise.contracts import Candidate, IndexRow, write_rows
from layerwise.errors import InputError
from layerwise.machine import check_free
from layerwise.tasks import task_named

DATUM_BYTES = 3 * patches.PATCH_PX ** 2 + 32
KINDS = ("train", "validation")
TEST = "test"
_SET_NAME = re.compile(rf"(?:{'|'.join(KINDS)})-\d+|{TEST}")


@dataclass(frozen=True)
class PatchSet:
    """One set to write: its candidates and how many patches of them."""

    name: str
    candidates: tuple[Candidate, ...]
    wanted: int              # patches asked for; the set may be smaller where a class has too few
    size: int                # patches it will have
    multiple: int
    views: tuple[str, ...]
    random: bool             # drawn at random and balanced, or all views of each candidate

    def rows(self, seed: int) -> list[sampling.PatchRow]:
        """The patches in their order; each set draws from a stream of its own."""
        if self.random:
            return sampling.balanced(self.candidates, self.views, self.wanted, self.multiple,
                                     splits.generator(seed, f"patches {self.name}"))
        return sampling.every_view(self.candidates, self.views)


def set_names(fractions: Sequence[float]) -> list[str]:
    """train-100, validation-100, ..., test."""
    return [f"{kind}-{percent(fraction)}" for fraction in fractions for kind in KINDS] + [TEST]


def written_sets(dataset: Path) -> list[Path]:
    """Folders of the sets that this program has written into a data set, by name."""
    return sorted(folder for folder in dataset.iterdir() if _SET_NAME.fullmatch(folder.name)
                  and (folder / seal.SEAL).is_file())


def plan(recipe: Recipe, request: Request, candidates: Sequence[Candidate],
         side_of: Mapping[str, str], order: Sequence[str]) -> list[PatchSet]:
    """All sets of a request; a reduced set has as much fewer patches as it has less data.

    But at least a mini-batch, where it has that many: 1% of a small set would have none to train.
    The test set is not among them where the recipe writes its test cases otherwise.

    Raises InputError when a set has too few candidates for one batch, or the request asks for more
    test patches of a candidate than there are.
    """
    task, sizes, views = task_named(recipe.task), request.profile.sizes[recipe.task], recipe.views
    if not 1 <= sizes.test_patches <= len(views.test):
        raise InputError(f"{sizes.test_patches} patches per test candidate; expected 1 to "
                         f"{len(views.test)}")
    sets = []
    if recipe.write_test is None:
        tested = tuple(row for row in candidates if side_of[row.group] == "test")
        shown = views.test[:sizes.test_patches]
        size = len(tested) * len(shown)
        sets.append(PatchSet(TEST, tested, size, size, 1, shown, random=False))
    for fraction in request.fractions:
        total = int(sizes.patches * fraction)
        pools = splits.pools(candidates, order, task.reduced_by, fraction, request.seed,
                             task.validation_every)
        for kind, rows, wanted, multiple in zip(
                KINDS, pools, (total * 4 // 5, total - total * 4 // 5),
                (request.profile.batch_size, max(2, len({row.label for row in candidates})))):
            name, wanted = f"{kind}-{percent(fraction)}", max(wanted, multiple)
            try:
                size = sampling.balanced_size(rows, len(views.training), wanted, multiple)
            except InputError as error:
                raise InputError(f"{name}: {error}") from None
            sets.append(PatchSet(name, tuple(rows), wanted, size, multiple, views.training,
                                 random=True))
    return sets


def write_sets(recipe: Recipe, dataset: Path, sets: Sequence[PatchSet],
               made_from: Mapping[str, Any], paths: Mapping[str, Path], listed: Sequence[Any],
               tested: Sequence[Any], request: Request) -> None:
    """Write the sets that are missing.

    Args:
        paths: image files by case.
        listed, tested: all cases, test cases.

    Sets of an earlier split are removed: beside the new ones they would mix training and test
    groups. Raises InputError when the disk has too little room for all of them.
    """
    for folder in written_sets(dataset):
        if not seal.is_sealed(folder, made_from):
            seal.remove(folder)
    missing = [each for each in sets if not seal.is_sealed(dataset / each.name, made_from)]
    check_free(dataset, sum(lmdb_store.estimated_bytes(each.size, DATUM_BYTES)
                            for each in missing))
    for each in missing:
        if each.size < each.wanted - each.wanted % each.multiple:
            print(f"{each.name}: {each.size} of {each.wanted} patches; a class has no more")
        with seal.sealed(dataset / each.name, made_from) as draft:
            write_rows(draft.path / "candidates.csv", each.candidates, recipe.kind)
            draft.facts.update(_write_set(recipe, draft.path, each, paths, request))
            if recipe.write_test is not None:     # a handcrafted system learns from whole cases
                pooled = {row.case for row in each.candidates}
                whole = recipe.write_test(draft.path, [one for one in listed if one.case in pooled])
                draft.facts["content_sha256"] = seal.digest(
                    [draft.facts["content_sha256"], whole["content_sha256"]])
    if recipe.write_test is not None and not seal.is_sealed(dataset / TEST, made_from):
        with seal.sealed(dataset / TEST, made_from) as draft:
            draft.facts.update(recipe.write_test(draft.path, tested))


def _write_set(recipe: Recipe, folder: Path, each: PatchSet, paths: Mapping[str, Path],
               request: Request) -> dict[str, Any]:
    rows = each.rows(request.seed)
    index = [IndexRow(lmdb_store.key_of(position), row.candidate.case, row.candidate.group,
                      row.candidate.candidate, row.view, row.candidate.label)
             for position, row in enumerate(rows)]
    cuts = [cutting.Cut(paths[row.candidate.case], row.candidate, row.view) for row in rows]
    with closing(cutting.cut_all(recipe.views, cuts, request.jobs, each.name)) as values:
        content = lmdb_store.write_set(folder, index, values, DATUM_BYTES)
    return {"patches": len(rows), "positive": sum(row.label > 0 for row in index),
            "candidates": len(each.candidates), "groups": sorted({row.group for row in index}),
            "content_sha256": content}
