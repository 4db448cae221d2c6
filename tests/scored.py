"""What the tests of the handcrafted systems share."""
from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sklearn.metrics import roc_auc_score

from layerwise.contracts import Score


def auc(scores: Sequence[Score]) -> float:
    """Of class 1."""
    return float(roc_auc_score([row.label for row in scores],
                               [row.probabilities[1] for row in scores]))


def reverse(path: Path) -> None:
    """Turn the order of a CSV's rows around."""
    header, *lines = path.read_text().splitlines()
    path.write_text("\n".join([header, *reversed(lines)]) + "\n")
