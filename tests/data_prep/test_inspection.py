"""Files are read once, until they change; the same image may not be in two groups."""
from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from data_prep import inspection
from data_prep.polyp import reader
from data_prep.polyp.prepare import RECIPE
from data_prep.recipe import Inspection
from layerwise.errors import InputError


def test_inspection_is_remembered_until_a_file_changes(colon: Path, tmp_path: Path) -> None:
    frames, cache = reader.read_frames(colon), tmp_path / "inputs.json"
    read: list[str] = []

    def counted(frame: reader.Frame) -> Inspection:
        read.append(frame.case)
        return RECIPE.inspect(frame)
    recipe = replace(RECIPE, inspect=counted)
    first = inspection.inspect_cases(recipe, frames, cache, 1)
    assert len(read) == len(frames)
    assert [first[frame.case].lesions for frame in frames[:3]] == [1, 1, 0]
    assert inspection.inspect_cases(recipe, frames, cache, 1) == first
    assert len(read) == len(frames)
    frames[4].image_path.write_bytes(frames[5].image_path.read_bytes())
    second = inspection.inspect_cases(recipe, frames, cache, 1)
    assert read[len(frames):] == [frames[4].case]
    assert inspection.inputs_digest(frames, first) != inspection.inputs_digest(frames, second)


def test_what_a_manifest_says_anew_is_noticed(colon: Path, tmp_path: Path) -> None:
    """Images and their times are the same, but a label, a group or a split is another."""
    frames, cache = reader.read_frames(colon), tmp_path / "inputs.json"
    first = inspection.inspect_cases(RECIPE, frames, cache, 1)
    moved = [replace(frames[0], split="train"), *frames[1:]]
    assert inspection.inputs_digest(moved, first) != inspection.inputs_digest(frames, first)
    recipe = replace(RECIPE, inspect=lambda frame: Inspection(("other",), 7))
    second = inspection.inspect_cases(recipe, moved, cache, 1)
    assert second[frames[0].case] == Inspection(("other",), 7)
    assert {case: found for case, found in second.items() if case != frames[0].case} == {
        case: found for case, found in first.items() if case != frames[0].case}


def test_the_same_image_in_two_groups_is_refused(colon: Path, tmp_path: Path) -> None:
    frames = reader.read_frames(colon)
    frames[4].image_path.write_bytes(frames[3].image_path.read_bytes())
    same_group = inspection.inspect_cases(RECIPE, frames, tmp_path / "a.json", 1)
    inspection.refuse_shared_images(RECIPE, frames, same_group)
    frames[4].image_path.write_bytes(frames[0].image_path.read_bytes())
    shared = inspection.inspect_cases(RECIPE, frames, tmp_path / "b", 1)
    with pytest.raises(InputError, match=r"004\.png: duplicate image, .* 000\.png of group g0"):
        inspection.refuse_shared_images(RECIPE, frames, shared)
