"""What a proof found, with its text for people and its data for machines. Knows no solver."""

import json
import re
import shlex
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final, Literal, Protocol

import click
from attrs import asdict, field, frozen
from lockgate.policy.reading.advice import OBSERVES
from lockgate.policy.reading.problem import EndsCommandError

URL: Final = "http://localhost:8080/v1/chat/completions"
Kind = Literal["leak", "invariant", "no_local_backend", "dead_rule", "refusing_rule", "undecided"]
WORDS: Final[Mapping[Kind, tuple[str, str]]] = {
    "leak": ("leak", "leaks"),
    "invariant": ("broken invariant", "broken invariants"),
    "no_local_backend": ("label without a local backend", "labels without a local backend"),
    "dead_rule": ("dead rule", "dead rules"),
    "refusing_rule": ("rule that can only refuse", "rules that can only refuse"),
    "undecided": ("question without an answer", "questions without an answer"),
}
"""Each kind of finding, one and many, in the order of the report."""
WARNINGS: Final[frozenset[Kind]] = frozenset({"dead_rule", "refusing_rule"})
"""Kinds that lose nobody's data: warnings, unless the proof is strict."""
TEAMS: Final = "  teams are what clients say in x-llmkube-team: nothing authenticates them yet"
MOST_SHOWN: Final = 20
"""Findings of a kind that are shown to people; a machine gets them all."""


class ContradictionError(EndsCommandError):
    """The proof and the engine disagree about one request: one is wrong, and nothing is proved."""

    exit_status = 5

    def __init__(self, text: str) -> None:
        super().__init__(f"CONTRADICTION: {text}")


@frozen
class Witness:
    """One request as an example: the model it asks for and its header fields, in order.

    `withheld`: fields that `curl` would send by itself, and that must not be there.
    """

    model: str
    headers: tuple[tuple[str, str], ...]
    withheld: tuple[str, ...] = ()

    @property
    def fields(self) -> dict[str, tuple[str, ...]]:
        """The fields as the engine reads them: lower-case names with all their values."""
        found: dict[str, tuple[str, ...]] = {}
        for name, value in self.headers:
            found[name.lower()] = (*found.get(name.lower(), ()), value)
        return found

    def curl(self) -> str:
        """Return the request as a `curl` command for a shell."""
        body = {"model": self.model, "messages": [{"role": "user", "content": "hello"}]}
        headers = self.headers
        if "content-type" not in (*self.fields, *self.withheld):
            headers = (("content-type", "application/json"), *headers)
        shown = [f"-H {_quoted(f'{name}: {value}')}" for name, value in headers]
        shown += [f"-H {name}:" for name in self.withheld]
        text = json.dumps(body, ensure_ascii=False)
        return " ".join(["curl", URL, *shown, "-d", shlex.quote(text)])

    def policy_test(self, name: str, expect: Mapping[str, Any]) -> dict[str, Any]:
        """Return the request as a policy test, for `lockgate test`."""
        headers = {
            key: values[0] if len(values) == 1 else list(values)
            for key, values in self.fields.items()
        }
        request: dict[str, Any] = {"model": self.model}
        if headers:
            request["headers"] = headers
        return {"name": name, "request": request, "expect": dict(expect)}


def _quoted(text: str) -> str:
    """Quote for a shell; a byte above ASCII as bash's escape, since a terminal would send two."""
    if text.isascii():
        return shlex.quote(text)
    plain = text.replace("\\", "\\\\").replace("'", "\\'")
    return "$'" + "".join(c if c.isascii() else f"\\x{ord(c):02x}" for c in plain) + "'"


@frozen
class Finding:
    """One thing that is wrong with a policy.

    `path` is the place in the spec as problems name it, `subject` the rule, label or invariant,
    `message` a sentence. Where a request shows it: `witness`, what takes it (`via`), the `backend`
    it reaches, and what a test to keep expects of it. `labels`: the sensitive labels that leak
    there; `shadowed_by`: the rules that leave a dead one nothing.
    """

    kind: Kind
    path: str
    subject: str
    message: str
    witness: Witness | None = None
    via: str | None = None
    backend: str | None = None
    because: str | None = None
    labels: tuple[str, ...] = ()
    shadowed_by: tuple[str, ...] = ()
    expect: Mapping[str, Any] = field(factory=dict)

    def policy_test(self) -> dict[str, Any] | None:
        """Return a policy test that this finding fails and a corrected policy passes."""
        if self.witness is None or not self.expect:
            return None
        words = re.findall(r"[a-z0-9]+", f"{self.kind} {self.subject} {self.backend or ''}".lower())
        return self.witness.policy_test("-".join(words), self.expect)

    def to_dict(self) -> dict[str, Any]:
        """Return the finding as JSON-ready data, with its `curl` line and its test."""
        document = asdict(self)
        document["curl"] = self.witness.curl() if self.witness else None
        document["test"] = self.policy_test()
        return document


@frozen
class Reached:
    """The sensitive labels of the requests that one route point takes, none where it takes none.

    `alone`: a request with one of them and no other label is taken; else it needs another beside.
    """

    labels: tuple[str, ...] = ()
    alone: bool = True


