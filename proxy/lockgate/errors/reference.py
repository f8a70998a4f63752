"""The page of outcomes and errors, out of the tables: ``python -m lockgate.errors.reference``."""

import sys
from typing import Final, get_args

from lockgate.errors.kinds import KINDS, ErrorKind
from lockgate.errors.outcome import Phase

HEAD: Final = """\
# Outcomes and errors

Every way in which a request can end: the `outcome` and `terminal` of its audit record, the status and the `code` that
the client gets, and the sentence it reads. Written by `make docs` from the table in `lockgate/errors`.

An error is OpenAI's object, `{"error": {"message", "type", "param", "code", "request_id"}}`. Before the commit point
it is a whole response with the status below. After it, where events are streamed, it is one last `data:` event that also
has `outcome` and `terminal`, no `[DONE]` follows, and the connection ends without the last chunk: two signals, since
some clients look at one and some at the other. A whole response is `complete`, terminal `Ud`. A 4xx that is the
client's own is passed back with its status and its error object: `upstream_refused`, terminal `Ud-refused`.

A terminal code says who ended the request (C client, P proxy, U upstream), in which phase (b body, r route, c connect,
w waiting for the first token, s stream, d done) and why. With `failClosed`, and for sensitive data, the client reads
503 `no_allowed_upstream` for what failed, and 503 `no_capable_backend` where those with a required capability are out
of service; the record keeps the cause. What the policy refuses whoever is up is 503 `refused_by_policy`, or
`refused_by_rule` where a rule says `refuse: true`.

Backends that are down, or out of service after failures: 503 with Retry-After. Where no repeat can help, since only
other settings would, the response says `x-should-retry: false`, so that SDKs do not ask again: {final}.

| code | who | status | sentence | outcome, terminal before the commit point | after it |
| --- | --- | --- | --- | --- | --- |
"""  # noqa: E501 - a page's lines are as long as those of the other pages
_AFTER: Final = "sd"
"""The phases behind the commit point."""


def page() -> str:
    """Return the page."""
    final = ", ".join(f"`{kind.code}`" for kind in KINDS.values() if not kind.retryable)
    head = HEAD.replace("{final}", final)
    return head + "".join(_row(kind) for kind in KINDS.values())


def _row(kind: ErrorKind) -> str:
    before = [phase for phase in _phases(kind) if phase not in _AFTER]
    after = [phase for phase in _phases(kind) if phase in _AFTER]
    cells = (
        f"`{kind.code}`",
        kind.source,
        str(kind.status),
        kind.sentence,
        _ending(kind, kind.outcome, before) if kind.phases else "not admitted: no record",
        _ending(kind, kind.cut, after),
    )
    return f"| {' | '.join(cells)} |\n"


def _phases(kind: ErrorKind) -> list[Phase]:
    return [phase for phase in get_args(Phase) if phase in kind.phases]


def _ending(kind: ErrorKind, outcome: str, phases: list[Phase]) -> str:
    words = (outcome, *(kind.terminal(phase) for phase in phases))
    return ", ".join(f"`{word}`" for word in words) if phases else ""


if __name__ == "__main__":
    sys.stdout.write(page())
