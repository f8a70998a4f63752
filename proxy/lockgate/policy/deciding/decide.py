"""Which backends may serve a request: the one evaluator of a policy.

The proxy, `explain`, preview and the tests all ask here. The bound that keeps sensitive requests in
the local tier stands in `_reason`, and nowhere else: whatever picks a backend later picks it from
a decision's candidates.
"""

from collections.abc import Mapping
from typing import Final

from lockgate.memo import BoundedMemo
from lockgate.policy.deciding.decision import (
    CANDIDATES,
    Considered,
    Decision,
    Labels,
    Reading,
    Refuse,
    Request,
    Route,
    Skip,
    Via,
)
from lockgate.policy.deciding.labels import read_labels
from lockgate.policy.deciding.match import COMPLEXITY_HEADER, TEAM_HEADER, Matcher, matcher_of
from lockgate.policy.loaded import LoadedPolicy
from lockgate.policy.spec.backends import Backend
from lockgate.policy.spec.rules import Rule

MEMO_BOUND: Final = 4096
MEMO_BYTES: Final = 8 << 20
MEMO_KEY_CHARS: Final = 1024
ENTRY_BYTES: Final = 100
"""About what one header or one candidate of a decision takes, and a decision itself ten times."""
_Key = tuple[str | tuple[str, ...] | None, ...]


def decide(policy: LoadedPolicy, request: Request) -> Decision:
    """Decide one request. For many requests under one policy keep a `Decider`."""
    return Decider(policy).decide(request.model, request.headers)


class Decider:
    """Decides requests under one policy.

    Decisions are kept for the next request like it: `bound` of them, of `bound_bytes` in all.
    """

    def __init__(
        self, policy: LoadedPolicy, bound: int = MEMO_BOUND, bound_bytes: int = MEMO_BYTES
    ) -> None:
        self.policy = policy
        spec = policy.spec
        self._backends: dict[str, Backend] = {b.name: b for b in spec.backends}
        self._by_id = {b.published_id: b for b in spec.backends}
        self.matchers: list[Matcher] = [
            matcher_of(rule, only_local=self._only_local(rule)) for rule in spec.rules
        ]
        self._key: str = spec.policy.classification.header_key.lower()
        names = {self._key, COMPLEXITY_HEADER, TEAM_HEADER}
        names.update(name for m in self.matchers for name, _ in m.headers)
        self.header_names: tuple[str, ...] = tuple(sorted(names))
        self._memo: BoundedMemo[_Key, Decision] = BoundedMemo(bound, bound_bytes)

    def decide(self, model: str, headers: Mapping[str, tuple[str, ...]]) -> Decision:
        """Decide a request for `model`; `headers` maps lower-case names to all field values."""
        fields = headers if isinstance(headers, dict) else dict(headers)
        key: _Key = (model, *[fields.get(name) for name in self.header_names])
        decision = self._memo.get(key)
        if decision is None:
            decision = self._decide(Request(model, headers))
            if is_kept(decision):
                self._memo.keep(key, decision, size_of(decision))
        return decision

    def _only_local(self, rule: Rule) -> bool:
        return all(self._backends[name].tier == "local" for name in rule.route.backends)

    def _decide(self, request: Request) -> Decision:
        classification = self.policy.spec.policy.classification
        labels = read_labels(request.headers.get(self._key, ()), classification)
        rule = next((m.rule for m in self.matchers if m.holds(request, labels)), None)
        chain, via = self._chain(rule, request.model)
        required = rule.match.required_capabilities if rule and rule.match else ()
        considered = tuple(
            Considered(b.name, b.tier, _observed(rule, b, _reason(b, labels, required)))
            for b in chain
        )
        headers = request.headers
        complexity = headers.get(COMPLEXITY_HEADER)
        team = headers.get(TEAM_HEADER)
        reading = Reading(
            model=request.model,
            labels=labels,
            complexity=", ".join(complexity) if complexity else None,
            team=", ".join(team) if team else None,
            headers_read={n: headers.get(n, ()) for n in self.header_names},
            rule=rule,
            via=via,
            considered=considered,
            policy_digest=self.policy.digest,
        )
        return self._concluded(reading)

    def _concluded(self, reading: Reading) -> Decision:
        """Return the route to the candidates, or the policy's refusal where there is none."""
        considered, rule = reading.considered, reading.rule
        candidates = tuple(self._backends[c.backend] for c in considered if c.reason in CANDIDATES)
        if candidates:
            return Route(reading, candidates)
        if rule is not None and rule.route.refuse:
            return Refuse(reading, 503, "refused_by_rule")
        if considered:
            return Refuse(reading, 503, "refused_by_policy")
        if reading.model in self._by_id:
            return Refuse(reading, 503, "no_route")
        return Refuse(reading, 404, "model_not_found")

    def _chain(self, rule: Rule | None, model: str) -> tuple[list[Backend], Via]:
        """Return the backends in order, each once, and where the chain comes from."""
        spec = self.policy.spec
        if rule is not None:
            if rule.route.refuse:
                return [], "rule"
            names = list(rule.route.backends)
            if not spec.holds_closed(rule) and spec.default_route is not None:
                names.append(spec.default_route)
            return [self._backends[name] for name in dict.fromkeys(names)], "rule"
        if spec.default_route_strategy == "BackendNameMatch" and model in self._by_id:
            return [self._by_id[model]], "name_match"
        if spec.default_route is not None:
            return [self._backends[spec.default_route]], "default_route"
        return [], "none"


def is_kept(decision: Decision) -> bool:
    """Whether a decision is small enough to remember: clients choose how long its texts are."""
    return _chars(decision) <= MEMO_KEY_CHARS


def size_of(decision: Decision) -> int:
    """Return about how many bytes it takes to remember a decision: its texts, headers, chain."""
    reading = decision.reading
    entries = 10 + len(reading.headers_read) + len(reading.considered)
    return 4 * _chars(decision) + ENTRY_BYTES * entries


def _chars(decision: Decision) -> int:
    """Count the characters of what the client sent."""
    reading = decision.reading
    count = len(reading.model)
    for values in reading.headers_read.values():
        for value in values:
            count += len(value) + 1  # an empty value takes room too
    return count


def _reason(backend: Backend, labels: Labels, required: tuple[str, ...]) -> Skip:
    """Return why `backend` is, or is not, a candidate: the one bound, then capabilities."""
    if labels.sensitive and backend.tier != "local":
        return "cloud_tier_for_sensitive"
    if not set(required) <= set(backend.capabilities):
        return "lacks_capability"
    return "candidate"


def _observed(rule: Rule | None, backend: Backend, reason: Skip) -> Skip:
    """Return `reason`, or that the backend is a candidate only because the policy observes."""
    kept_out = rule is not None and rule.fail_closed and backend.name not in rule.route.backends
    return "observed" if kept_out and reason == "candidate" else reason
