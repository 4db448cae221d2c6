"""Click commands that say what is wrong in one line and end with the error's exit code."""
from __future__ import annotations

import sys
from typing import Any

import click

from layerwise.errors import InputError, LayerwiseError


class Command(click.Command):
    """No usage, no traceback: `NAME: message`, and the exit code of the error."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        try:
            sys.exit(super().main(*args, **{**kwargs, "standalone_mode": False}))
        except click.Abort:
            sys.exit(130)
        except click.ClickException as error:
            click.echo(f"{self.name}: {error.format_message()} (see --help)", err=True)
            sys.exit(InputError.exit_code)
        except LayerwiseError as error:
            click.echo(f"{self.name}: {error}", err=True)
            sys.exit(error.exit_code)
        except OSError as error:
            if error.errno is None:
                raise
            click.echo(f"{self.name}: {error.filename or ''}: {error.strerror}", err=True)
            sys.exit(InputError.exit_code)


class Group(Command, click.Group):
    """The same for a command with sub-commands."""
