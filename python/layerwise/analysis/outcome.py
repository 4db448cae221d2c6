"""How a run's training ended: signs of runs whose numbers say little of their way of training."""
from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from layerwise.errors import InputError
from layerwise.runs import read_json

IMPROVING, NEAR_CHANCE = "‡", "§"
LEARNT_AUC = 0.6   # of validation: less cannot be told from chance with some hundred patches
SIGNS = {IMPROVING: "may not have finished improving (its best validation was the last)",
         NEAR_CHANCE: f"near chance in validation (its best AUC is below {LEARNT_AUC:g})"}


def signs_of(path: Path) -> str:
    """The signs that a run's result.json earns it; "" without one, as of the handcrafted system.

    Raises InputError when a key is missing.
    """
    if not path.is_file():
        return ""
    result = read_json(path)
    for key in ("ended_by", "iterations", "best_iteration", "best_auc"):
        if key not in result:
            raise InputError(f"{path}: key {key} is missing")
    improving = result["ended_by"] != "patience" \
        and result["best_iteration"] == result["iterations"]
    return IMPROVING * improving + NEAR_CHANCE * (not result["best_auc"] >= LEARNT_AUC)


def joined(signs: Iterable[str]) -> str:
    """Every sign that is in any of `signs`, once."""
    found = set().union(*signs)
    return "".join(sign for sign in SIGNS if sign in found)


def explained(signs: str) -> str:
    """Sentences on what the signs mean, each with a space before it."""
    return "".join(f" {sign}: {SIGNS[sign]}." for sign in signs)
