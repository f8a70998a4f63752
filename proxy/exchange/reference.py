"""The page of outcomes and errors, out of the tables: ``python -m proxy.exchange.reference``."""

import sys
from typing import Final

from proxy.exchange.errors import KINDS
from proxy.exchange.outcome import (
    Phase,
    outcome_after_commit,
    outcome_before_commit,
    terminal_code,
)

HEAD: Final = """\
# Outcomes and errors

Every way in which a request can end: the `outcome` and `terminal` of its audit record, the status and the `code` that
the caller gets, and the sentence it reads. Written by `make docs` from the tables in `proxy/exchange`.

An error is OpenAI's object, `{"error": {"message", "type", "param", "code", "request_id"}}`. Before the commit point
it is a whole answer with the status below. After it, where events are streamed, it is one last `data:` event that also
has `outcome` and `terminal`, no `[DONE]` follows, and the connection ends without the last chunk: two signals, since
some clients look at one and some at the other. A whole answer is `complete`, terminal `Ud`. A 4xx that is the
caller's own is passed back with its status and its error object: `upstream_refused`, terminal `Ud-refused`.

A terminal code says who ended the request (C caller, P proxy, U upstream), in which phase (b body, r route, c connect,
w waiting for the first token, s stream, d done) and why. With `failClosed`, and for sensitive data, what failed is told
to the caller as 503 `no_allowed_upstream`; the record keeps the cause.

| code | who | status | sentence | outcome, terminal before the commit point | after it |
| --- | --- | --- | --- | --- | --- |
"""  # noqa: E501 - a page's lines are as long as those of the other pages
_NOT_ADMITTED: Final = frozenset(
    {
        "not_found",
        "method_not_allowed",
        "head_timeout",
        "uri_too_long",
        "encoded_body",
        "expectation_failed",
        "misdirected",
        "head_too_large",
    }
)
"""Refused by the gates of the head: the request was never admitted, and leaves no record."""
_ROUTE: Final = frozenset({"no_allowed_upstream", "no_capable_backend", "no_route"})
_CONNECT: Final = frozenset(
    {
        "upstream_dns",
        "upstream_address",
        "upstream_connect",
        "upstream_tls",
        "connect_timeout",
        "proxy_capacity",
        "upstreams_unavailable",
        "credentials_missing",
    }
)
_AFTER: Final = frozenset(
    {
        "draining",
        "internal",
        "upstream_reset",
        "upstream_protocol",
        "upstream_truncated",
        "upstream_error",
        "idle_timeout",
        "total_timeout",
        "resume_diverged",
    }
)
_ONLY_AFTER: Final = frozenset({"resume_diverged"})


def page() -> str:
    """Return the page."""
    return HEAD + "".join(_row(code) for code in KINDS)


def _row(code: str) -> str:
    kind = KINDS[code]
    before, after = _before(code), ""
    if code in _AFTER:
        after = f"`{outcome_after_commit(code)}`, `{terminal_code(kind.source, 's', code)}`"
    cells = (f"`{code}`", kind.source, str(kind.status), kind.sentence, before, after)
    return f"| {' | '.join(cells)} |\n"


def _before(code: str) -> str:
    kind = KINDS[code]
    if code in _ONLY_AFTER:
        return ""
    if code == "client_gone":
        return "`client_gone`, `C` and the phase"
    if code in _NOT_ADMITTED:
        return "not admitted: no record"
    if kind.source == "client":
        return f"`bad_request`, `{terminal_code('client', 'b', code)}`"
    phase: Phase = "r" if code in _ROUTE else "c" if code in _CONNECT else "w"
    if code == "memory_full":
        phase = "b"
    return f"`{outcome_before_commit(code)}`, `{terminal_code(kind.source, phase, code)}`"


if __name__ == "__main__":
    sys.stdout.write(page())
