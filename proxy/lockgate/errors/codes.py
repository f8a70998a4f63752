"""The codes of errors and the few words beside them, as types: a misspelt one is a type error."""

from typing import Literal

Code = Literal[
    "bad_request",
    "invalid_json",
    "not_an_object",
    "missing_model",
    "invalid_field",
    "duplicate_key",
    "escaped_key",
    "folded_key",
    "too_many_values",
    "client_routing",
    "not_found",
    "method_not_allowed",
    "head_timeout",
    "body_timeout",
    "body_too_large",
    "uri_too_long",
    "encoded_body",
    "expectation_failed",
    "misdirected",
    "head_too_large",
    "cross_origin",
    "model_not_found",
    "client_gone",
    "refused_by_rule",
    "refused_by_policy",
    "no_allowed_upstream",
    "no_capable_backend",
    "no_route",
    "upstreams_unavailable",
    "memory_full",
    "draining",
    "internal",
    "proxy_capacity",
    "credentials_missing",
    "upstream_dns",
    "upstream_address",
    "upstream_connect",
    "upstream_tls",
    "connect_timeout",
    "upstream_reset",
    "upstream_protocol",
    "upstream_truncated",
    "upstream_error",
    "upstream_rate_limited",
    "upstream_overloaded",
    "upstream_auth",
    "upstream_model",
    "upstream_path",
    "insufficient_quota",
    "upstream_context",
    "first_token_timeout",
    "silence_timeout",
    "idle_timeout",
    "total_timeout",
    "resume_diverged",
]
"""What an error is called in a response, a record and a metric. Each is a row of `errors.kinds`."""
Ending = Code | Literal["complete", "upstream_refused"]
"""How an attempt ends: as it should, with an error of the client's own passed back, or failed."""
Deadline = Literal["connect", "first_token", "silence", "idle", "total"]
"""The deadlines whose passing is an error."""
RetryLaw = Literal["again", "wait", "next", "final"]
"""What follows a failed attempt: once more on the same backend, the same after its Retry-After, the
next candidate, or nothing (`exchange.retry`)."""
Source = Literal["client", "proxy", "upstream"]
"""Who caused an error."""
