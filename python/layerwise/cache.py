"""The user's cache folder, and small verdicts remembered in it."""
from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from layerwise.contracts import atomic_text


def cache_folder() -> Path:
    """Where results that can be made again are kept; environment/build-root uses the same folder.

    `~` is expanded only as far as there is a home; the folder need not exist or be writable.
    """
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(base) / "layerwise"


def path_of(name: str, key: Sequence[Any]) -> Path:
    """The file in the cache folder for what depends on `key`: values that JSON can write."""
    digest = hashlib.sha256(json.dumps(key).encode()).hexdigest()
    return cache_folder() / f"{name}-{digest[:16]}.json"


def remember(path: Path, fields: Mapping[str, Any]) -> None:
    """Write the fields; where the cache cannot be written they are found anew next time."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_text(path) as handle:
            json.dump(dict(fields), handle)
    except OSError:
        pass
