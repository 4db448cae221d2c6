"""Reading every file once before anything is made: sound, hashed, not in two groups at once."""
from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from data_prep.parallel import one_by_one, ordered_map
from data_prep.recipe import Inspection, Recipe
from data_prep.seal import code_digest, digest, read_json, write_json
from layerwise.errors import InputError


def _stamp(files: Sequence[Path]) -> list[Any]:
    """Path, size and time of change of files: while these stay, so do the hashes."""
    status = [(path, path.stat()) for path in files]
    return [value for path, stat in status
            for value in (str(path), stat.st_size, stat.st_mtime_ns)]


def inspect_cases(recipe: Recipe, cases: Sequence[Any], cache: Path, jobs: int
                  ) -> dict[str, Inspection]:
    """Decode and hash every file by case; files unchanged since the last time are not read again.

    `cache` (JSON) is written once all files are found to be sound. Raises InputError for a damaged
    file or a mask that does not fit.
    """
    known, code = read_json(cache), code_digest(*recipe.code)
    entries: Mapping[str, Any] = known["cases"] if known.get("code_sha256") == code else {}
    stamps = {case.case: _stamp(recipe.files(case)) for case in cases}
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
    """SHA-256 over all cases: name, group, split and the hashes of their files."""
    return digest([[case.case, case.group, case.split, *found[case.case].sha256]
                   for case in cases])
