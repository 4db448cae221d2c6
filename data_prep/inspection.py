"""Reading every file once before anything is made: sound, hashed, not in two groups at once."""
from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from data_prep.code import code_digest
from data_prep.parallel import one_by_one, ordered_map
from data_prep.recipe import Inspection, Recipe
from data_prep.seal import digest, write_json
from layerwise.contracts import json_or_empty
from layerwise.errors import InputError


def _told(case: Any) -> dict[str, Any]:
    """What a manifest or a folder's name says of a case, beside where its files are."""
    return {name: value for name, value in vars(case).items() if not isinstance(value, Path)}


def _stamp(case: Any, files: Sequence[Path]) -> str:
    """Digest of path, size and time of change of files, and of what is told of the case: while
    these stay, so does what inspection finds.
    """
    status = [(path, path.stat()) for path in files]
    return digest([_told(case), *((str(path), stat.st_size, stat.st_mtime_ns)
                                  for path, stat in status)])


def inspect_cases(recipe: Recipe, cases: Sequence[Any], cache: Path, jobs: int
                  ) -> dict[str, Inspection]:
    """Decode and hash every file by case; files unchanged since the last time are not read again.

    `cache` (JSON) is written once all files are found to be sound. Raises InputError for a damaged
    file or a mask that does not fit.
    """
    known, code = json_or_empty(cache), code_digest(*recipe.code)
    entries: Mapping[str, Any] = known["cases"] if known.get("code_sha256") == code else {}
    stamps = {case.case: _stamp(case, recipe.files(case)) for case in cases}
    found = {name: Inspection(tuple(entries[name]["sha256"]), entries[name]["lesions"])
             for name, stamp in stamps.items()
             if name in entries and entries[name]["stamp"] == stamp}
    unknown = [case for case in cases if case.case not in found]
    if unknown:
        inspected = ordered_map(functools.partial(one_by_one, recipe.inspect), unknown, jobs,
                                recipe.batch, "checking files", "cases")
        found.update(zip((case.case for case in unknown), inspected))
    if unknown or len(entries) != len(cases):
        write_json(cache, {"code_sha256": code, "cases": {
            name: {"stamp": stamp, **vars(found[name])} for name, stamp in stamps.items()}})
    return found


def refuse_shared_images(recipe: Recipe, cases: Sequence[Any], found: Mapping[str, Inspection]
                         ) -> None:
    """InputError when the same image is in two groups: it could be trained and tested on."""
    first: dict[str, Any] = {}
    for case in cases:
        other = first.setdefault(found[case.case].sha256[0], case)
        if other.group != case.group:
            raise InputError(f"{recipe.files(case)[0]}: duplicate image, the same file as "
                             f"{recipe.files(other)[0].name} of group {other.group}; remove one "
                             "of them")


def inputs_digest(cases: Sequence[Any], found: Mapping[str, Inspection]) -> str:
    """SHA-256 over all cases: what is told of each, its lesions and the hashes of its files."""
    return digest([[_told(case), vars(found[case.case])] for case in cases])
