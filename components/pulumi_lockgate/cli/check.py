"""Load and prove policies."""

import sys
from functools import partial
from pathlib import Path
from typing import Any

import click
from lockgate.cli.errors import write_output
from lockgate.cli.policies import STDIN, refuse_two_from_stdin
from lockgate.cli.results import show
from lockgate.policy.reading.advice import advice
from lockgate.policy.reading.problem import EndsCommandError, PolicyRefusedError, UnusableInputError

from pulumi_lockgate.cli import check_from
from pulumi_lockgate.stack.files import policy_source
from pulumi_lockgate.stack.read import load_named


@click.command(name="check")
@click.argument("policies", metavar="FILE|STACK...", nargs=-1, required=True)
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON; one policy only.")
@click.option(
    "--sarif",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Also write the findings to this file as SARIF 2.1.0, with lines of the policy file.",
)
@click.option(
    "--strict",
    is_flag=True,
    help="A rule that takes no request, and one that can only refuse, are errors too.",
)
@click.option(
    "--second-opinion",
    is_flag=True,
    help="Ask a second solver (cvc5) every question too; they must agree.",
)
@click.option(
    "--mode",
    type=click.Choice(("enforce", "warn")),
    default="enforce",
    show_default=True,
    help="warn: print what is violated, and exit 0 all the same.",
)
@check_from.options
def command(  # noqa: PLR0913 - one parameter an option
    policies: tuple[str, ...],
    *,
    as_json: bool,
    sarif: Path | None,
    strict: bool,
    second_opinion: bool,
    mode: str,
    product: str | None,
    tiers: tuple[tuple[str, str], ...],
    local: tuple[str, ...],
    callers_trusted: bool,
) -> None:
    """Prove that no sensitive request can reach a cloud backend under a policy.

    Takes policy files, stack files, names of stacks, and - for stdin. A ModelRouter manifest of
    LLMKube is read as `lockgate import` reads it; differences and warnings are printed on stderr. A
    leak, a broken invariant, and a label without a local backend or a rule that refuses it are
    errors; a rule that takes no request, or can only refuse, is a warning. With --from the file is
    proved as that product runs it, and a leak is a request to that product.

    Exit status: 0 proved, 1 violated (the report is on stdout), 2 a policy cannot be read or is
    refused, 5 the proof and the proxy's own decision disagree, or two solvers do: a bug in
    Lockgate, or in a solver, and no verdict.
    With several policies the highest.
    """
    if as_json and len(policies) > 1:
        raise click.UsageError("--json takes one policy at a time")
    refuse_two_from_stdin(policies)
    ours = strict or second_opinion
    other = check_from.asked(product, tiers, local, callers_trusted=callers_trusted, ours=ours)
    worst, runs = 0, []
    for policy in policies:
        if len(policies) > 1:
            click.echo(click.style(policy, bold=True))
        second = _second() if second_opinion else None
        if other is None:
            status, run = _checked(policy, second, as_json=as_json, strict=strict)
        else:
            status, run = check_from.checked(policy, other, as_json=as_json)
        if mode == "warn" and status == 1:
            click.echo(f"{policy}: --mode warn: violated, and exit status 0", err=True)
            status = 0
        worst = max(worst, status)
        runs.append(run)
    if sarif is not None:
        _write(sarif, runs, worst)
    sys.exit(worst)


def _second() -> Any:
    """Return a second solver; UnusableInputError names the package that brings it."""
    try:
        from pulumi_lockgate.proof.second_opinion import SecondOpinion  # noqa: PLC0415 - not always there
    except ModuleNotFoundError as problem:
        why = (
            "--second-opinion needs a second solver: pip install 'pulumi-lockgate[second-opinion]'"
        )
        raise UnusableInputError(why) from problem
    return SecondOpinion()


def _checked(named: str, second: Any, *, as_json: bool, strict: bool) -> tuple[int, dict[str, Any]]:
    """Check one policy and print what was found; return the exit status and the SARIF run."""
    from pulumi_lockgate.ci_output import sarif  # noqa: PLC0415 - help needs none of these
    from pulumi_lockgate.proof.checks import prove  # noqa: PLC0415 - z3 loads only where it is used

    warn = partial(click.echo, err=True)
    try:
        policy = load_named(named, warn)
        for problem in advice(policy):
            warn(f"warning: {problem.render(str(_file(named)))}")
        report = prove(policy, strict=strict, second=second)
    except EndsCommandError as error:
        warn(str(error))
        if isinstance(error, PolicyRefusedError):
            return error.exit_status, sarif.of_refusal(error)
        return error.exit_status, sarif.of_failure(str(error), _file(named))
    show(report, as_json=as_json)
    return 0 if report.proved else 1, sarif.of_report(report, policy, _file(named))


def _file(named: str) -> Path:
    """Return the file that `named` means; the name itself where there is none."""
    if named == STDIN:
        return Path(named)
    try:
        return policy_source(named)
    except EndsCommandError:
        return Path(named)


def _write(file: Path, runs: list[dict[str, Any]], worst: int) -> None:
    """Write the runs as one SARIF log. Where that fails, a worse status than 2 still counts."""
    from pulumi_lockgate.ci_output.sarif import log  # noqa: PLC0415 - help needs none of it

    try:
        write_output(file, log(runs))
    except EndsCommandError as error:
        click.echo(str(error), err=True)
        sys.exit(max(worst, error.exit_status))
