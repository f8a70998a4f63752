"""Replay recorded requests under another policy."""

import json
import sys
from collections.abc import Callable, Iterator
from typing import Any, Final

import click

from lockgate.audit.recorded import BrokenRecordError
from lockgate.audit.rehearsal import printable, rehearse
from lockgate.audit.replay import Replayed, describe, describe_recorded
from lockgate.cli.policies import load_named, refuse_two_from_stdin
from lockgate.cli.results import reading_bar
from lockgate.policy.deciding.decide import Decider
from lockgate.policy.reading.problem import UnusableInputError

STYLES: Final[dict[str, dict[str, Any]]] = {
    "same": {"fg": "green"},
    "different": {"fg": "yellow", "bold": True},
    "undecidable": {"fg": "red", "bold": True},
    "not_decided": {"dim": True},
}


@click.command(name="replay")
@click.argument("record")
@click.option(
    "--policy",
    required=True,
    metavar="FILE|STACK",
    help="The policy to decide by; - reads it from stdin.",
)
@click.option("--each", is_flag=True, help="Also print a line for each record.")
@click.option(
    "--json", "as_json", is_flag=True, help="Print JSON: a document for each record, and a summary."
)
def command(record: str, *, policy: str, each: bool, as_json: bool) -> None:
    """Show what another policy would decide for requests that were recorded.

    RECORD is a file of audit records as the proxy writes them, one JSON document a line; - reads
    stdin. Lines that are no record are passed over and counted. Requests that are decided
    otherwise are summed up by class: their labels, where they went, where they would go.

    Exit status: 0 replayed; 3 requests would newly reach a cloud backend, or that cannot be ruled
    out; else 1 where a record is broken; 2 a file that cannot be read, is refused, or holds no
    record.
    """
    refuse_two_from_stdin((record, policy))
    decider = Decider(load_named(policy))
    told = _printer(record, each=each, as_json=as_json)
    with click.open_file(record, "rb") as stream, reading_bar(stream) as progress:
        found = rehearse(decider, stream, progress=progress, told=told)
    if not found.records and found.counts["no_record"]:
        raise UnusableInputError(
            f"{record}: holds no audit record; name a file that `lockgate serve` wrote"
        )
    if as_json:
        click.echo(json.dumps({"summary": found.to_dict()}))
    else:
        for line in found.lines():
            click.echo(line)
    sys.exit(3 if found.widens else 1 if found.counts["broken"] else 0)


def _printer(
    name: str, *, each: bool, as_json: bool
) -> Callable[[int, Replayed | BrokenRecordError], None]:
    """Return what prints one record's line, where it is asked for, or why it is broken."""

    def told(number: int, found: Replayed | BrokenRecordError) -> None:
        if isinstance(found, BrokenRecordError):
            click.echo(f"{name}:{number}: {found}", err=True)
        elif as_json:
            click.echo(json.dumps({"line": number, **found.to_dict()}))
        elif each:
            for shown in _shown(number, found):
                click.echo(shown)

    return told


def _shown(number: int, replayed: Replayed) -> Iterator[str]:
    recorded = replayed.recorded
    style = STYLES[replayed.verdict]
    head = click.style(f"{replayed.verdict:<12}", **style)
    place = f"{head} line {number}, {printable(recorded.request_id)}"
    if replayed.verdict == "not_decided":
        yield f"{place}: {printable(replayed.reasons[0])}"
        return
    if replayed.verdict == "same":
        yield f"{place}: {printable(describe_recorded(recorded))}"
    else:
        yield f"{place}, model {printable(recorded.model or '')}"
        yield f"  was  {printable(describe_recorded(recorded))}"
        if replayed.decision is not None:
            widens = "  (reaches a cloud backend that it did not)" if replayed.widens else ""
            yield f"  now  {describe(replayed.decision)}{widens}"
    for reason in replayed.reasons:
        yield f"       {printable(reason)}"
