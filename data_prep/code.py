"""What code a result was made by: modules and all of data_prep that they import."""
from __future__ import annotations

import ast
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

from data_prep.seal import digest, file_digest

PACKAGE = "data_prep"
PIPELINE = f"{PACKAGE}.prepare"
"""Imported by every task's own module, so not followed: its stages are named where they matter."""


def closure(*modules: ModuleType) -> list[ModuleType]:
    """The modules and all that they import of data_prep, directly or not, by name."""
    found = {module.__name__: module for module in modules}
    waiting = list(modules)
    while waiting:
        for name in _imports(waiting.pop()):
            if name not in found and name != PIPELINE:
                found[name] = import_module(name)
                waiting.append(found[name])
    return [found[name] for name in sorted(found)]


def code_digest(*modules: ModuleType) -> str:
    """SHA-256 of the source of `closure`: what was made by other code has to be made again."""
    return digest([[module.__name__, file_digest(Path(str(module.__file__)))]
                   for module in closure(*modules)])


def _imports(module: ModuleType) -> Iterator[str]:
    """Modules of data_prep that a module names in any import statement."""
    for node in ast.walk(ast.parse(Path(str(module.__file__)).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        else:
            continue
        for name in names:
            if name.split(".")[0] == PACKAGE and _is_module(name):
                yield name


def _is_module(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:      # what is before the last dot is no package
        return False
