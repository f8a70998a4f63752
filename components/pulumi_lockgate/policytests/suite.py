"""Reads a file of policy tests into values, or finds every fault with its path and line.

See docs/guides/policy-tests.md for the format.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from attrs import evolve, frozen
from lockgate.policy.deciding.decision import RefusalCode
from lockgate.policy.loaded import nearest_line
from lockgate.policy.reading.document import Node, parse
from lockgate.policy.reading.problem import PolicyRefusedError, Problem
from lockgate.policy.reading.structure import INVALID, Builder
from lockgate.policy.reading.suggestions import meant, worded, write
from lockgate.policy.reading.validate import Fault
from lockgate.policy.spec.fields import spec_field
from lockgate.policy.spec.invariants import BackendSet
from lockgate.policy.spec.model_router import RouterSpec
from lockgate.policy.spec.names import TOKEN

_NULL_RULE: Final = object()
"""Stands in the tree for ``rule: null``, which means that no rule matches."""


@frozen
class Asked:
    """The request of a test. `headers` maps a name to its value, or to a list of values."""

    model: str | None = spec_field("the model asked for; the body's when left out", default=None)
    headers: Mapping[str, Any] = spec_field("header fields", default={})
    body: Mapping[str, Any] | None = spec_field("the request's body", default=None)


@frozen
class Expect:
    """What a decision must be. Every part that is stated must hold."""

    rule: Any = spec_field("the rule that takes it; null: none does", default=None)
    candidates: tuple[str, ...] | None = spec_field("backends, in order", default=None)
    refuse: RefusalCode | None = spec_field("the code of the refusal", default=None)
    never: BackendSet | None = spec_field("where its chain may not lead", default=None)
    only: BackendSet | None = spec_field("the only places its chain may lead to", default=None)

    @property
    def no_rule(self) -> bool:
        """Whether no rule may match."""
        return self.rule is _NULL_RULE


@frozen
class Case:
    """One test: a request, and what a policy must decide for it."""

    name: str = spec_field("unique in its file")
    request: Asked = spec_field("what is asked")
    expect: Expect = spec_field("what must come of it")

    @property
    def model(self) -> str:
        """The model asked for."""
        return self.request.model or str((self.request.body or {}).get("model"))

    @property
    def headers(self) -> dict[str, tuple[str, ...]]:
        """The header fields by lower-case name."""
        return {
            name.lower(): tuple(one.strip() for one in _listed(value))
            for name, value in self.request.headers.items()
        }


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


@frozen
class Suite:
    """A whole file. `policy` is a file, relative to this one, or a stack's name."""

    policy: str | None = spec_field("a policy file or a stack's name", default=None)
    tests: tuple[Case, ...] = spec_field("the tests")


@frozen
class LoadedSuite:
    """A suite with the name of its file and the line of each of its paths."""

    source: str
    suite: Suite
    lines: Mapping[str, int]

    def line_of(self, number: int) -> int | None:
        """Return where test `number` begins."""
        return nearest_line(self.lines, f"tests[{number}]")

    def refuse(self, problems: list[Problem]) -> PolicyRefusedError:
        """Return the error that lists `problems`, with the lines of their paths."""
        placed = [evolve(p, line=nearest_line(self.lines, p.path)) for p in problems]
        return PolicyRefusedError(self.source, tuple(placed))


def load_suite(source: bytes, name: str) -> LoadedSuite:
    """Return the tests in `source`; PolicyRefusedError has every fault."""
    documents = parse(source, name)
    if len(documents) != 1:
        message = "has more than one document" if documents else "is empty"
        problem = Problem("", None, message, "write one document with `tests:`")
        raise PolicyRefusedError(name, (problem,))
    builder = Builder(Suite)
    suite: Any = builder.build(Suite, _with_nulls(documents[0]), "")
    problems = worded(builder.refusals)
    if suite is not INVALID:
        problems += [
            Problem(path, builder.line_of(path), message, instead)
            for path, message, instead in _faults(suite)
            if not any(reported.startswith(path) for reported in builder.reported)
        ]
    if problems:
        raise PolicyRefusedError(name, tuple(sorted(problems, key=lambda p: p.line or 0)))
    return LoadedSuite(name, suite, builder.lines)


