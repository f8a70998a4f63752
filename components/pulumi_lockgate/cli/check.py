"""Load and prove policies."""

import sys
from pathlib import Path
from typing import Any

import click
from lockgate.policy.reading.advice import advice
from lockgate.policy.reading.problem import PolicyRefusedError

from pulumi_lockgate.proof.report import ContradictionError, Report, lines
from pulumi_lockgate.stack.files import UnknownStackError, policy_source
from pulumi_lockgate.stack.read import UnreadableError, read_named


@click.command(name="check")
@click.argument("policies", metavar="FILE|STACK...", nargs=-1, required=True)
@click.option("--json", "as_json", is_flag=True, help="The report for a machine; of one policy.")
@click.option(
    "--sarif",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Also write what is wrong there as SARIF 2.1.0, with the lines of the file.",
)
def command(policies: tuple[str, ...], *, as_json: bool, sarif: Path | None) -> None:
    """Load and prove policies: files, or stacks by their names.

    A ModelRouter manifest of LLMKube's is read as `import` does; what differs is on stderr, and
    so is what a policy may say and probably does not mean.

    Exit status: 0 proved, 1 violated (the report is on stdout), 2 unreadable or refused, 5 the
    proof and the engine contradict each other: a fault of Lockgate's, and no verdict. Of several
    policies the highest.
    """
    if as_json and len(policies) > 1:
        raise click.UsageError("--json takes one policy at a time")
    worst, runs = 0, []
    for policy in policies:
        if len(policies) > 1:
            click.echo(click.style(policy, bold=True))
        status, run = _checked(policy, as_json=as_json)
        worst = max(worst, status)
        runs.append(run)
    if sarif is not None:
        worst = max(worst, _written(sarif, runs))
    sys.exit(worst)


def _checked(named: str, *, as_json: bool) -> tuple[int, dict[str, Any]]:
    """Check one policy and say what was found; return the exit status and the SARIF run."""
    from pulumi_lockgate.ci_output import sarif  # noqa: PLC0415 - help needs none of these
    from pulumi_lockgate.proof.checks import prove  # noqa: PLC0415 - z3 loads only where it is used

    try:
        loaded, differences = read_named(named)
        for difference in differences:
            click.echo(difference, err=True)
        for problem in advice(loaded):
            click.echo(f"warning: {problem.render(str(policy_source(named)))}", err=True)
        report = prove(loaded)
    except PolicyRefusedError as refused:
        click.echo(str(refused), err=True)
        return 2, sarif.of_refusal(refused)
    except (UnknownStackError, UnreadableError) as problem:
        click.echo(str(problem), err=True)
        return 2, sarif.of_failure(str(problem), Path(named))
    except ContradictionError as error:
        click.echo(f"CONTRADICTION: {error}", err=True)
        return 5, sarif.of_failure(f"CONTRADICTION: {error}", policy_source(named))
    _show(report, as_json=as_json)
    return 0 if report.proved else 1, sarif.of_report(report, loaded, policy_source(named))


def _show(report: Report, *, as_json: bool) -> None:
    if as_json:
        click.echo(report.as_json())
        return
    for line in lines(report):
        click.echo(line)


def _written(file: Path, runs: list[dict[str, Any]]) -> int:
    """Write the runs as one SARIF log; return the exit status that this adds."""
    from pulumi_lockgate.ci_output.sarif import log  # noqa: PLC0415 - help needs none of it

    try:
        file.write_text(log(runs), encoding="utf-8")
    except OSError as problem:
        click.echo(f"{file}: cannot be written: {problem.strerror}", err=True)
        return 2
    return 0
