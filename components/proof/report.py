"""What a proof found, as a value and as text for people."""

import json
import shlex
from collections.abc import Iterator

import click
from attrs import asdict, frozen

URL = "http://localhost:8080/v1/chat/completions"


@frozen
class Witness:
    """One request: what it asks for and the headers it carries."""

    model: str
    headers: tuple[tuple[str, str], ...]

    def curl(self) -> str:
        """Return the request as a line for a shell."""
        body = {"model": self.model, "messages": [{"role": "user", "content": "hello"}]}
        shown = [f"-H {shlex.quote(f'{name}: {value}')}" for name, value in self.headers]
        parts = ["curl", URL, "-H 'content-type: application/json'", *shown]
        return " ".join([*parts, "-d", shlex.quote(json.dumps(body))])


@frozen
class Leak:
    """A sensitive request with a cloud backend in its chain.

    `via` is the rule's name, or how the default took it. `confirmed`: the runtime's own matching
    takes the witness there; otherwise this check could not decide, and calls it a leak.
    """

    labels: tuple[str, ...]
    via: str
    backend: str
    witness: Witness
    confirmed: bool
    why: str


@frozen
class Report:
    """`paths` tells for each sensitive label where its requests go, in order."""

    digest: str
    leaks: tuple[Leak, ...]
    paths: tuple[tuple[str, tuple[str, ...]], ...]
    without_local: tuple[str, ...]
    unlabelled_cloud: str | None
    attested: tuple[tuple[str, str], ...]

    @property
    def proved(self) -> bool:
        """Whether the policy holds."""
        return not self.leaks and not self.without_local

    def as_json(self) -> str:
        """Return the report for a machine."""
        document = {"proved": self.proved, **asdict(self)}
        for leak, shown in zip(self.leaks, document["leaks"], strict=True):
            shown["curl"] = leak.witness.curl()
        return json.dumps(document, indent=2)


def lines(report: Report) -> Iterator[str]:
    """Yield the report's lines, styled for a terminal."""
    if report.proved:
        yield click.style("PROVED", fg="green", bold=True) + (
            ": no request marked sensitive has a cloud backend in its chain"
        )
    else:
        yield click.style("VIOLATED", fg="red", bold=True) + f": {len(report.leaks)} leak(s)"
    for number, leak in enumerate(report.leaks, 1):
        yield from _leak(number, leak)
    for label in report.without_local:
        yield f"  label {label!r} has no local backend anywhere on its path"
    for label, path in report.paths:
        yield f"  {label}: {' -> '.join(path)}"
    yield from _unlabelled(report.unlabelled_cloud)
    for name, reason in report.attested:
        yield f"  {name} counts as local by attestation: {reason}"
    yield f"  {report.digest}"


def _leak(number: int, leak: Leak) -> Iterator[str]:
    labels = ", ".join(leak.labels)
    yield ""
    yield f"leak {number}: a request labelled {click.style(labels, bold=True)}"
    yield f"  is taken by    {leak.via}"
    yield f"  and reaches    {leak.backend} (cloud)"
    yield f"  because        {leak.why}"
    if not leak.confirmed:
        yield "  not decided by this check, so it counts as a leak"
    yield "  try it:"
    yield leak.witness.curl()
    yield ""


def _unlabelled(via: str | None) -> Iterator[str]:
    if via is None:
        yield "  unlabelled traffic cannot reach a cloud backend"
    else:
        yield f"  unlabelled traffic can reach a cloud: {via}"
