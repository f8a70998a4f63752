"""Compare two policies."""

import sys
from functools import partial

import click
from lockgate.cli.results import show

from pulumi_lockgate.stack.read import load_named


@click.command(name="diff")
@click.argument("old", metavar="OLD")
@click.argument("new", metavar="NEW")
@click.option("--json", "as_json", is_flag=True, help="Print the differences as JSON.")
def command(old: str, new: str, *, as_json: bool) -> None:
    """Show which requests are routed differently under NEW than under OLD.

    OLD and NEW are policy files, stack files, or names of stacks. Each class of requests whose
    backends change is listed with one example. It WIDENS when requests can reach a cloud backend
    that they could not reach before.

    Exit status: 0 nothing widens, 3 something widens or could not be decided, 2 a policy cannot be
    read or is refused, 5 the proof and the proxy's own decision disagree: no verdict.
    """
    from pulumi_lockgate.proof.diff import compare  # noqa: PLC0415 - z3 loads only where it is used

    warn = partial(click.echo, err=True)
    diff = compare(load_named(old, warn), load_named(new, warn))
    show(diff, as_json=as_json)
    sys.exit(3 if diff.widens else 0)
