"""Evaluate the Pulumi program in process."""

import re
import sys
from pathlib import Path
from typing import Any

import click
import yaml
from attrs import evolve
from lockgate.cli.errors import write_output
from lockgate.cli.results import show
from lockgate.policy.reading.problem import EndsCommandError, UnusableInputError

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
    help="Write each Kubernetes object as YAML to this folder.",
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
    comment: Path | None,
    sarif: Path | None,
    as_json: bool,
) -> None:
    """Show what the Pulumi program would deploy for STACK, and prove its policy.

    The program runs in this process: no engine, no cluster, nothing is changed. --against takes a
    policy file, a stack file, a stack's name, or what `pulumi stack output --json` or
    `pulumi stack export` prints with --show-secrets. --replay says how many recorded requests would
    go another way, newly to a cloud backend or to a refusal; it does not change the exit status.

    Exit status: 0 proved, 1 violated (the report is on stdout), 2 the stack cannot be read or is
    refused, 3 something widens what is deployed and the stack does not accept it, 5 the proof and
    the proxy's own decision disagree.
    """
    from pulumi_lockgate.planned import Planned, Refused, planned  # noqa: PLC0415 - pulumi loads slowly

    if comment is not None and as_json:
        raise click.UsageError("--comment is for people: leave --json out")
    _warn_of_missing_program()
    outcome = planned(stack, against, records)
    if isinstance(outcome, Planned) and out is not None:
        write_manifests(outcome.plan.manifests, out)
        outcome = evolve(outcome, out=None if as_json else out)
    status = outcome.exit_status
    if isinstance(outcome, Refused):
        click.echo(str(outcome.error), err=True)
    else:
        show(outcome, as_json=as_json)
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


def _warn_of_missing_program() -> None:
    """Say where the project names a program that is not there: another one is evaluated then."""
    project = nearest_project()
    if project is not None and project.program is None and project.main != project.root:
        missing = f"{project.file}: there is no program at {project.main}"
        click.echo(f"{missing}; evaluating the one that pulumi-lockgate ships", err=True)


def write_manifests(manifests: tuple[dict[str, Any], ...], out: Path) -> None:
    """Write one YAML file an object, numbered so that `kubectl apply -f` keeps the order."""
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise UnusableInputError(f"{out}: cannot be written: {problem.strerror}") from problem
    for number, manifest in enumerate(manifests):
        called = f"{manifest['kind']}-{manifest['metadata']['name']}".lower()
        name = f"{number:02}-{re.sub('[^a-z0-9.-]+', '-', called)}.yaml"
        ordered = {key: manifest[key] for key in ("apiVersion", "kind", "metadata")} | manifest
        write_output(out / name, yaml.safe_dump(ordered, sort_keys=False, width=100))
