"""Folders that are either complete or not there, and know what they were made from.

A sealed folder holds seal.json: what it was made from (settings and SHA-256 of the inputs) and the
size of every file, and facts about the content for the stages that follow. It is built under a
temporary name beside its place and renamed when complete.
"""
from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from layerwise.contracts import atomic_text, json_or_empty
from layerwise.errors import InputError
from layerwise.locks import LOCK, hold, wait_for

SEAL = "seal.json"
PARTIAL = ".partial-"
_USER_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR,
                errno.EEXIST, errno.EISDIR, errno.ENAMETOOLONG}


def digest(value: Any) -> str:
    """SHA-256 of a JSON value, independent of the order of its keys."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes, "" when there is no such file."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except FileNotFoundError:
        return ""


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write JSON for people to read, atomically."""
    with atomic_text(path) as handle:
        json.dump(value, handle, indent=1)
        handle.write("\n")


def intact_seal(folder: Path) -> dict[str, Any]:
    """The seal of a complete folder, {} when there is none or a file is missing or cut short."""
    seal = json_or_empty(folder / SEAL)
    whole = all(_size(folder / name) == size for name, size in seal.get("bytes", {}).items())
    return seal if whole else {}


def is_sealed(folder: Path, made_from: Mapping[str, Any]) -> bool:
    """Whether the folder is complete and was made from the same inputs and settings."""
    seal = intact_seal(folder)
    return bool(seal) and seal["made_from"] == json.loads(json.dumps(made_from))


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return -1


@dataclass
class Draft:
    """A sealed folder under construction: where to write, and facts to keep in its seal."""

    path: Path
    facts: dict[str, Any] = field(default_factory=dict)


@contextmanager
def sealed(folder: Path, made_from: Mapping[str, Any]) -> Iterator[Draft]:
    """A temporary folder to fill; sealed and renamed to `folder` on success, removed on failure.

    A sealed folder already there is replaced. InputError when something else is in the way.
    """
    if folder.is_symlink() or (folder.exists() and not (folder / SEAL).is_file()):
        raise InputError(f"{folder}: in the way and not made by this program; move it elsewhere")
    partial = folder.with_name(f".{folder.name}{PARTIAL}{os.getpid()}")
    partial.mkdir(parents=True)
    try:
        draft = Draft(partial)
        yield draft
        sizes = {path.relative_to(partial).as_posix(): path.stat().st_size
                 for path in sorted(partial.rglob("*")) if path.is_file()}
        write_json(partial / SEAL, {"made_from": made_from, "facts": draft.facts, "bytes": sizes})
        old = _put_aside(folder) if folder.exists() else None
        partial.rename(folder)
        if old:
            shutil.rmtree(old)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def remove(folder: Path) -> None:
    """Remove a sealed folder. Killed meanwhile, it leaves none that is in the way."""
    shutil.rmtree(_put_aside(folder))


def _put_aside(folder: Path) -> Path:
    aside = folder.with_name(f".{folder.name}{PARTIAL}{os.getpid()}-old")
    folder.rename(aside)
    return aside


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a folder, made if missing; a second process waits. Clears a killed one's leftovers.

    Should the work fail before it wrote anything, the folder goes again.
    """
    with hold(folder, wait_for(folder)):
        try:
            for left in folder.glob(f".*{PARTIAL}*"):
                shutil.rmtree(left) if left.is_dir() else left.unlink()
            yield
        except BaseException:
            if [path.name for path in folder.iterdir()] == [LOCK]:
                (folder / LOCK).unlink()
                folder.rmdir()
            raise


@contextmanager
def file_errors(folder: Path) -> Iterator[None]:
    """Turn the system's refusals (disk full, not writable, file in the way) into InputError."""
    try:
        yield
    except OSError as error:
        if error.errno not in _USER_ERRORS:
            raise
        place = error.filename or folder
        advice = "free some space or choose another data folder" \
            if error.errno in (errno.ENOSPC, errno.EDQUOT) else "choose another data folder"
        raise InputError(f"{place}: {os.strerror(error.errno)}; {advice}") from error
