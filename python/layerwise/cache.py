"""The user's cache folder."""
from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """Where results that can be made again are kept; environment/build-root uses the same folder.

    `~` is expanded only as far as there is a home; the folder need not exist or be writable.
    """
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(base) / "layerwise"
