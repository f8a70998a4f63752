"""One proof against the engine and the naive spec: what each says of the same requests."""

from random import Random
from unittest import mock

from lockgate.policy.deciding.decide import Decider
from lockgate.policy.deciding.decision import Request
from lockgate.policy.loaded import LoadedPolicy
from lockgate.policy.reading.load import compiled
from lockgate.policy.spec.invariants import Invariant
from lockgate.policy.spec.model_router import RouterSpec
from pulumi_lockgate.proof import solver
from pulumi_lockgate.proof.checks import prove
from pulumi_lockgate.proof.report import Finding, Report, Witness

from tests.proof import chances
from tests.spec import naive


def check(seed: int, requests: int, seconds: float = 20) -> None:
    """Prove the policy of `seed`, and hold the verdict to so many requests; AssertionError."""
    chance = Random(seed)
    rich = seed % 2 == 0
    spec = chances.policy(chance, rich=rich)
    policy = compiled(spec)
    with mock.patch.object(solver, "FIRST_SMALL", 0 if seed % 4 < 2 else 3):  # z3 has to find it
        report = prove(policy, seconds=seconds)
    assert not [one for one in report.findings if one.kind == "undecided"], seed
    judge = Judge(policy, report)
    for number in range(requests):
        request = chances.request(chance, chances.key_of(spec))
        told = judge.contradictions(request)
        assert not told, (seed, number, request, told)
        if not rich:
            assert judge.taken(request)[1] == naive.chain(spec, request), (seed, number, request)
    for found in report.findings:
        if found.witness is not None:
            shows(spec, policy, found, rich=rich)


class Judge:
    """Says where a report and the engine contradict each other."""

    def __init__(self, policy: LoadedPolicy, report: Report | None = None) -> None:
        report = report or Report(policy.digest, (), (), None, ())
        self.spec, self.report = policy.spec, report
        self.decider = Decider(policy)
        kinds = {kind: {f.subject for f in report.findings if f.kind == kind} for kind in KINDS}
        self.dead, self.refusing = kinds["dead_rule"], kinds["refusing_rule"]
        self.stranded, self.broken = kinds["no_local_backend"], kinds["invariant"]
        self.leaks = {f.via: set(f.labels) for f in report.findings if f.kind == "leak"}

    def taken(self, request: Request) -> tuple[str, list[str]]:
        """Return what takes a request, and its chain without the runtime's bound."""
        reading = self.decider.decide(request.model, request.headers).reading
        names = {
            "rule": f"rule {reading.rule_name}",
            "name_match": f"name match of {request.model}",
            "default_route": f"default route {self.spec.default_route}",
            "none": "nothing",
        }
        rule = reading.rule
        required = set(rule.match.required_capabilities if rule and rule.match else ())
        chain = [c.backend for c in reading.considered]
        return names[reading.via], [
            name for name in chain if required <= set(self.spec.backend(name).capabilities)
        ]

    def contradictions(self, request: Request) -> list[str]:
        """Return every sentence of the report that this request refutes."""
        reading = self.decider.decide(request.model, request.headers).reading
        via, chain = self.taken(request)
        tiers = {self.spec.backend(name).tier for name in chain}
        secret = reading.labels.names & set(chances.SENSITIVE)
        told = []
        if secret and "cloud" in tiers and not secret <= self.leaks.get(via, set()):
            told.append(f"{via} leaks {secret}")
        if reading.rule_name in self.dead:
            told.append(f"{reading.rule_name} takes it and is called dead")
        if reading.rule_name in self.refusing and tiers - ({"cloud"} if secret else set()):
            told.append(f"{reading.rule_name} serves it and is said to refuse")
        if "local" in tiers and secret & self.stranded:
            told.append(f"{secret} has a local backend")
        if chances.key_of(self.spec) not in request.headers and "cloud" in tiers:
            told += [] if self.report.unlabelled_cloud else ["unlabelled traffic reaches a cloud"]
        told += [
            f"invariant {one.name} is broken"
            for one in self.spec.policy.invariants
            if one.name not in self.broken
            and speaks(one, self.spec, request)
            and self._bad(one, chain)
        ]
        return told

    def _bad(self, one: Invariant, chain: list[str]) -> bool:
        aim = one.never or one.only
        assert aim is not None
        named = aim.backends or ()
        inside = [self.spec.backend(name).tier == aim.tier or name in named for name in chain]
        return any(inside) if one.never else not all(inside)


KINDS = ("leak", "dead_rule", "refusing_rule", "no_local_backend", "invariant")


def speaks(one: Invariant, spec: RouterSpec, request: Request) -> bool:
    """Whether an invariant speaks of `request`, read naively (plain patterns only)."""
    when, fields = one.when, request.headers
    labels = naive.labels(spec, request)
    complexity = [value.strip(" \t") for value in fields.get(chances.COMPLEXITY, ())]
    return (
        (not when.labels or bool(labels & set(when.labels)))
        and not (when.unlabelled and chances.key_of(spec) in fields)
        and (when.task_complexity is None or complexity == [when.task_complexity])
        and (not when.models or naive.named(request.model, when.models))
        and (
            when.team is None or when.team in [v.strip(" \t") for v in fields.get(chances.TEAM, ())]
        )
    )


def shows(spec: RouterSpec, policy: LoadedPolicy, found: Finding, *, rich: bool) -> None:
    """Hold a finding's witness to what it is said to show."""
    assert isinstance(found.witness, Witness)
    request = Request(found.witness.model, found.witness.fields)
    judge = Judge(policy)
    via, chain = judge.taken(request)
    if not rich:
        assert chain == naive.chain(spec, request)
    assert via == (found.via or "").partition(":")[0], found
    tiers = [spec.backend(name).tier for name in chain]
    if found.kind == "leak":
        assert "cloud" in tiers, found
        assert naive.labels(spec, request) & set(chances.SENSITIVE), found
        smaller(judge, found.witness, via)
    if found.kind == "invariant":
        (one,) = spec.policy.invariants
        assert speaks(one, spec, request), found
        assert judge._bad(one, chain), found
    if found.kind == "no_local_backend":
        assert "local" not in tiers, found


def smaller(judge: Judge, witness: Witness, via: str) -> None:
    """Assert that no header can be left out, nor the name's end: the witness is small."""
    for number in range(len(witness.headers)):
        rest = Witness(witness.model, witness.headers[:number] + witness.headers[number + 1 :])
        request = Request(rest.model, rest.fields)
        secret = judge.decider.decide(request.model, request.headers).reading.labels.sensitive
        assert judge.taken(request)[0] != via or not secret, (witness, rest)
