"""Proves a ModelRouter of LLMKube's as its own router-proxy runs it.

Read from its sources (github.com/defilantech/LLMKube, 907ac8d, internal/router). The first rule
that matches decides, and nothing is asked beside its backends. A request's label is the whole text
of the first classification field, in lower case; its own gate is a rule with failClosed whose
backends are not all of tier local, and to it a backend without a tier is.

No match asks for an absence, and more fields only make more rules match. So a request that a rule
takes has nothing but what that rule asks for, beside its label; what is left is the model's name,
which the proof's automata find (docs/proof.md).
"""

from collections.abc import Iterator, Mapping
from typing import Final

from attrs import frozen
from lockgate.policy.address import is_inside, url_fault
from lockgate.policy.glob import check as glob_fault
from lockgate.policy.reading.document import Node
from lockgate.policy.reading.problem import PolicyRefusedError, Problem
from lockgate.policy.spec.backends import DEFAULT_URLS, Tier

from pulumi_lockgate.convert.llmkube.manifest import Backend, Rule, Source, Spec, read_manifest
from pulumi_lockgate.convert.tiers import stated_tier, without_a_backend
from pulumi_lockgate.foreign.report import Example, ForeignFinding, ForeignReport
from pulumi_lockgate.proof.glob_automata import TooManyStatesError
from pulumi_lockgate.proof.literals import literal
from pulumi_lockgate.proof.model_names import Clash, ModelNames

PRODUCT: Final = "LLMKube"
URL: Final = "http://localhost:8080/v1/chat/completions"
LABEL_HEADER: Final = "x-llmkube-classification"
COMPLEXITY_HEADER: Final = "x-llmkube-task-complexity"
_SENSITIVE: Final = ("pii", "phi")
_NOT_EMPTY: Final = "?*"
_NOTES: Final = (
    "a label with a typo, and two labels in one field, are no sensitive labels to LLMKube",
)

Fields = dict[str, str]
"""Header fields by lower-case name: LLMKube reads the first of each."""


def prove_llmkube(
    documents: tuple[Node, ...], name: str, tiers: Mapping[str, str]
) -> ForeignReport:
    """Return what is proved of the ModelRouter in a file. `tiers`: stated by name or pattern.

    A backend that states none is local where its address is. PolicyRefusedError where the file
    is no such manifest, or names what is not there.
    """
    source = read_manifest(documents, name)
    spec = source.manifest.spec
    _refuse_unknown(source, tiers)
    proof = _Proof(source, spec, {b.name: _tier(b, tiers) for b in spec.backends}, ModelNames())
    for pattern in dict.fromkeys((*proof.patterns(), _NOT_EMPTY)):
        proof.names.add(pattern)
    labels = proof.labels()
    return ForeignReport(
        product=PRODUCT,
        source=name,
        findings=tuple(found for point in proof.points() for found in proof.leak(point, labels)),
        sensitive=labels,
        notes=(*proof.by_word(), *_NOTES),
        mend=(f"mend: lockgate import {name} --out policy.yaml, then lockgate check policy.yaml",),
    )


def _refuse_unknown(source: Source, tiers: Mapping[str, str]) -> None:
    spec = source.manifest.spec
    names = [backend.name for backend in spec.backends]
    known = f"use one of {', '.join(names)}"
    unknown = without_a_backend(tiers, names)
    problems = [("spec.backends", f"--tier names no backend {stated!r}") for stated in unknown]
    for number, rule in enumerate(spec.rules):
        path = f"spec.rules[{number}].route.backends"
        problems += [
            (path, f"there is no backend {n!r}") for n in rule.route.backends if n not in names
        ]
    if spec.default_route is not None and spec.default_route not in names:
        problems.append(("spec.defaultRoute", f"there is no backend {spec.default_route!r}"))
    if problems:
        found = (Problem(path, source.line_of(path), said, known) for path, said in problems)
        raise PolicyRefusedError(source.name, tuple(found))


