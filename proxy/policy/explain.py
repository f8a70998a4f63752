"""A decision as text and as data, for people and for machines."""

from collections.abc import Iterator
from typing import Any

from proxy.policy.decision import Decision, Refuse


def as_document(decision: Decision) -> dict[str, Any]:
    """Return the decision as JSON-ready data."""
    reading = decision.reading
    refused = isinstance(decision, Refuse)
    return {
        "outcome": "refuse" if refused else "route",
        "code": decision.code if isinstance(decision, Refuse) else None,
        "rule": reading.rule_name,
        "via": reading.via,
        "model": reading.model,
        "labels": sorted(reading.labels.names),
        "unrecognised": reading.labels.unrecognised,
        "sensitive": reading.labels.sensitive,
        "complexity": reading.complexity,
        "fail_closed": reading.fail_closed,
        "considered": [
            {"backend": c.backend, "tier": c.tier, "reason": c.reason} for c in reading.considered
        ],
        "policy_digest": reading.policy_digest,
    }


def as_lines(decision: Decision) -> Iterator[str]:
    """Yield the decision's lines."""
    reading = decision.reading
    labels = ", ".join(sorted(reading.labels.names)) or "none"
    note = " (unrecognised: every sensitive one)" if reading.labels.unrecognised else ""
    yield f"labels      {labels}{note}"
    yield f"sensitive   {'yes' if reading.labels.sensitive else 'no'}"
    yield f"rule        {reading.rule_name or f'none ({reading.via})'}"
    for considered in reading.considered:
        yield f"  {considered.backend} ({considered.tier}): {considered.reason}"
    if isinstance(decision, Refuse):
        yield f"refused     {decision.status} {decision.code}"
    else:
        yield "route       " + " -> ".join(backend.name for backend in decision.candidates)
    yield f"policy      {reading.policy_digest}"
