"""Say what changes for which requests when one policy takes the place of another."""

import sys

import click

from pulumi_lockgate.cli.sources import read_policy
from pulumi_lockgate.proof.change import lines
from pulumi_lockgate.proof.report import ContradictionError


@click.command(name="diff")
@click.argument("old", metavar="OLD")
@click.argument("new", metavar="NEW")
@click.option("--json", "as_json", is_flag=True, help="The diff for a machine.")
def command(old: str, new: str, *, as_json: bool) -> None:
    """Compare two policies by what happens to requests: files, or stacks by their names.

    Exit status: 0 nothing widens, 3 egress widens or that could not be decided, 2 unreadable or
    refused, 5 the proof and the engine contradict each other: no verdict.
    """
    from pulumi_lockgate.proof.diff import compare  # noqa: PLC0415 - z3 loads only where it is used

    before, after = read_policy(old), read_policy(new)
    try:
        diff = compare(before, after)
    except ContradictionError as error:
        click.echo(f"CONTRADICTION: {error}", err=True)
        sys.exit(5)
    if as_json:
        click.echo(diff.as_json())
    else:
        for line in lines(diff):
            click.echo(line)
    sys.exit(3 if diff.widens else 0)
