"""Draw a policy."""

from pathlib import Path

import click
from lockgate.cli.errors import write_output

from pulumi_lockgate.stack.read import load_named


@click.command(name="graph")
@click.argument("policy", metavar="FILE|STACK")
@click.option(
    "--out",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="The SVG file to write.",
)
def command(policy: str, *, out: Path) -> None:
    """Draw a policy as SVG: where each rule sends its requests, and what goes to a cloud.

    The same policy gives the same bytes, so that the file can be reviewed as a diff.

    Exit status: 0 drawn, 2 unreadable, refused, or not to be written.
    """
    from pulumi_lockgate.diagram.sheet import sheet  # noqa: PLC0415 - help needs no drawing

    write_output(out, sheet(load_named(policy).spec, policy))
    click.echo(f"{out} written")