def _tier(backend: Backend, tiers: Mapping[str, str]) -> Tier:
    """Return where a backend is: as stated, else as its address says."""
    stated = stated_tier(tiers, backend.name) or backend.tier
    if stated is not None:
        return "local" if stated == "local" else "cloud"
    if backend.external is None:
        return "local"
    url = backend.external.url or DEFAULT_URLS.get(backend.external.provider, "")
    return "local" if url and url_fault(url) is None and is_inside(url, ()) else "cloud"


@frozen
class Point:
    """One place that takes requests: a rule, a name match, or the default route."""

    path: str
    via: str
    backends: tuple[str, ...]
    rule: Rule | None
    patterns: tuple[str, ...] = ()
    number: int = 0


@frozen
class _Proof:
    source: Source
    spec: Spec
    tiers: Mapping[str, Tier]
    names: ModelNames

    def labels(self) -> tuple[str, ...]:
        """Return the labels that must stay local, as a request has them: in lower case."""
        stated = self.spec.policy.classification.sensitive_classifications or _SENSITIVE
        return tuple(dict.fromkeys(label.lower() for label in stated))

    def patterns(self) -> Iterator[str]:
        for rule in self.spec.rules:
            yield from _good(rule)
        for backend in self.spec.backends:
            yield literal(_published(backend))

    def by_word(self) -> Iterator[str]:
        """Yield what counts as local because the file says so, and nothing else does."""
        for backend in self.spec.backends:
            url = backend.external.url if backend.external else None
            inside = url is not None and url_fault(url) is None and is_inside(url, ())
            if backend.external and self.tiers[backend.name] == "local" and not inside:
                yield f"{backend.name} counts as local by its word alone: {url or 'no url'}"

    def points(self) -> Iterator[Point]:
        """Yield every place that takes requests, in the order in which they are tried."""
        rules = self.spec.rules
        for number, rule in enumerate(rules):
            path = f"spec.rules[{number}]"
            yield Point(path, f"rule {rule.name}", rule.route.backends, rule, _good(rule), number)
        if self.spec.default_route_strategy == "BackendNameMatch":
            for backend in self.spec.backends:
                published = _published(backend)
                path, via = "spec.defaultRouteStrategy", f"the name match of {published}"
                names = (literal(published),)
                yield Point(path, via, (backend.name,), None, names, len(rules))
        if self.spec.default_route is not None:
            last = self.spec.default_route
            yield Point(
                "spec.defaultRoute", f"the default route {last}", (last,), None, (), len(rules)
            )

    def leak(self, point: Point, labels: tuple[str, ...]) -> Iterator[ForeignFinding]:
        """Yield the leak of a place, once for all labels that leak there."""
        cloud = [name for name in point.backends if self.tiers[name] == "cloud"]
        if not cloud or (point.rule is not None and not self.can_match(point.rule)):
            return  # it leads to no cloud, or takes nothing
        found = {label: example for label in labels if (example := self.example(point, label))}
        if not found:
            return
        first, example = next(iter(found.items()))
        others = [label for label in found if label != first]
        also = f" (and {', '.join(others)})" if others else ""
        yield ForeignFinding(
            kind="leak",
            path=point.path,
            line=self.source.line_of(point.path),
            subject=first,
            message=f"a request labelled {first}{also}",
            via=point.via,
            reaches=f"{cloud[0]} (cloud)",
            because=self.why(point, first, cloud[0]),
            example=example,
        )

    def why(self, point: Point, label: str, cloud: str) -> str:
        """Return why the gate of LLMKube's own does not hold it."""
        stated = self.spec.policy.classification.sensitive_classifications or _SENSITIVE
        if point.rule is None:
            return f"no rule takes {label} before it"
        if not point.rule.fail_closed:
            return "the rule does not say failClosed, and LLMKube's gate asks nothing else"
        if label not in stated:
            return f"LLMKube knows no label {label}: it lowers a request's, and not the policy's"
        return f"{cloud} states no tier, and LLMKube takes that for local"

    def can_match(self, rule: Rule) -> bool:
        """Whether one of a rule's backends has all that it asks for, and a pattern of it is one."""
        match = rule.match
        if match is not None and match.models and not _good(rule):
            return False
        needed = set(match.required_capabilities if match else ())
        held = {b.name: set(b.capabilities) for b in self.spec.backends}
        return not needed or any(needed <= held[name] for name in rule.route.backends)

    def gated(self, point: Point, label: str) -> bool:
        """Whether LLMKube's own gate refuses requests with `label` there."""
        stated = self.spec.policy.classification.sensitive_classifications or _SENSITIVE
        own = {b.name: b.tier or "local" for b in self.spec.backends}
        closed = point.rule is not None and bool(point.rule.fail_closed)
        return closed and label in stated and any(own[name] != "local" for name in point.backends)

    def example(self, point: Point, label: str) -> Example | None:
        """Return a request with `label` that `point` takes, None where there is none."""
        fields = self.fields(point.rule, label)
        if fields is None or self.gated(point, label):
            return None
        unwanted = [self.refusing(n, label, fields) for n in range(point.number)]
        if any(patterns == () for patterns in unwanted):
            return None
        model = self.model(point, [p for patterns in unwanted for p in patterns or ()])
        if model is None:
            return None
        tried = point.backends[: [self.tiers[n] for n in point.backends].index("cloud")]
        return Example(
            url=URL,
            body={"model": model, "messages": [{"role": "user", "content": "hello"}]},
            headers=tuple(fields.items()),
            failing=tuple((name, "any") for name in dict.fromkeys(tried)),
        )

    def fields(self, rule: Rule | None, label: str) -> Fields | None:
        """Return the fields of the smallest request that a rule takes, None where none can be."""
        match = rule.match if rule else None
        out = {name.lower(): value for name, value in (match.headers if match else {}).items()}
        wanted = {self.label_header: label}
        if match is not None and match.task_complexity is not None:
            wanted[COMPLEXITY_HEADER] = match.task_complexity
        for name, value in wanted.items():
            out.setdefault(name, value)
        asked = match.data_classification if match else ()
        fits = all(out[name].lower() == value for name, value in wanted.items())
        sent = all(value == value.strip() for value in out.values())
        return out if fits and sent and (not asked or label in asked) else None

    def refusing(self, number: int, label: str, fields: Fields) -> tuple[str, ...] | None:
        """Return the patterns of an earlier rule that a request must not meet.

        None where the rule does not take the request anyhow; empty where it takes every model.
        """
        rule = self.spec.rules[number]
        match = rule.match
        if not self.can_match(rule):
            return None
        if match is None:
            return ()
        if match.data_classification and label not in match.data_classification:
            return None
        complexity = fields.get(COMPLEXITY_HEADER, "").lower()
        if match.task_complexity not in {None, complexity}:
            return None
        if any(fields.get(name.lower()) != value for name, value in match.headers.items()):
            return None
        return _good(rule)

    def model(self, point: Point, unwanted: list[str]) -> str | None:
        """Return a model that `point` takes and no earlier rule does."""
        for wanted in [frozenset({one}) for one in point.patterns] or [frozenset[str]()]:
            for more in (frozenset({_NOT_EMPTY}), frozenset[str]()):
                found = self.name(point, wanted | more, frozenset(unwanted))
                if found:
                    return found
        # no model at all: to LLMKube that meets "*" and no other pattern
        empty = "*" not in unwanted and (not point.patterns or "*" in point.patterns)
        return "" if empty else None

    def name(self, point: Point, wanted: frozenset[str], unwanted: frozenset[str]) -> str | None:
        """Return a model's name that meets patterns and others not; None where there is none."""
        try:
            found = self.names.first(wanted, unwanted)
        except TooManyStatesError as error:
            message = f"the patterns of {point.via} took {error}"
            problem = Problem(point.path, self.source.line_of(point.path), message, "use fewer")
            raise PolicyRefusedError(self.source.name, (problem,)) from None
        return None if isinstance(found, Clash) else found

    @property
    def label_header(self) -> str:
        """The field that has the label, in lower case."""
        stated = (self.spec.policy.classification.header_key or "").strip()
        return (stated or LABEL_HEADER).lower()


def _good(rule: Rule) -> tuple[str, ...]:
    """Return a rule's patterns, those that are none left out as LLMKube does."""
    return tuple(p for p in (rule.match.models if rule.match else ()) if glob_fault(p) is None)


def _published(backend: Backend) -> str:
    return backend.display_name or backend.name
