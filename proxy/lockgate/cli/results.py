"""How a command prints what it found: as lines for people, or as one JSON document."""

import json
from collections.abc import Callable
from typing import Any, Protocol

import click


class Result(Protocol):
    """What a command found, in its two forms."""

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON-ready data."""

    def render(self, out: Callable[[str], object]) -> None:
        """Give `out` the lines for people, one at a time."""


def show(result: Result, *, as_json: bool) -> None:
    """Print `result` to stdout: its lines, or JSON where a machine asked for it."""
    if as_json:
        click.echo(json.dumps(result.to_dict(), indent=2))
    else:
        result.render(click.echo)
