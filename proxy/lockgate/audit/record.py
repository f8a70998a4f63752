"""The one audit record of a request, as one line of JSON.

The fields that follow from the decision are the same for every request that is decided alike, so
they are rendered once per decision; the rest per request. orjson escapes control characters, so a
client's field can neither end the line nor colour a terminal. A client's text is written up to 256
characters, and then how long it was: the size of a record is the policy's business.
"""

import re
from typing import Any, Final

import orjson

from lockgate.exchange.deadlines import Deadlines
from lockgate.policy.deciding.decision import Decision

MOST_CHARS: Final = 256
_CUT: Final = re.compile(r"(.{256})\.\.\. \(\d+ bytes\)", re.DOTALL)


def cut(text: str) -> str:
    """Return a client's text as a record holds it: whole, or its beginning and its length."""
    if len(text) <= MOST_CHARS:
        return text
    size = len(text.encode("utf-8", "surrogatepass"))
    return f"{text[:MOST_CHARS]}... ({size} bytes)"


def beginning_of(text: str) -> str | None:
    """Return what is known of a text that was cut, None where it is whole.

    No whole one reads like a cut one: it would be too long to be whole.
    """
    found = _CUT.fullmatch(text)
    return found[1] if found else None


def decision_fields(decision: Decision) -> bytes:
    """Render what follows from `decision`: JSON members without braces."""
    reading = decision.reading
    labels = reading.labels
    return _members(
        {
            "policy_digest": reading.policy_digest,
            "principal": None,
            "model": cut(reading.model),
            "labels": sorted(labels.names),
            "unrecognised": labels.unrecognised,
            "sensitive": labels.sensitive,
            "complexity": None if reading.complexity is None else cut(reading.complexity),
            "team": None if reading.team is None else cut(reading.team),
            "headers_read": {
                name: [cut(value) for value in values]
                for name, values in reading.headers_read.items()
            },
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
            "silence_s": limits.silence_s,
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
    "breaker_opened": [],
    "breaker_closed": [],
    "splices": [],
    "malformed_events": 0,
    "would_refuse": None,
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
