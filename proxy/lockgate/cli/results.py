"""How a command prints what it found: as lines for people, or as one JSON document."""

import json
import os
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO, Any, Protocol

import click

from lockgate.cli.errors import leave_stdout


class Result(Protocol):
    """What a command found, in its two forms."""

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON-ready data."""

    def render(self, out: Callable[[str], object]) -> None:
        """Give `out` the lines for people, one at a time."""


def show(result: Result, *, as_json: bool) -> None:
    """Print `result` to stdout: its lines, or JSON where a machine asked for it.

    Who stops to read (`| head`) misses the rest, and the command ends with its own status.
    """
    try:
        if as_json:
            click.echo(json.dumps(result.to_dict(), indent=2))
        else:
            result.render(click.echo)
    except BrokenPipeError:
        leave_stdout()


@contextmanager
def reading_bar(stream: IO[bytes]) -> Iterator[Callable[[int], object]]:
    """Draw how far a file is read, on stderr and only where that is a terminal.

    Gives a function that is to be told of bytes that were read. A pipe has no end to draw.
    """
    status = os.fstat(stream.fileno()) if sys.stderr.isatty() else None
    if status is None or not stat.S_ISREG(status.st_mode):
        yield lambda _: None
        return
    with click.progressbar(length=status.st_size, label="replaying", file=sys.stderr) as bar:
        yield bar.update
