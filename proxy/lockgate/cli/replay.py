"""Replay recorded requests under another policy."""

import json
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Final

import click

from lockgate.audit.replay import (
    BrokenRecordError,
    Replayed,
    describe,
    describe_recorded,
    read_record,
    replay,
)
from lockgate.policy.deciding.decide import Decider
from lockgate.policy.reading.document import bounded
from lockgate.policy.reading.load import load_policy

MAX_LINE_BYTES: Final = 4 << 20
"""A record is a few KiB: a model name, headers and attempts. Beyond this it is none."""
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
    type=click.Path(path_type=Path),
    help="The policy file to decide by.",
)
@click.option(
    "--json", "as_json", is_flag=True, help="Print JSON: a document for each record, and a summary."
)
def command(record: str, *, policy: Path, as_json: bool) -> None:
    """Show what another policy would decide for requests that were recorded.

    RECORD is a file of audit records as the proxy writes them, one JSON document a line; - reads
    stdin.

    Exit status: 0 replayed, 1 a record is broken, 2 a file that cannot be read or is refused.
    """
    with policy.open("rb") as file:
        decider = Decider(load_policy(bounded(file), str(policy)))
    with click.open_file(record, "rb") as stream:
        tally = _replay(stream, record, decider, as_json=as_json)
    click.echo(json.dumps({"summary": tally}) if as_json else _summary(tally))
    sys.exit(1 if tally["broken"] else 0)


def _replay(stream: IO[bytes], name: str, decider: Decider, *, as_json: bool) -> dict[str, int]:
    """Replay every record of `stream`; return how many came to what."""
    tally: Counter[str] = Counter()
    for number, line in _lines(stream):
        try:
            replayed = replay(decider, read_record(line))
        except BrokenRecordError as broken:
            tally["broken"] += 1
            click.echo(f"{name}:{number}: {broken}", err=True)
            continue
        tally[replayed.verdict] += 1
        tally["widens"] += replayed.widens
        if as_json:
            click.echo(json.dumps({"line": number, **replayed.to_dict()}))
        else:
            for shown in _shown(number, replayed):
                click.echo(shown)
    kinds = ("same", "different", "widens", "undecidable", "not_decided", "broken")
    return {"records": sum(tally.values()) - tally["widens"], **{k: tally[k] for k in kinds}}


def _lines(stream: IO[bytes]) -> Iterator[tuple[int, bytes]]:
    """Yield the lines that hold something, numbered from 1; a longer one is cut, and broken."""
    number = 0
    while line := stream.readline(MAX_LINE_BYTES):
        number += 1
        rest = line
        while not rest.endswith(b"\n") and len(rest) == MAX_LINE_BYTES:
            rest = stream.readline(MAX_LINE_BYTES)
        if line.strip():
            yield number, line


def _shown(number: int, replayed: Replayed) -> Iterator[str]:
    recorded = replayed.recorded
    style = STYLES[replayed.verdict]
    head = click.style(f"{replayed.verdict:<12}", **style)
    place = f"{head} line {number}, {_safe(recorded.request_id)}"
    if replayed.verdict == "not_decided":
        yield f"{place}: {_safe(replayed.reasons[0])}"
        return
    if replayed.verdict == "same":
        yield f"{place}: {_safe(describe_recorded(recorded))}"
    else:
        yield f"{place}, model {_safe(recorded.model or '')}"
        yield f"  was  {_safe(describe_recorded(recorded))}"
        if replayed.decision is not None:
            widens = "  (reaches a cloud backend that it did not)" if replayed.widens else ""
            yield f"  now  {describe(replayed.decision)}{widens}"
    for reason in replayed.reasons:
        yield f"       {_safe(reason)}"


def _safe(text: str) -> str:
    """Return `text` so that what a client sent cannot colour a terminal."""
    return text if text.isprintable() else ascii(text)


def _summary(tally: dict[str, int]) -> str:
    return (
        f"{tally['records']} records: {tally['same']} same, {tally['different']} different "
        f"({tally['widens']} reach a cloud backend that they did not), "
        f"{tally['undecidable']} undecidable, {tally['not_decided']} never decided, "
        f"{tally['broken']} broken"
    )
