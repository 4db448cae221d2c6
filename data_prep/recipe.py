"""What a task brings to its data preparation: how to read, propose, cut and render.

`data_prep.prepare` does the rest, alike for all tasks. All functions are named at the top of their
module, so that worker processes can be sent to them.
"""
from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Optional

import numpy as np

from data_prep import splits
from layerwise.contracts import Candidate


@dataclass(frozen=True)
class Inspection:
    """What the files of one case hold: SHA-256 of each, the image first, and unique lesions."""

    sha256: tuple[str, ...]
    lesions: int


@dataclass(frozen=True)
class Detection:
    """Candidates of one case, best first, each with the features of the handcrafted system."""

    candidates: tuple[Candidate, ...]
    features: np.ndarray  # (candidates, features) float64; no columns where the task has none


@dataclass(frozen=True)
class Views:
    """The patches of one candidate, by name."""

    training: tuple[str, ...]  # training patches are drawn from these
    test: tuple[str, ...]      # test patches are the first few of these: every prefix well spread
    load: Callable[[Path], Any]                           # what patches are cut from
    cut: Callable[[Any, Candidate, str], np.ndarray]      # (227, 227, 3) uint8 BGR


@dataclass(frozen=True)
class Phantom:
    """The built-in data of a task."""

    settings: Callable[[int, int], Any]              # groups, cases per group: a dataclass
    write: Callable[[Path, Any, int, int], None]     # folder, settings, seed, jobs
    code: tuple[ModuleType, ...]                     # what renders it; what these import counts


@dataclass(frozen=True)
class Recipe:
    """One task's part in the preparation.

    A case (frame, scan) has the attributes `case`, `group` and `split` ("" where not given).
    """

    task: str
    kind: type[Candidate]
    expects: str                                     # in words: what the images should be
    read: Callable[[Path], Sequence[Any]]            # all cases of a folder
    files: Callable[[Any], Sequence[Path]]           # files of a case, the image first
    inspect: Callable[[Any], Inspection]
    detect: Callable[..., Detection]                 # a case; keep=, the most candidates
    features: tuple[str, ...]                        # names of the columns of Detection.features
    recall_at: tuple[int, ...]                       # candidates per case at which it is reported
    views: Views
    origin: Callable[[Path], str]                    # what images stand in, in words; "" = none do
    phantom: Phantom | None                          # None: there must be a source
    code: tuple[ModuleType, ...]                     # what reads, proposes and cuts; the same
    batch: int                                       # cases per message to a worker
    divide: Callable[..., tuple[dict[str, str], list[str]]] = splits.divide
    warn: Callable[[Sequence[Any], int], list[str]] | None = None   # all cases, jobs: what is odd
    # Where all of a test case is classified, not its candidates: writes cases to the folder of a
    # set and returns facts of them, `groups` and `content_sha256` among them.
    write_test: Optional[Callable[[Path, Sequence[Any]], dict[str, Any]]] = None
    # Of a detector that learns: from cases, into a file, with a seed. detect gets it as model=.
    learn: Callable[[Sequence[Any], Path, int], None] | None = None
