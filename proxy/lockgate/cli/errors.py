"""Exit status 2, once: what a user can mend becomes a line on stderr, never a traceback.

Every verb runs under `explained`, plan-time ones too (`lockgate.cli.main`): a verb raises what went
wrong, and the text of the exception is what the user reads. Three things end so:
- `EndsCommandError`: a policy that is refused, a file that cannot be used, an unknown stack; it
  says its own exit status, which is 2 for all of these;
- `OSError`: a file that is not there, or may not be read;
- `ImportError`: a package that the verb needs and that is not installed.
"""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Final

import click

from lockgate.policy.reading.problem import EndsCommandError, UnusableInputError

PLAN_TIME: Final = frozenset({"check", "diff", "demo", "graph", "import", "plan", "test"})
"""The verbs that `pulumi-lockgate` brings; all others come with the proxy."""


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
    """End the verb that `ctx` runs with status 2 and one text where the user can mend it."""
    try:
        yield
    except EndsCommandError as problem:
        raise RefusedError(str(problem), problem.exit_status) from problem
    except ImportError as problem:
        verb = ctx.invoked_subcommand or ctx.info_name or ""
        raise RefusedError(_not_installed(verb, problem)) from problem
    except OSError as problem:
        if problem.errno == errno.EPIPE:  # who read the output left: click ends quietly
            raise
        raise RefusedError(_cannot_be_read(problem)) from problem


def write_output(path: Path, content: str | bytes) -> None:
    """Write a file that the user asked for; UnusableInputError names it where it cannot be."""
    try:
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    except OSError as problem:
        raise UnusableInputError(f"{path}: cannot be written: {problem.strerror}") from problem


def package_of(verb: str) -> str:
    """Return the name of the distribution that brings `verb`."""
    return "pulumi-lockgate" if verb in PLAN_TIME else "lockgate"


def _not_installed(verb: str, problem: ImportError) -> str:
    return (
        f"`lockgate {verb}` cannot import {problem.name or 'what it needs'} ({problem}); "
        f"all that it needs comes with: pip install {package_of(verb)}"
    )


def _cannot_be_read(problem: OSError) -> str:
    if problem.filename is None:
        return str(problem)
    return f"{problem.filename}: cannot be read: {problem.strerror}"
