"""Downloading a file whose SHA-1 is known: resumable, from several mirrors, verified before use."""
from __future__ import annotations

import http.client
import os
import socket
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path

from layerwise.errors import InputError, LayerwiseError

ATTEMPTS = 3               # per mirror; each goes on where the last one broke off
TIMEOUT_SECONDS = 30.0     # without a single byte
BLOCK_BYTES = 1 << 16


def fetch(target: Path, sha1: str, mirrors: Sequence[str], timeout: float = TIMEOUT_SECONDS,
          progress: bool = True) -> None:
    """Download to `target`; the file has that name only once its SHA-1 is right.

    A broken transfer is kept beside it as `<name>.part` and continued by the next attempt, mirror
    or call; when that gives another file, the same mirror is asked once more for all of it. Does
    nothing when `target` exists with the right SHA-1.

    Raises:
        InputError: `target` exists and is another file, or its folder cannot be written.
        LayerwiseError: no mirror delivered the file; the message gives each one's reason.
    """
    from layerwise.weights import sha1_of

    if target.exists():
        if sha1_of(target) != sha1:
            raise InputError(f"{target}: exists and its SHA-1 is not {sha1}; move it elsewhere")
        return
    partial = target.with_name(target.name + ".part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        partial.touch()
    except OSError as error:
        raise InputError(f"{target.parent}: cannot be written ({error.strerror}); "
                         "choose another data folder") from None
    reasons = []
    for mirror in mirrors:
        for afresh in (False, True):
            try:
                resumed = _complete(mirror, partial, timeout, progress)
            except _Failed as failure:
                reasons.append(f"{mirror}: {failure}")
                break
            found = sha1_of(partial)
            if found == sha1:
                os.replace(partial, target)
                return
            partial.unlink()
            partial.touch()
            if resumed and not afresh:       # what was there before may be at fault
                continue
            reasons.append(f"{mirror}: sent a file with SHA-1 {found}, expected {sha1}")
            break
    if partial.stat().st_size == 0:
        partial.unlink()
    raise LayerwiseError(f"{target.name} could not be fetched ({'; '.join(dict.fromkeys(reasons))})"
                         f"; try --mirror URL, or put the file at {target} by hand")


class _Failed(Exception):
    """A transfer that broke off; `final` when trying the same mirror again is no use."""

    def __init__(self, reason: str, final: bool) -> None:
        super().__init__(reason)
        self.final = final


def _complete(url: str, partial: Path, timeout: float, progress: bool) -> bool:
    """`_transfer` in up to ATTEMPTS; raises the last one's _Failed."""
    for _ in range(ATTEMPTS - 1):
        try:
            return _transfer(url, partial, timeout, progress)
        except _Failed as failure:
            if failure.final:
                raise
    return _transfer(url, partial, timeout, progress)


def _transfer(url: str, partial: Path, timeout: float, progress: bool) -> bool:
    """Append what is missing of the file; returns when the server's promised length is there.

    The answer is whether something of it was there before.
    """
    from tqdm import tqdm

    have = partial.stat().st_size
    headers = {"Range": f"bytes={have}-"} if have else {}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers),
                                    timeout=timeout) as answer:
            resumed = answer.status == 206
            begin = have if resumed else 0
            promised = answer.headers.get("Content-Length")
            total = begin + int(promised) if promised else None
            with partial.open("ab" if resumed else "wb") as handle, tqdm(
                    total=total, initial=begin, unit="B", unit_scale=True, disable=not progress,
                    desc=partial.stem) as bar:
                for block in iter(lambda: answer.read1(BLOCK_BYTES), b""):
                    handle.write(block)
                    bar.update(len(block))
    except urllib.error.HTTPError as error:
        if error.code == 416 and have:       # nothing is missing: let the SHA-1 decide
            return True
        raise _Failed(f"HTTP {error.code} {error.reason}", final=error.code < 500) from None
    except urllib.error.URLError as error:
        raise _Failed(str(error.reason), final=not _passes(error.reason)) from None
    except ValueError as error:              # not a URL
        raise _Failed(str(error), final=True) from None
    except (OSError, http.client.HTTPException) as error:
        raise _Failed(str(error) or type(error).__name__, final=False) from None
    size = partial.stat().st_size
    if total is not None and size < total:
        raise _Failed(f"broke off after {size} of {total} bytes", final=False)
    return begin > 0


def _passes(reason: object) -> bool:
    """Whether what kept a connection from being made may be over at the next attempt."""
    if isinstance(reason, socket.gaierror):
        return reason.errno == socket.EAI_AGAIN
    # Before Python 3.10, socket.timeout is no TimeoutError.
    return isinstance(reason, (TimeoutError, socket.timeout, ConnectionError))
