"""A decision with every reason behind it, as text for people and as data for machines."""

from collections.abc import Callable, Iterator
from typing import Any, Final

from attrs import frozen

from lockgate.policy.deciding.decision import Decision, Refuse
from lockgate.policy.deciding.why import RuleReading

REASONS: Final = {
    "candidate": "candidate",
    "observed": "candidate after all else: the policy observes, and the rule would refuse",
    "cloud_tier_for_sensitive": "skipped: a cloud backend, and the request is sensitive",
    "lacks_capability": "skipped: lacks a capability that the rule requires",
}
"""The sentence of each reason; a reason without one is shown as it is."""


@frozen
class Explanation:
    """A decision, and for every rule of the policy whether it matches the request and why not."""

    decision: Decision
    rules: tuple[RuleReading, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON-ready data."""
        reading, decision = self.decision.reading, self.decision
        return {
            "outcome": "refuse" if isinstance(decision, Refuse) else "route",
            "code": decision.code if isinstance(decision, Refuse) else None,
            "rule": reading.rule_name,
            "via": reading.via,
            "model": reading.model,
            "labels": sorted(reading.labels.names),
            "unrecognised": reading.labels.unrecognised,
            "sensitive": reading.labels.sensitive,
            "complexity": reading.complexity,
            "fail_closed": reading.fail_closed,
            "headers_read": {name: list(values) for name, values in reading.headers_read.items()},
            "rules": [_rule_document(rule) for rule in self.rules],
            "considered": [
                {"backend": c.backend, "tier": c.tier, "reason": c.reason}
                for c in reading.considered
            ],
            "policy_digest": reading.policy_digest,
        }

    def render(self, out: Callable[[str], object]) -> None:
        """Call `out` with each line of the text for people."""
        for line in self._lines():
            out(line)

    def _lines(self) -> Iterator[str]:
        reading, decision = self.decision.reading, self.decision
        labels = ", ".join(sorted(reading.labels.names)) or "none"
        note = " (unrecognised: every sensitive one)" if reading.labels.unrecognised else ""
        yield f"model       {reading.model}"
        for name, values in reading.headers_read.items():
            for value in values:
                yield f"header      {name}: {value}"
        yield f"labels      {labels}{note}"
        yield f"sensitive   {'yes' if reading.labels.sensitive else 'no'}"
        if self.rules:
            yield "rules"
            yield from _rule_lines(self.rules)
        yield f"rule        {reading.rule_name or f'none ({reading.via})'}"
        yield from considered_lines(decision)
        if isinstance(decision, Refuse):
            yield f"refused     {decision.status} {decision.code}"
        else:
            yield "route       " + " -> ".join(backend.name for backend in decision.candidates)
        yield f"policy      {reading.policy_digest}"


def _rule_document(rule: RuleReading) -> dict[str, Any]:
    return {
        "name": rule.name,
        "holds": rule.holds,
        "decides": rule.decides,
        "unmet": [
            {"dimension": u.dimension, "wanted": list(u.wanted), "got": list(u.got)}
            for u in rule.unmet
        ],
    }


def considered_lines(decision: Decision) -> Iterator[str]:
    """Yield every backend of the chain with the reason it is, or is not, a candidate."""
    for considered in decision.reading.considered:
        reason = REASONS.get(considered.reason, considered.reason)
        yield f"  {considered.backend} ({considered.tier}): {reason}"


def _rule_lines(rules: tuple[RuleReading, ...]) -> Iterator[str]:
    width = max(len(rule.name) for rule in rules)
    for rule in rules:
        yield f"  {rule.name:<{width}}  {_standing(rule)}"


def _standing(rule: RuleReading) -> str:
    if rule.decides:
        return "holds, and decides" if not rule.unmet else "decides: it restricts, and is in doubt"
    if rule.holds:
        return "holds too, but stands later"
    return "does not hold: " + "; ".join(str(unmet) for unmet in rule.unmet)