def _with_nulls(node: Node, inside: str = "") -> Node:
    """Return the tree with every ``expect.rule: null`` marked: it is a value here, not a gap."""
    if node.is_mapping:
        members = []
        for member in node.value:
            inner = member.node
            if inside == "expect" and member.key == "rule" and inner.value is None:
                inner = evolve(inner, value=_NULL_RULE)
            members.append(evolve(member, node=_with_nulls(inner, member.key)))
        return evolve(node, value=tuple(members))
    if isinstance(node.value, tuple):
        return evolve(node, value=tuple(_with_nulls(item, inside) for item in node.value))
    return node


def _faults(suite: Suite) -> Iterator[Fault]:
    if not suite.tests:
        yield "tests", "is empty", "write `- name: NAME` with request and expect"
    seen: dict[str, int] = {}
    for number, case in enumerate(suite.tests):
        path = f"tests[{number}]"
        if case.name in seen:
            yield f"{path}.name", f"{case.name!r} is tests[{seen[case.name]}]'s", "choose another"
        seen.setdefault(case.name, number)
        yield from _request(case.request, f"{path}.request")
        yield from _expect(case.expect, f"{path}.expect")


def _request(asked: Asked, path: str) -> Iterator[Fault]:
    inside = (asked.body or {}).get("model")
    if asked.model is None and not isinstance(inside, str):
        yield f"{path}.model", "is missing", "write `model: gpt-4o`"
    if asked.model is not None and inside is not None and inside != asked.model:
        yield f"{path}.body.model", f"is not {asked.model!r}", "keep one of the two"
    seen: set[str] = set()
    for name, value in asked.headers.items():
        place = f"{path}.headers.{name}"
        if not TOKEN.match(name):
            yield place, f"{name!r} is not a header name", "use letters and -"
        if name.lower() in seen:
            yield place, "stands twice: names ignore case", "write a list of values"
        seen.add(name.lower())
        values = _listed(value)
        if not values or not all(isinstance(one, str) for one in values):
            yield place, "is not a text, or a list of texts", write(place, f'"{value}"')


def _expect(expect: Expect, path: str) -> Iterator[Fault]:
    if expect == Expect():
        kinds = "rule, candidates, refuse, never, only"
        yield path, "expects nothing", f"state one of {kinds}"
    if not (expect.rule is None or expect.no_rule or isinstance(expect.rule, str)):
        yield f"{path}.rule", "is not a rule's name", "write `rule: NAME`, or `rule: null` for none"
    if expect.refuse is not None and expect.candidates:
        suggestion = "keep one: what is refused has no candidates"
        yield f"{path}.refuse", "stands beside candidates", suggestion
    for name, place in (("never", expect.never), ("only", expect.only)):
        if place is None:
            continue
        if name == "never" and place.backends == ():
            yield f"{path}.never.backends", "is empty, and says nothing", "name a backend"
        if (place.tier is None) == (place.backends is None):
            suggestion = f"write `{name}: {{ tier: cloud }}` or `{name}: {{ backends: [NAME] }}`"
            yield f"{path}.{name}", "must state one of tier and backends", suggestion


def unknown_names(suite: Suite, spec: RouterSpec) -> Iterator[Problem]:
    """Yield every rule and backend that tests name and that the policy does not have.

    A test that names what is not there could pass without testing anything.
    """
    rules, backends = [r.name for r in spec.rules], [b.name for b in spec.backends]
    for number, case in enumerate(suite.tests):
        path, expect = f"tests[{number}].expect", case.expect
        if isinstance(expect.rule, str) and expect.rule not in rules:
            yield _unknown(f"{path}.rule", "rule", expect.rule, rules)
        places = {
            "candidates": expect.candidates or (),
            "never.backends": (expect.never and expect.never.backends) or (),
            "only.backends": (expect.only and expect.only.backends) or (),
        }
        for place, names in places.items():
            for index, name in enumerate(names):
                if name not in backends:
                    yield _unknown(f"{path}.{place}[{index}]", "backend", name, backends)


def _unknown(path: str, kind: str, name: str, names: list[str]) -> Problem:
    instead = meant(name, names) or "use one of " + ", ".join(names)
    return Problem(path, None, f"the policy has no {kind} {name!r}", instead)
