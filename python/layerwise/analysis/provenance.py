"""What stands behind a set of runs: data, source weights, and whether runs may be compared."""
from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from layerwise.contracts import Score
from layerwise.errors import InputError

Config = Mapping[str, Any]
# Said when networks differ in them; a handcrafted system is none.
SHARED_SETTINGS = ("source_sha1", "mean_bgr", "iterations", "batch_size", "evaluate_every",
                   "patience")


class Scored(NamedTuple):
    """One run as far as comparability goes: where it lies, and seals of what it was tested on."""

    folder: str
    fraction: int
    test_set: str
    data_sha256: str
    test_sha256: str


def seal_of(scores: Sequence[Score]) -> str:
    """SHA-256 over case, candidate, lesion and label of all rows, in any order."""
    rows = sorted((row.case, row.candidate, row.lesion, row.label) for row in scores)
    return hashlib.sha256(repr(rows).encode("utf-8")).hexdigest()


def check_comparable(runs: Sequence[Scored]) -> None:
    """All runs must have scored the same test set, those of one fraction seen the same data.

    An empty seal (boundary tasks, runs without training data, runs of earlier versions) is not
    compared. Raises InputError naming the two runs that contradict each other.
    """
    first: dict[tuple[str, int], tuple[Scored, str]] = {}
    for run in runs:
        for what, fraction, seal, says in (
                ("test_set", 0, run.test_set, "scores.csv holds other candidates (case, candidate, "
                 "lesion or label) than {}; runs can only be compared on the same test set"),
                ("test_sha256", 0, run.test_sha256, "config.json names another test set "
                 "(test_sha256) than {}; runs can only be compared on the same one"),
                ("data_sha256", run.fraction, run.data_sha256, "config.json names other data "
                 "(data_sha256) than {}; runs can only be compared on the same data")):
            if not seal:
                continue
            earlier, expected = first.setdefault((what, fraction), (run, seal))
            if seal != expected:
                raise InputError(f"{run.folder}: {says.format(earlier.folder)}")


def _marked(text: str) -> str:
    return text if "stand-in" in text else f"{text} (stand-in)"


def _named(configs: Sequence[Config], key: str) -> str:
    values = sorted({str(config[key]) for config in configs if config[key]})
    return _marked(", ".join(values)) if values else ""


def origin(dataset: str, configs: Sequence[Config]) -> tuple[tuple[str, str], ...]:
    """("data", name) and ("source weights", name or ""), stand-ins marked as such."""
    return (("data", _named(configs, "stand_in_data") or dataset),
            ("source weights", _named(configs, "stand_in_weights")))


def differences(configs: Sequence[Config]) -> str:
    """For example "runs differ in batch_size (16, 32)"; "" when they share their settings."""
    networks = [config for config in configs if config.get("iterations")]
    found = []
    for key in SHARED_SETTINGS:
        values = {_short(config[key]) for config in networks if config.get(key) is not None}
        if len(values) > 1:
            found.append(f"{key} ({', '.join(sorted(values, key=lambda text: (len(text), text)))})")
    return f"runs differ in {', '.join(found)}" if found else ""


def _short(value: Any) -> str:
    return "/".join(f"{part:g}" for part in value) if isinstance(value, list) else str(value)[:8]


def provenance_line(dataset: str, configs: Sequence[Config]) -> str:
    """For example "data: phantom (stand-in) · source weights: distilled (stand-in)".

    Where the runs' training differs (see SHARED_SETTINGS), that is said too.
    """
    parts = [f"{name}: {text}" for name, text in origin(dataset, configs) if text]
    return " · ".join([*parts, *filter(None, [differences(configs)])])
