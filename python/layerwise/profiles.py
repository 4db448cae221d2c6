"""How much of everything: one row per profile.

`paper` takes the paper's sizes where it states them (patches, augmentation) and docs/decisions.md
where it does not (batch size, length of training). `quick` is a full sweep within minutes on two
cores, `reference` the committed results, and `mini` a rehearsal of every step for continuous
integration.
"""
from __future__ import annotations

from dataclasses import dataclass

from layerwise.errors import InputError


@dataclass(frozen=True)
class Profile:
    """Sizes of the data and length of the training."""

    name: str
    patches: int              # stratified training + validation patches at 100% of the data
    test_patches: int         # patches per test candidate whose probabilities are averaged
    candidates_per_case: int  # at most
    phantom_groups: int       # videos of the phantom
    phantom_cases: int        # frames per video
    batch_size: int
    iterations: int           # at most; the best snapshot on the validation set is kept
    evaluate_every: int       # iterations between validations (and resumable states)
    patience: int             # validations without a new best before stopping; 0 = never stop


PROFILES = {profile.name: profile for profile in (
    Profile("mini", patches=160, test_patches=1, candidates_per_case=3, phantom_groups=6,
            phantom_cases=4, batch_size=16, iterations=4, evaluate_every=2, patience=0),
    Profile("quick", patches=2000, test_patches=2, candidates_per_case=5, phantom_groups=24,
            phantom_cases=10, batch_size=32, iterations=80, evaluate_every=20, patience=0),
    Profile("reference", patches=5000, test_patches=6, candidates_per_case=5, phantom_groups=40,
            phantom_cases=20, batch_size=32, iterations=400, evaluate_every=50, patience=0),
    Profile("paper", patches=100_000, test_patches=120, candidates_per_case=1, phantom_groups=40,
            phantom_cases=945, batch_size=256, iterations=10_000, evaluate_every=100, patience=20),
)}


def profile_named(name: str) -> Profile:
    """The profile's row; InputError lists the known ones."""
    if name not in PROFILES:
        raise InputError(f"unknown profile {name!r}; the profiles are {', '.join(PROFILES)}")
    return PROFILES[name]
