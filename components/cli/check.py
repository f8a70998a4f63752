"""Load and prove a policy."""

import sys

import click

from components.cli.sources import read_policy
from components.proof.report import ContradictionError, lines


@click.command(name="check")
@click.argument("policy", metavar="FILE|STACK")
@click.option("--json", "as_json", is_flag=True, help="The report for a machine.")
def command(policy: str, *, as_json: bool) -> None:
    """Load and prove a policy: a file, or a stack's by its name.

    A ModelRouter manifest of LLMKube's is read as `import` does; what differs is on stderr.

    Exit status: 0 proved, 1 violated (the report is on stdout), 2 unreadable or refused, 5 the
    proof and the engine contradict each other: a fault of Lockgate's, and no verdict.
    """
    from components.proof.verdicts import prove  # noqa: PLC0415 - z3 loads only where it is used

    loaded = read_policy(policy)
    try:
        report = prove(loaded)
    except ContradictionError as error:
        click.echo(f"CONTRADICTION: {error}", err=True)
        sys.exit(5)
    if as_json:
        click.echo(report.as_json())
    else:
        for line in lines(report):
            click.echo(line)
    sys.exit(0 if report.proved else 1)
