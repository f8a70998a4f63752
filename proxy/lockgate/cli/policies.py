"""Finds the policy that a command is given: a file, `-` for stdin, or a stack by its name.

What a stack is, the plan-time package knows; it offers its reader as the entry point `stack` of
the group below. Without it, files are read, and a name says what to install.
"""

from collections.abc import Callable, Sequence
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import click

from lockgate.policy.loaded import LoadedPolicy
from lockgate.policy.reading.document import MAX_BYTES, bounded
from lockgate.policy.reading.load import load_policy
from lockgate.policy.reading.problem import UnusableInputError

GROUP: Final = "lockgate.policy_readers"
STDIN: Final = "-"
Reader = Callable[[str, Callable[[str], object]], LoadedPolicy]


def load_named(named: str) -> LoadedPolicy:
    """Return the policy that `named` means; what a person should know of it goes to stderr.

    PolicyRefusedError where it is refused, UnusableInputError where there is none.
    """
    reader = _reader()
    if reader is not None:
        return reader(named, _note)
    if named == STDIN:
        return load_policy(read_stdin(), STDIN)
    path = Path(named)
    if not path.exists() and "/" not in named and not path.suffix:
        why = "a stack by its name is read by the plan-time package: pip install pulumi-lockgate"
        raise UnusableInputError(f"there is no file {named!r}; {why}")
    with path.open("rb") as file:
        return load_policy(bounded(file), named)


def read_stdin() -> bytes:
    """Return what stands on stdin, at most one byte more than may be loaded."""
    with click.open_file(STDIN, "rb") as stream:
        return bytes(stream.read(MAX_BYTES + 1))


def refuse_two_from_stdin(names: Sequence[str | None]) -> None:
    """Refuse `-` where it is named more than once, since stdin can be read only once."""
    if names.count(STDIN) > 1:
        raise click.UsageError("- is stdin, which can be read once: name a file for the other")


def _note(text: str) -> None:
    click.echo(text, err=True)


def _reader() -> Reader | None:
    for point in entry_points(group=GROUP, name="stack"):
        if find_spec(point.module.partition(".")[0]) is not None:
            reader: Reader = point.load()
            return reader
    return None
