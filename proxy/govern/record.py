"""The one audit record of a request, as one line of JSON.

The fields that follow from the decision are the same for every request that is decided alike, so
they are rendered once per decision; the rest per request. orjson escapes control characters, so a
caller's field can neither end the line nor colour a terminal.
"""

from typing import Any, Final

import orjson

from proxy.exchange.deadlines import Deadlines
from proxy.policy.decision import Decision


def decision_fields(decision: Decision) -> bytes:
    """Render what follows from `decision`: JSON members without braces."""
    reading = decision.reading
    labels = reading.labels
    return _members(
        {
            "policy_digest": reading.policy_digest,
            "principal": None,
            "model": reading.model,
            "labels": sorted(labels.names),
            "unrecognised": labels.unrecognised,
            "sensitive": labels.sensitive,
            "complexity": reading.complexity,
            "team": reading.team,
            "headers_read": {name: list(v) for name, v in reading.headers_read.items()},
            "rule": reading.rule_name,
            "via": reading.via,
            "candidates": [
                {"backend": c.backend, "tier": c.tier, "reason": c.reason}
                for c in reading.considered
            ],
        }
    )


def undecided_fields(policy_digest: str) -> bytes:
    """Render the same members for a request that was never decided."""
    names = ("principal", "model", "labels", "unrecognised", "sensitive", "complexity", "team")
    nulls = dict.fromkeys((*names, "headers_read", "rule", "via", "candidates"))
    return _members({"policy_digest": policy_digest, **nulls})


def deadlines_document(limits: Deadlines) -> bytes:
    """Return the deadlines in force as they stand in a record."""
    return orjson.dumps(
        {
            "connect_s": limits.connect_s,
            "first_token_s": limits.first_token_s,
            "idle_s": limits.idle_s,
            "total_s": limits.total_s,
        }
    )


NO_ENDING: Final[dict[str, Any]] = {
    "stream": None,
    "backend": None,
    "tier": None,
    "attempts": [],
    "order": None,
    "skipped": [],
    "splices": [],
    "malformed_events": 0,
    "first_token_ms": None,
    "tokens": None,
    "deadlines": None,
}
"""What a record says of a request that never became an exchange."""


def render(ending: dict[str, Any], decided: bytes) -> bytes:
    """Return the whole line: the ending's members, then the decision's."""
    return b"%b,%b}\n" % (orjson.dumps(ending)[:-1], decided)


def _members(document: dict[str, Any]) -> bytes:
    return orjson.dumps(document)[1:-1]
