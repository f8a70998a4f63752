"""How an exchange ended, in one word, and where: the outcome and its terminal code.

Terminal codes follow HAProxy's termination states: who ended it (C caller, P proxy, U upstream),
in which phase (b body, r route, c connect, w wait for the first token, s stream, d done), then
the cause. ``Ud`` is the one for a whole answer.
"""

from typing import Final, Literal

Outcome = Literal[
    "complete",
    "truncated",
    "client_gone",
    "upstream_died",
    "first_token_timeout",
    "idle_timeout",
    "total_timeout",
    "upstream_refused",
    "upstream_failed",
    "refused_policy",
    "refused_budget",
    "refused_auth",
    "refused_overload",
    "refused_audit",
    "drained",
    "internal",
    "bad_request",
]
Phase = Literal["b", "r", "c", "w", "s", "d"]

_BY_CODE: Final[dict[str, Outcome]] = {
    "first_token_timeout": "first_token_timeout",
    "idle_timeout": "idle_timeout",
    "total_timeout": "total_timeout",
    "upstream_truncated": "truncated",
    "client_gone": "client_gone",
    "draining": "drained",
    "internal": "internal",
    "no_allowed_upstream": "refused_policy",
    "no_capable_backend": "refused_policy",
    "no_route": "refused_policy",
    "memory_full": "refused_overload",
    "proxy_capacity": "refused_overload",
}
_CAUSE: Final[dict[str, str]] = {
    "first_token_timeout": "first-token",
    "idle_timeout": "idle",
    "total_timeout": "total",
    "connect_timeout": "timeout",
    "upstreams_unavailable": "open",
    "draining": "drain",
    "memory_full": "memory",
    "proxy_capacity": "capacity",
    "no_allowed_upstream": "policy",
    "no_capable_backend": "capability",
}


def outcome_before_commit(code: str) -> Outcome:
    """Return the outcome of an exchange whose caller got a whole error answer for `code`."""
    outcome = _BY_CODE.get(code, "upstream_failed")
    return "upstream_failed" if outcome == "truncated" else outcome


def outcome_of_refusal(source: Literal["client", "proxy", "upstream"], code: str) -> Outcome:
    """Return the outcome of a request that was refused for its body; `source` is whose fault."""
    return "bad_request" if source == "client" else outcome_before_commit(code)


def outcome_after_commit(code: str) -> Outcome:
    """Return the outcome of an exchange whose answer was cut after its commit point."""
    return _BY_CODE.get(code, "upstream_died")


def terminal_code(source: Literal["client", "proxy", "upstream"], phase: Phase, code: str) -> str:
    """Return who, where and why, like ``Us-idle``."""
    cause = _CAUSE.get(code, code.removeprefix("upstream_").replace("_", "-"))
    return f"{source[0].upper()}{phase}-{cause}"
