"""Explain the decision for one request."""

import sys
from pathlib import Path

import click

from lockgate.bodies.splices import scan
from lockgate.cli.policies import load_named
from lockgate.cli.results import show
from lockgate.errors.kinds import RejectedError
from lockgate.policy.deciding.decide import Decider
from lockgate.policy.deciding.decision import Refuse, Request
from lockgate.policy.deciding.explain import Explanation
from lockgate.policy.deciding.field_values import stripped
from lockgate.policy.deciding.why import rule_readings
from lockgate.policy.reading.problem import UnusableInputError


@click.command(name="explain")
@click.argument("policy", metavar="FILE|STACK")
@click.option("--model", help="The model that the request asks for.")
@click.option(
    "--header",
    "headers",
    multiple=True,
    metavar="K=V",
    help="A header of the request; may be repeated.",
)
@click.option(
    "--body", type=click.Path(path_type=Path), help="A request body as JSON, which names the model."
)
@click.option("--json", "as_json", is_flag=True, help="Print the decision as JSON.")
def command(
    policy: str, *, model: str | None, headers: tuple[str, ...], body: Path | None, as_json: bool
) -> None:
    """Show where one request goes under a policy, and why.

    Takes a policy file, a stack file, the name of a stack, or - for stdin. Lists every rule and
    whether it matches, and every backend considered with its reason.

    Exit status: 0 route, 4 refuse, 2 a policy or a body that cannot be used.
    """
    asked = _model_in(body) if body else model
    if asked is None:
        raise click.UsageError("name the model with --model, or give a --body")
    if model not in {None, asked}:
        raise click.UsageError(f"--model says {model!r}, the body {asked!r}: keep one of the two")
    request = Request(asked, _fields(headers))
    decider = Decider(load_named(policy))
    decision = decider.decide(request.model, request.headers)
    show(Explanation(decision, rule_readings(decider, request, decision)), as_json=as_json)
    sys.exit(4 if isinstance(decision, Refuse) else 0)


def _model_in(body: Path) -> str:
    """Return the model that a request body asks for."""
    try:
        return scan(body.read_bytes()).model
    except RejectedError as problem:
        text = f"{body}: {problem.kind.sentence} {problem.detail}"
        raise UnusableInputError(text) from problem


def _fields(headers: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    fields: dict[str, tuple[str, ...]] = {}
    for header in headers:
        name, sign, value = _split(header)
        if not sign or not name:
            raise click.UsageError(f"--header {header!r} is not 'NAME: VALUE' or NAME=VALUE")
        if "_" in name:
            dashed = name.replace("_", "-")
            raise click.UsageError(
                f"--header {name}: no rule reads a name with an underscore; write {dashed}={value}"
            )
        fields[name.lower()] = (*fields.get(name.lower(), ()), stripped(value))
    return fields


def _split(header: str) -> tuple[str, str, str]:
    """Split at the first colon or equals sign: neither may stand in a name."""
    at = min((place for place in map(header.find, ":=") if place >= 0), default=len(header))
    return header[:at].strip(), header[at : at + 1], header[at + 1 :]
