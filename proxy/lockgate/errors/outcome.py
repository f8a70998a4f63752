"""How an exchange ended, in one word, and where: the outcome and its terminal code.

Terminal codes follow HAProxy's termination states: who ended it (C client, P proxy, U upstream),
in which phase (b body, r route, c connect, w wait for the first token, s stream, d done), then
the cause. ``Ud`` is the one for a whole response.
"""

from typing import Literal

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
