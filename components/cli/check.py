"""Load and prove a policy."""

import sys

import click

from components.proof.report import lines
from components.proof.shape import prove
from components.source import UnreadableError, read_named
from components.stacks import UnknownStackError
from proxy.policy.problem import PolicyRefusedError


@click.command(name="check")
@click.argument("policy", metavar="FILE|STACK")
@click.option("--json", "as_json", is_flag=True, help="The report for a machine.")
def command(policy: str, *, as_json: bool) -> None:
    """Load and prove a policy: a file, or a stack's by its name.

    A ModelRouter manifest of LLMKube's is read as `import` does; what differs is on stderr.

    Exit status: 0 proved, 1 violated (the report is on stdout), 2 unreadable or refused.
    """
    try:
        loaded, differences = read_named(policy)
    except (UnknownStackError, UnreadableError, PolicyRefusedError) as problem:
        _refuse(str(problem))
    for difference in differences:
        click.echo(difference, err=True)
    report = prove(loaded)
    if as_json:
        click.echo(report.as_json())
    else:
        for line in lines(report):
            click.echo(line)
    sys.exit(0 if report.proved else 1)


def _refuse(text: str) -> None:
    click.echo(text, err=True)
    sys.exit(2)
