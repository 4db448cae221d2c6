"""How much of everything: one row per profile.

`paper` takes the paper's sizes where it states them (patches, augmentation) and docs/decisions.md
where it does not (batch size, length of training). `quick` is a full sweep within minutes on two
cores, `reference` the committed results, and `mini` a rehearsal of every step for continuous
integration.
"""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from layerwise.errors import InputError


@dataclass(frozen=True)
class Sizes:
    """How much data of one task."""

    patches: int              # stratified training + validation patches at 100% of the data
    test_patches: int         # patches per test candidate whose probabilities are averaged
    candidates_per_case: int  # at most, the best first
    phantom_groups: int = 0   # videos, patients or subjects of the phantom, where there is one
    phantom_cases: int = 0    # frames, volumes or regions of each


@dataclass(frozen=True)
class Profile:
    """Sizes of the data by task, and length of the training."""

    name: str
    sizes: Mapping[str, Sizes]
    batch_size: int
    iterations: int           # at most; the best snapshot on the validation set is kept
    evaluate_every: int       # iterations between validations (and resumable states)
    patience: int             # validations without a new best before stopping; 0 = never stop


PROFILES = {profile.name: profile for profile in (
    Profile("mini", {
        "polyp": Sizes(160, 1, 5, phantom_groups=10, phantom_cases=6),
        "pe": Sizes(160, 1, 60, phantom_groups=6, phantom_cases=1),
        "frames": Sizes(160, 1, 1, phantom_groups=6, phantom_cases=4),
        "cimt": Sizes(240, 1, 60, phantom_groups=6, phantom_cases=2),
        "own": Sizes(160, 1, 10_000),
    }, batch_size=16, iterations=4, evaluate_every=2, patience=0),
    Profile("quick", {
        "polyp": Sizes(2000, 2, 5, phantom_groups=24, phantom_cases=10),
        "pe": Sizes(2000, 2, 60, phantom_groups=16, phantom_cases=1),
        "frames": Sizes(2000, 8, 1, phantom_groups=24, phantom_cases=10),
        "cimt": Sizes(2000, 1, 180, phantom_groups=12, phantom_cases=2),
        "own": Sizes(2000, 4, 10_000),
    }, batch_size=32, iterations=80, evaluate_every=20, patience=0),
    Profile("reference", {
        "polyp": Sizes(5000, 6, 5, phantom_groups=40, phantom_cases=20),
        "pe": Sizes(5000, 6, 60, phantom_groups=40, phantom_cases=1),
        "frames": Sizes(5000, 20, 1, phantom_groups=40, phantom_cases=20),
        "cimt": Sizes(6000, 1, 180, phantom_groups=24, phantom_cases=4),
        "own": Sizes(5000, 8, 10_000),
    }, batch_size=32, iterations=400, evaluate_every=50, patience=0),
    Profile("paper", {
        "polyp": Sizes(100_000, 120, 1, phantom_groups=40, phantom_cases=945),
        "pe": Sizes(81_000, 90, 60, phantom_groups=121, phantom_cases=1),
        "frames": Sizes(40_000, 200, 1, phantom_groups=6, phantom_cases=667),
        "cimt": Sizes(200_000, 1, 1380, phantom_groups=23, phantom_cases=12),
        "own": Sizes(100_000, 15, 10_000),
    }, batch_size=256, iterations=10_000, evaluate_every=100, patience=20),
)}


def profile_named(name: str) -> Profile:
    """The profile's row; InputError lists the known ones."""
    if name not in PROFILES:
        raise InputError(f"unknown profile {name!r}; the profiles are {', '.join(PROFILES)}")
    return PROFILES[name]
