"""Evaluate the Pulumi program in process."""

import sys
from pathlib import Path
from typing import Any

import click
from attrs import evolve
from lockgate.cli.errors import write_output
from lockgate.cli.results import show
from lockgate.policy.reading.problem import EndsCommandError

from pulumi_lockgate.stack.project import nearest_project


@click.command(name="plan")
@click.argument("stack")
@click.option(
    "--against", metavar="FILE|STACK", help="Compare with this policy: what is deployed now."
)
@click.option(
    "--replay",
    "records",
    metavar="RECORDS",
    help="Also decide recorded requests by the stack's policy: a file of audit records, or -.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Write each Kubernetes object as YAML to this folder, and the proof beside them.",
)
@click.option(
    "--admission",
    type=click.Path(path_type=Path, file_okay=False),
    help="Write to this folder what has the cluster refuse a policy that was not proved.",
)
@click.option(
    "--comment",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the verdict as Markdown to this file, for a review comment.",
)
@click.option(
    "--sarif",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write what widens and is not accepted to this file as SARIF 2.1.0.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the plan as JSON.")
def command(  # noqa: PLR0913 - one parameter an option
    stack: str,
    *,
    against: str | None,
    records: str | None,
    out: Path | None,
    admission: Path | None,
    comment: Path | None,
    sarif: Path | None,
    as_json: bool,
) -> None:
    """Show what the Pulumi program would deploy for STACK, and prove its policy.

    The program runs in this process: no engine, no cluster, nothing is changed. --against takes a
    policy file, a stack file, a stack's name, or what `pulumi stack output --json` or
    `pulumi stack export` prints with --show-secrets. --replay says how many recorded requests would
    go another way, newly to a cloud backend or to a refusal; it does not change the exit status.
    --out and --admission are for GitOps: the folder of --out is what Argo CD or Flux apply; that of
    --admission has admission.yaml, which an administrator installs once, and proved.yaml, which the
    pipeline applies before each deployment. It is written only where the exit status is 0.

    Exit status: 0 proved, 1 violated (the report is on stdout), 2 the stack cannot be read or is
    refused, 3 something widens what is deployed and the stack does not accept it, 5 the proof and
    the proxy's own decision disagree.
    """
    from pulumi_lockgate.planned import Planned, Refused, planned  # noqa: PLC0415 - pulumi loads slowly
    from pulumi_lockgate.written import write_plan  # noqa: PLC0415 - the same

    if comment is not None and as_json:
        raise click.UsageError("--comment is for people: leave --json out")
    _warn_of_missing_program()
    outcome = planned(stack, against, records)
    if isinstance(outcome, Planned) and out is not None:
        write_plan(outcome, out)
        outcome = evolve(outcome, out=None if as_json else out)
    status = outcome.exit_status
    if isinstance(outcome, Refused):
        click.echo(str(outcome.error), err=True)
    else:
        show(outcome, as_json=as_json)
    if admission is not None and isinstance(outcome, Planned):
        status = _write_admission(admission, outcome) or status
    if comment is not None:
        status = _write_comment(comment, outcome) or status
    if sarif is not None:
        status = _write_sarif(sarif, outcome) or status
    sys.exit(status)


def _write_sarif(file: Path, outcome: Any) -> int:
    """Write what widens; return the exit status where that fails and nothing worse is to say."""
    from pulumi_lockgate.ci_output.sarif import log, runs_of  # noqa: PLC0415 - pulumi loads slowly

    try:
        write_output(file, log(runs_of(outcome)))
    except EndsCommandError as error:
        click.echo(str(error), err=True)
        return int(outcome.exit_status) or error.exit_status
    return 0


def _write_comment(file: Path, outcome: Any) -> int:
    """Write the comment; return the exit status where that fails and nothing worse is to say."""
    from pulumi_lockgate.ci_output.comment import comment  # noqa: PLC0415 - pulumi loads slowly

    try:
        write_output(file, comment(outcome))
    except EndsCommandError as error:
        click.echo(str(error), err=True)
        return int(outcome.exit_status) or error.exit_status
    return 0


def _write_admission(folder: Path, outcome: Any) -> int:
    """Write what admission compares; return the exit status where that is not to be."""
    from pulumi_lockgate.written import write_admission  # noqa: PLC0415 - pulumi loads slowly

    try:
        write_admission(outcome, folder)
    except EndsCommandError as error:
        click.echo(str(error), err=True)
        return int(outcome.exit_status) or error.exit_status
    return 0


def _warn_of_missing_program() -> None:
    """Say where the project names a program that is not there: another one is evaluated then."""
    project = nearest_project()
    if project is not None and project.program is None and project.main != project.root:
        missing = f"{project.file}: there is no program at {project.main}"
        click.echo(f"{missing}; evaluating the one that pulumi-lockgate ships", err=True)
