"""The errors that end a command with one clear line instead of a traceback."""
from __future__ import annotations


class LayerwiseError(Exception):
    """Work that could not be done; the message is one line for the user. Exit code 1."""

    exit_code = 1


class InputError(LayerwiseError):
    """Input or settings that cannot be used; the message says what to do. Exit code 2."""

    exit_code = 2
