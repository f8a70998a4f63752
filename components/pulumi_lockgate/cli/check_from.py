"""`lockgate check --from`: another product's configuration, proved as that product runs it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import click
from attrs import frozen
from lockgate.cli.policies import STDIN, read_stdin
from lockgate.cli.results import show
from lockgate.policy.reading.problem import EndsCommandError, PolicyRefusedError

from pulumi_lockgate.cli.import_ import Tier
from pulumi_lockgate.stack.read import read_whole

F = TypeVar("F", bound=Callable[..., Any])
_OPTIONS: Final = (
    click.option(
        "--from",
        "product",
        type=click.Choice(("litellm", "llmkube")),
        help="FILE is a configuration of that product: prove it as that product runs it.",
    ),
    click.option(
        "--tier",
        "tiers",
        multiple=True,
        type=Tier(),
        help="With --from: the tier of a model or backend, by name or a pattern ('own-*=local').",
    ),
    click.option(
        "--local",
        multiple=True,
        metavar="NAME",
        help="With --from litellm: a model that must stay local, by name or a pattern; else every "
        "model of which all deployments are local.",
    ),
    click.option(
        "--callers-trusted",
        is_flag=True,
        help="With --from litellm: take for granted that no caller's body names fallbacks.",
    ),
)


def options(command: F) -> F:
    """Add the options of `--from` to a command."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


@frozen
class From:
    """A product, and what is asked of its configurations."""

    product: str
    tiers: tuple[tuple[str, str], ...]
    local: tuple[str, ...]
    callers_trusted: bool


def asked(
    product: str | None, tiers: Any, local: Any, *, callers_trusted: bool, ours: bool
) -> From | None:
    """Return what `--from` asks for, None without it. `ours`: there are options for policies.

    Raises UsageError where options do not go together.
    """
    if product is not None:
        if ours:
            raise click.UsageError("--strict and --second-opinion are for policies, not for --from")
        return From(product, tuple(tiers), tuple(local), callers_trusted)
    if tiers or local or callers_trusted:
        raise click.UsageError("--tier, --local and --callers-trusted go with --from")
    return None


def checked(named: str, wanted: From, *, as_json: bool) -> tuple[int, dict[str, Any]]:
    """Check one file and print what was found; return the exit status and the SARIF run."""
    from pulumi_lockgate.ci_output import sarif  # noqa: PLC0415 - help needs none of these
    from pulumi_lockgate.foreign.check import Asked, check_foreign  # noqa: PLC0415 - the same

    file = Path(named)
    try:
        source = read_stdin() if named == STDIN else read_whole(file)
        words = Asked(dict(wanted.tiers), wanted.local, not wanted.callers_trusted)
        report = check_foreign(wanted.product, named, source, words)
    except EndsCommandError as error:
        click.echo(str(error), err=True)
        if isinstance(error, PolicyRefusedError):
            return error.exit_status, sarif.of_refusal(error)
        return error.exit_status, sarif.of_failure(str(error), file)
    show(report, as_json=as_json)
    return 0 if report.proved else 1, sarif.of_foreign(report, file)