@frozen
class Report:
    """What was proved of one policy: every finding, and where its sensitive requests go.

    `paths` has for each sensitive label the places that take its requests, in order, as text.
    `strict`: warnings are errors. `teams_are_word`: an invariant speaks of teams.
    `observes`: what only failClosed keeps out is recorded and goes on.
    `second`: what another solver said, where one was asked.
    `local_by_word` has a line for all that counts as local by what the policy says of it alone.
    `reached` has an entry for each route point of the policy, in order: None where that was not
    decided; it is None where it was not asked for.
    """

    digest: str
    findings: tuple[Finding, ...]
    paths: tuple[tuple[str, tuple[str, ...]], ...]
    unlabelled_cloud: str | None
    attested: tuple[tuple[str, str], ...]
    observes: bool = False
    second: str | None = None
    local_by_word: tuple[str, ...] = ()
    invariants: tuple[str, ...] = ()
    reached: tuple[Reached | None, ...] | None = field(default=None, repr=False)
    strict: bool = False
    teams_are_word: bool = False

    @property
    def proved(self) -> bool:
        """Whether the policy holds: nothing is wrong but what is a warning."""
        return not self.errors

    @property
    def errors(self) -> tuple[Finding, ...]:
        """The findings for which the policy does not hold."""
        return tuple(found for found in self.findings if not self.is_warning(found))

    @property
    def warnings(self) -> tuple[Finding, ...]:
        """The findings that lose nobody's data."""
        return tuple(found for found in self.findings if self.is_warning(found))

    def is_warning(self, found: Finding) -> bool:
        """Whether the policy holds in spite of a finding."""
        return found.kind in WARNINGS and not self.strict

    @property
    def leaks(self) -> tuple[Finding, ...]:
        """The findings that are leaks."""
        return tuple(found for found in self.findings if found.kind == "leak")

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON-ready data."""
        document = {"proved": self.proved, **asdict(self)}
        del document["reached"]  # it is read beside the route points alone
        document["findings"] = [
            found.to_dict() | {"severity": "warning" if self.is_warning(found) else "error"}
            for found in self.findings
        ]
        return document

    def render(self, out: Callable[[str], object]) -> None:
        """Give `out` the lines for people, styled for a terminal, one at a time."""
        for line in _lines(self):
            out(line)


class Rendered(Protocol):
    """A result that has lines for people."""

    def render(self, out: Callable[[str], object]) -> None:
        """Give `out` the lines, one at a time."""


def text_of(result: Rendered) -> str:
    """Return the lines of `result` as one text without colours."""
    lines: list[str] = []
    result.render(lines.append)
    return click.unstyle("\n".join(lines))


def verdict(report: Report) -> tuple[str, str]:
    """Return the verdict as a word, and what it means in a few more."""
    if report.proved:
        said = "no request marked sensitive has a cloud backend in its chain"
        noted = f" ({counted(report.warnings)})" if report.warnings else ""
        return "PROVED", said + noted
    return "VIOLATED", counted(report.findings)


def _lines(report: Report) -> Iterator[str]:
    word, meaning = verdict(report)
    yield click.style(word, fg="green" if report.proved else "red", bold=True) + f": {meaning}"
    if report.proved and report.invariants:
        yield f"  invariants that hold: {', '.join(report.invariants)}"
    numbers = dict.fromkeys(WORDS, 0)
    for found in report.findings:
        numbers[found.kind] += 1
        if numbers[found.kind] <= MOST_SHOWN:
            yield from _finding(numbers[found.kind], found, is_warning=report.is_warning(found))
    for kind, number in numbers.items():
        if number > MOST_SHOWN:
            yield f"and {number - MOST_SHOWN} {WORDS[kind][1]} more: `--json` has them all"
    for label, path in report.paths:
        yield f"  {label}: {' -> '.join(path)}"
    yield from _unlabelled(report.unlabelled_cloud)
    if report.teams_are_word:
        yield TEAMS
    beside = [report.second, OBSERVES if report.observes else None, *report.local_by_word]
    yield from (f"  {line}" for line in beside if line is not None)
    yield f"  {report.digest}"


def counted(findings: Iterable[Finding]) -> str:
    """Return how many findings of each kind there are."""
    kinds = [found.kind for found in findings]
    counts = {kind: kinds.count(kind) for kind in WORDS}
    return ", ".join(f"{n} {WORDS[kind][n > 1]}" for kind, n in counts.items() if n)


def _finding(number: int, found: Finding, *, is_warning: bool) -> Iterator[str]:
    yield ""
    title = ("warning: " if is_warning else "") + found.kind.replace("_", " ")
    yield f"{title} {number}: {click.style(found.message, bold=True)}"
    if found.via is not None:
        yield f"  is taken by    {found.via}"
    if found.backend is not None:
        yield f"  and reaches    {found.backend}"
    if found.because is not None:
        yield f"  because        {found.because}"
    yield from show(found.witness)
    test = found.policy_test()
    if test is not None:
        yield "  and keep it as a test (lockgate test):"
        yield f"- {json.dumps(test, ensure_ascii=False)}"
    yield ""


def show(witness: Witness | None) -> Iterator[str]:
    """Yield the lines that show a witness: a command to try."""
    if witness is not None:
        yield "  try it:"
        yield witness.curl()


def _unlabelled(via: str | None) -> Iterator[str]:
    if via is None:
        yield "  unlabelled traffic cannot reach a cloud backend"
    else:
        yield f"  unlabelled traffic can reach a cloud: {via}"
