"""Compare two policies."""

import sys
from functools import partial

import click
from lockgate.cli.policies import refuse_two_from_stdin
from lockgate.cli.results import show

from pulumi_lockgate.stack.read import load_named, load_source, read_named


@click.command(name="diff")
@click.argument("old", metavar="OLD")
@click.argument("new", metavar="NEW")
@click.option("--json", "as_json", is_flag=True, help="Print the differences as JSON.")
def command(old: str, new: str, *, as_json: bool) -> None:
    """Show which requests are routed differently under NEW than under OLD.

    OLD and NEW are policy files, stack files, names of stacks, or - for stdin. What WIDENS stands
    first: a server that requests can newly reach, one that newly counts as local, fewer sensitive
    labels, more of a request, more callers, another enforcer. Then each class of requests whose
    backends change is listed with one example.

    Exit status: 0 nothing widens, 3 something widens or could not be decided, 2 a policy cannot be
    read or is refused, 5 the proof and the proxy's own decision disagree: no verdict.
    """
    # z3 loads only where it is used
    from pulumi_lockgate.stack.deployed import deployed_of  # noqa: PLC0415
    from pulumi_lockgate.widening import compared  # noqa: PLC0415

    warn = partial(click.echo, err=True)
    refuse_two_from_stdin((old, new))
    source, name = read_named(old)
    before = deployed_of(load_source(source, name, warn), source)
    comparison = compared(before, load_named(new, warn))
    show(comparison, as_json=as_json)
    sys.exit(3 if comparison.widens else 0)
