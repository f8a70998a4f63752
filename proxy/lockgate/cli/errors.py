"""Ends a command with an exit status and one text for what the user can correct, no traceback.

Every command runs under `explained`, plan-time ones too (`lockgate.cli.main`): it raises what went
wrong, and the text of the exception is what the user reads. Three things end so:
- `EndsCommandError`: a policy that is refused, a file that cannot be used, an unknown stack; it
  says its own exit status, which is 2 for all of these;
- `OSError`: a file that is not there, or may not be read;
- `ImportError`: a package that the command needs and that is not installed.
"""

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Final

import click

from lockgate.policy.reading.problem import EndsCommandError, UnusableInputError

PLAN_TIME: Final = frozenset(
    {"bundle", "check", "diff", "demo", "graph", "import", "plan", "schema", "test"}
)
"""The commands that `pulumi-lockgate` brings; all others come with the proxy."""


BROKEN_PIPE: Final = 141
"""How a shell reports a program that a broken pipe ended: 128 and SIGPIPE's number."""


class RefusedError(click.ClickException):
    """Ends a command after its text, which stands on stderr as it is."""

    def __init__(self, text: str, exit_code: int = 2) -> None:
        super().__init__(text)
        self.exit_code = exit_code  # type: ignore[misc]  # click declares it of the class

    def show(self, file: IO[Any] | None = None) -> None:
        """Print the text."""
        click.echo(self.message, file=file, err=file is None)


@contextmanager
def explained(ctx: click.Context) -> Iterator[None]:
    """End the command that `ctx` runs with a status and one text where the user can correct it."""
    try:
        yield
    except EndsCommandError as problem:
        raise RefusedError(str(problem), problem.exit_status) from problem
    except ImportError as problem:
        command = ctx.invoked_subcommand or ctx.info_name or ""
        raise RefusedError(_not_installed(command, problem)) from problem
    except OSError as problem:
        if problem.errno == errno.EPIPE:  # who read the output left
            leave_stdout()
            sys.exit(BROKEN_PIPE)
        raise RefusedError(_cannot_be_read(problem)) from problem


def write_output(path: Path, content: str | bytes) -> None:
    """Write a file that the user asked for; UnusableInputError names it where it cannot be."""
    try:
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    except OSError as problem:
        raise UnusableInputError(f"{path}: cannot be written: {problem.strerror}") from problem


def leave_stdout() -> None:
    """Have what is still printed to a stdout that nobody reads go nowhere, without an error."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())


def package_of(command: str) -> str:
    """Return the name of the distribution that brings a command."""
    return "pulumi-lockgate" if command in PLAN_TIME else "lockgate"


def _not_installed(command: str, problem: ImportError) -> str:
    return (
        f"`lockgate {command}` cannot import {problem.name or 'what it needs'} ({problem}); "
        f"all that it needs comes with: pip install {package_of(command)}"
    )


def _cannot_be_read(problem: OSError) -> str:
    if problem.filename is None:
        return str(problem)
    return f"{problem.filename}: cannot be read: {problem.strerror}"
