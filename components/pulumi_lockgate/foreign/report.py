"""What was proved of another router's configuration, for people and for machines."""

import json
import shlex
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, Literal

import click
from attrs import asdict, field, frozen

Kind = Literal["leak", "undecided"]
Failure = Literal["any", "long", "content"]
"""How a server fails: at all, because the prompt is too long, or because it refuses the content."""
MOST_SHOWN: Final = 20
"""Findings that are shown to people; a machine gets them all."""
_WORDS: Final[Mapping[Kind, tuple[str, str]]] = {
    "leak": ("leak", "leaks"),
    "undecided": ("question without an answer", "questions without an answer"),
}
_FAILS: Final[Mapping[Failure, str]] = {
    "any": "{} fails",
    "long": "{} finds the prompt too long",
    "content": "{} refuses the content",
}


@frozen
class Example:
    """One request to that product: where it is sent, with which fields and body.

    `failing`: what must fail for it to leak, by name, and how; empty where nothing must. `picked`:
    a choice of that product's own which must fall so, in words. `shell`: fields whose values a
    shell fills in, as a caller's key is.
    """

    url: str
    body: Mapping[str, Any]
    headers: tuple[tuple[str, str], ...] = ()
    shell: tuple[tuple[str, str], ...] = ()
    failing: tuple[tuple[str, Failure], ...] = ()
    picked: str | None = None

    def curl(self) -> str:
        """Return the request as a `curl` command for a shell."""
        fields = [("content-type", "application/json"), *self.headers]
        shown = [f"-H {shlex.quote(f'{name}: {value}')}" for name, value in fields]
        shown += [f'-H "{name}: {value}"' for name, value in self.shell]
        text = shlex.quote(json.dumps(self.body, ensure_ascii=False))
        return " ".join(["curl", self.url, *shown, "-d", text])

    def when(self) -> str | None:
        """Return in words when it leaks, None where it always does."""
        words = [_FAILS[failure].format(name) for name, failure in self.failing]
        words += [] if self.picked is None else [self.picked]
        return ", ".join(words) or None


@frozen
class ForeignFinding:
    """One way by which sensitive work reaches a cloud there, or may.

    `path` and `line` (from 1): the place in the file that leads there. `subject`: what is asked
    for. `via`: what takes it on; `reaches`: where it ends; `example`: a request that does it.
    """

    kind: Kind
    path: str
    line: int | None
    subject: str
    message: str
    via: str
    reaches: str
    because: str
    example: Example | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the finding as JSON-ready data, with its `curl` line."""
        document = asdict(self)
        document["curl"] = self.example.curl() if self.example else None
        return document


@frozen
class ForeignReport:
    """What was proved of one configuration of `product`.

    `sensitive`: what must stay local, as it is asked for. `notes`: what was taken for granted, or
    not looked at. `mend`: how Lockgate is put before it.
    """

    product: str
    source: str
    findings: tuple[ForeignFinding, ...]
    sensitive: tuple[str, ...]
    notes: tuple[str, ...] = ()
    mend: tuple[str, ...] = field(default=(), repr=False)

    @property
    def proved(self) -> bool:
        """Whether nothing sensitive reaches a cloud there, for certain."""
        return not self.findings

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON-ready data."""
        found = [finding.to_dict() for finding in self.findings]
        return {"proved": self.proved, **asdict(self), "findings": found}

    def render(self, out: Callable[[str], object]) -> None:
        """Give `out` the lines for people, styled for a terminal, one at a time."""
        for line in _lines(self):
            out(line)


def _lines(report: ForeignReport) -> Iterator[str]:
    word, colour = ("PROVED", "green") if report.proved else ("VIOLATED", "red")
    said = f"nothing sensitive reaches a cloud, as {report.product} runs it"
    found = f"{_counted(report)}, as {report.product} runs it"
    meaning = said if report.proved else found
    yield click.style(word, fg=colour, bold=True) + f": {meaning}"
    numbers = dict.fromkeys(_WORDS, 0)
    for finding in report.findings[:MOST_SHOWN]:
        numbers[finding.kind] += 1
        yield from _finding(numbers[finding.kind], finding)
    if len(report.findings) > MOST_SHOWN:
        yield f"and {len(report.findings) - MOST_SHOWN} more: `--json` has them all"
    yield f"  must stay local: {', '.join(report.sensitive)}"
    for note in report.notes:
        yield f"  {note}"
    if not report.proved:
        for line in report.mend:
            yield f"  {line}"


def _counted(report: ForeignReport) -> str:
    kinds = [finding.kind for finding in report.findings]
    counts = {kind: kinds.count(kind) for kind in _WORDS}
    return ", ".join(f"{n} {_WORDS[kind][n > 1]}" for kind, n in counts.items() if n)


def _finding(number: int, found: ForeignFinding) -> Iterator[str]:
    yield ""
    yield f"{found.kind} {number}: {click.style(found.message, bold=True)}"
    yield f"  is taken by    {found.via}"
    yield f"  and reaches    {found.reaches}"
    yield f"  because        {found.because}"
    if found.example is not None:
        when = found.example.when()
        if when is not None:
            yield f"  when           {when}"
        yield "  try it:"
        yield found.example.curl()
    yield ""
