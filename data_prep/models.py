"""Detectors that learn: for every group a model that has not seen it.

The test groups get a model of all training groups. Of the training groups each half gets a model of
the other half, so that the candidates that networks learn from are such as they will be tested on.
"""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from data_prep import seal, splits
from data_prep.code import code_digest
from data_prep.recipe import Inspection, Recipe

TEST, HALVES = "test", ("first", "second")
"""Names of the models, by the groups that they are for."""


def parts(listed: Sequence[Any], found: Mapping[str, Inspection], side_of: Mapping[str, str],
          seed: int) -> dict[str, str]:
    """The model of each group. Both halves of the training groups have lesions if two groups do."""
    with_lesions = {each.group for each in listed if found[each.case].lesions}
    training = sorted(group for group, side in side_of.items() if side == "train")
    mixed = [training[i] for i in splits.generator(seed, "models").permutation(len(training))]
    mixed.sort(key=lambda group: group not in with_lesions)
    halves = {group: HALVES[place % 2] for place, group in enumerate(mixed)}
    return {group: halves.get(group, TEST) for group in sorted(side_of)}


def learn_all(recipe: Recipe, listed: Sequence[Any], found: Mapping[str, Inspection],
              side_of: Mapping[str, str], folder: Path, inputs: str, seed: int) -> dict[str, Path]:
    """Files of the models by group, in the sealed `folder`; from the last run where nothing has
    changed. Raises InputError as the recipe does."""
    learn, part_of = recipe.learn, parts(listed, found, side_of, seed)
    assert learn is not None
    made_from = {"inputs_sha256": inputs, "seed": seed, "parts": part_of,
                 "code_sha256": code_digest(*recipe.code)}
    if not seal.is_sealed(folder, made_from):
        with seal.sealed(folder, made_from) as draft:
            for name in (*HALVES, TEST):
                learn([each for each in listed if part_of[each.group] not in (name, TEST)],
                      draft.path / name, seed)
    return {group: folder / name for group, name in part_of.items()}
