"""Draw a policy."""

from pathlib import Path

import click
from lockgate.cli.errors import write_output
from lockgate.cli.policies import STDIN
from lockgate.policy.reading.problem import UnusableInputError

from pulumi_lockgate.stack.read import load_named


@click.command(name="graph")
@click.argument("policy", metavar="FILE|STACK")
@click.option(
    "--out",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="The file to write: .svg, or .mmd for a Mermaid flowchart.",
)
def command(policy: str, *, out: Path) -> None:
    """Draw where a policy sends requests, with the proof's verdict.

    One row for each rule, one column for each backend, sensitive requests apart. The same policy
    gives the same bytes, so that the file can be reviewed as a diff.

    Exit status: 0 drawn (whatever the verdict), 2 the policy cannot be read or is refused, or the
    file cannot be written, 5 the proof and the proxy's own decision disagree.
    """
    from pulumi_lockgate.diagram.mermaid import mermaid_of  # noqa: PLC0415 - help needs none of it
    from pulumi_lockgate.diagram.rows import picture  # noqa: PLC0415 - the same
    from pulumi_lockgate.diagram.svg import svg_of  # noqa: PLC0415 - the same
    from pulumi_lockgate.proof.checks import prove  # noqa: PLC0415 - z3 loads only where it is used

    loaded = load_named(policy)
    drawn = picture(loaded, prove(loaded, most_reached=MOST_REACHED))
    text: str | None
    if out.suffix == ".mmd":
        text = mermaid_of(drawn)
        if text is None:
            raise UnusableInputError(f"{policy}: has too many arrows for Mermaid; write an .svg")
    else:
        text = svg_of(drawn, _title(policy))
    write_output(out, text)
    click.echo(f"{out} written")


def _title(policy: str) -> str:
    if policy == STDIN:
        return "policy"
    return Path(policy).name if Path(policy).suffix else f"stack {policy}"


MOST_REACHED = 1_000_000
"""A picture needs the labels at every route point, however long that takes."""
