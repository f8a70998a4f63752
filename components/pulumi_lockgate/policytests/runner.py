"""Runs policy tests with the decisions that the proxy itself would make."""

from collections.abc import Iterator

from attrs import frozen
from lockgate.policy.deciding.decide import Decider
from lockgate.policy.deciding.decision import Decision, Refuse, Request, Route
from lockgate.policy.deciding.explain import considered_lines
from lockgate.policy.deciding.why import rule_readings
from lockgate.policy.loaded import LoadedPolicy
from lockgate.policy.spec.backends import Backend
from lockgate.policy.spec.invariants import BackendSet

from pulumi_lockgate.policytests.suite import Case
from pulumi_lockgate.proof.route_points import chain_of


@frozen
class Mismatch:
    """One part of an expectation that does not hold."""

    part: str
    expected: str
    got: str


@frozen
class Outcome:
    """The result of one test. `because` are the lines that explain a failure."""

    case: Case
    mismatches: tuple[Mismatch, ...]
    because: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether everything that was expected holds."""
        return not self.mismatches


def run(policy: LoadedPolicy, cases: tuple[Case, ...]) -> tuple[Outcome, ...]:
    """Return the outcome of every test under `policy`."""
    decider = Decider(policy)
    return tuple(_outcome(decider, case) for case in cases)


def _outcome(decider: Decider, case: Case) -> Outcome:
    request = Request(case.model, case.headers)
    decision = decider.decide(request.model, request.headers)
    mismatches = tuple(_mismatches(decider, case, decision))
    if not mismatches:
        return Outcome(case, (), ())
    return Outcome(case, mismatches, tuple(_because(decider, case, request, decision)))


def _mismatches(decider: Decider, case: Case, decision: Decision) -> Iterator[Mismatch]:
    expect, reading = case.expect, decision.reading
    if (expect.no_rule or expect.rule is not None) and reading.rule_name != (
        None if expect.no_rule else expect.rule
    ):
        wanted = "none" if expect.no_rule else str(expect.rule)
        yield Mismatch("rule", wanted, reading.rule_name or f"none ({reading.via})")
    names = [b.name for b in decision.candidates] if isinstance(decision, Route) else []
    if expect.candidates is not None and names != list(expect.candidates):
        yield Mismatch("candidates", _listed(expect.candidates), _listed(names) + _code(decision))
    if expect.refuse is not None and _code(decision) != f", {expect.refuse}":
        got = _code(decision).removeprefix(", ") or "route to " + _listed(names)
        yield Mismatch("refuse", expect.refuse, got)
    backend = decider.policy.spec.backend
    chain = chain_of(tuple(backend(c.backend) for c in reading.considered), reading.rule)
    if expect.never is not None:
        met = [b for b in chain if b in expect.never]
        if met:
            yield Mismatch("never", _set(expect.never), "its chain leads to " + _shown(met))
    if expect.only is not None:
        strays = [b for b in chain if b not in expect.only]
        if strays:
            yield Mismatch("only", _set(expect.only), "its chain leads to " + _shown(strays))


def _code(decision: Decision) -> str:
    return f", {decision.code}" if isinstance(decision, Refuse) else ""


def _set(backends: BackendSet) -> str:
    return f"tier {backends.tier}" if backends.tier else _listed(backends.backends or ())


def _listed(names: "tuple[str, ...] | list[str]") -> str:
    return ", ".join(names) or "nobody"


def _shown(backends: list[Backend]) -> str:
    return ", ".join(f"{b.name} ({b.tier})" for b in backends)


def _because(decider: Decider, case: Case, request: Request, decision: Decision) -> Iterator[str]:
    for rule in rule_readings(decider, request, decision):
        if rule.name != case.expect.rule:
            continue
        for unmet in rule.unmet:
            yield f"rule {rule.name} does not hold: {unmet}"
        if rule.holds and not rule.decides:
            yield f"rule {rule.name} holds, but {decision.reading.rule_name} stands before it"
    labels = ", ".join(sorted(decision.reading.labels.names)) or "none"
    yield f"labels: {labels}"
    yield from (line.strip() for line in considered_lines(decision))
