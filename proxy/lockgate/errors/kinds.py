"""Every error that a caller can read, once: a row of one table, and its answer.

The answer has OpenAI's error shape (``{"error": {"message", "type", "param", "code"}}``, see
https://platform.openai.com/docs/guides/error-codes) with our `code` and the request id.
Nothing of an upstream's text, no key and no prompt stands in a sentence.
"""

from functools import partial
from typing import Final, Literal

import orjson
from attrs import frozen

from lockgate.errors.outcome import Outcome, Phase

Source = Literal["client", "proxy", "upstream"]


@frozen
class Kind:
    """One kind of error, with all that is true of it.

    `source` is who caused it; `status` what the caller gets for it. `phases` are those in which it
    ends a request, in the letters of a terminal code; none: the head was refused, and leaves no
    record. `outcome` is the record's before the commit point, `cut` the one after it, and `cause`
    the terminal code's last word. `retryable` is False where no repeat can mend it although its
    status sounds so: SDKs are told (``x-should-retry: false``). `alarm`: somebody must act.
    """

    code: str
    source: Source
    status: int
    phases: str
    sentence: str
    outcome: Outcome
    cut: Outcome
    cause: str
    retryable: bool
    alarm: bool

    @property
    def type(self) -> str:
        """OpenAI's coarse error type for this kind."""
        if self.status == 429:
            return "rate_limit_error"
        return "invalid_request_error" if self.source == "client" else "server_error"

    def terminal(self, phase: Phase) -> str:
        """Return who, where and why, like ``Us-idle``."""
        cause = f"-{self.cause}" if self.cause else ""
        return f"{self.source[0].upper()}{phase}{cause}"


def _kind(  # noqa: PLR0913 - the columns of a row
    source: Source,
    code: str,
    status: int,
    phases: str,
    sentence: str,
    *,
    outcome: Outcome | None = None,
    cut: Outcome = "upstream_died",
    cause: str | None = None,
    retryable: bool = True,
    alarm: bool = False,
) -> Kind:
    """Return a row of the table; what it leaves out is what most rows of its source have."""
    if outcome is None:
        outcome = "bad_request" if source == "client" else "upstream_failed"
    if cause is None:
        cause = code.removeprefix("upstream_").replace("_", "-")
    return Kind(
        code,
        source,
        status,
        phases,
        sentence,
        outcome,
        cut,
        cause,
        retryable=retryable,
        alarm=alarm,
    )


_client = partial(_kind, "client")
_proxy = partial(_kind, "proxy")
_upstream = partial(_kind, "upstream")

_TABLE: Final = (
    _client("bad_request", 400, "b", "The request is not valid HTTP."),
    _client("invalid_json", 400, "b", "The body is not a JSON document in UTF-8."),
    _client("not_an_object", 400, "b", "The body must be a JSON object."),
    _client("missing_model", 400, "b", 'The body must name a model: add "model".'),
    _client("invalid_field", 400, "b", "A field has the wrong type."),
    _client("duplicate_key", 400, "b", "A key that routing reads stands twice in the body."),
    _client("escaped_key", 400, "b", "A key that routing reads is spelled with escapes."),
    _client("folded_key", 400, "b", "A key that routing reads is spelled in other letters."),
    _client("too_many_values", 400, "b", "The body has more values than a request may have."),
    _client(
        "client_routing", 400, "b", "Routing is the policy's: remove this field from the body."
    ),
    _client("not_found", 404, "", "There is no such path here."),
    _client("method_not_allowed", 405, "", "This path does not take that method."),
    _client("head_timeout", 408, "", "The request's head did not arrive in time."),
    _client("body_timeout", 408, "b", "The request's body did not arrive in time."),
    _client("body_too_large", 413, "b", "The body is larger than 32 MiB."),
    _client("uri_too_long", 414, "", "The request line is too long."),
    _client("encoded_body", 415, "", "Send the body without a content coding."),
    _client("expectation_failed", 417, "", "Only Expect: 100-continue is understood."),
    _client("misdirected", 421, "", "The host asked for is not the one of the TLS connection."),
    _client("head_too_large", 431, "", "The request's head is too large."),
    _client("cross_origin", 403, "", "A page of another origin may not call a proxy on loopback."),
    _client("model_not_found", 404, "r", "There is no such model here.", outcome="refused_policy"),
    _client(
        "client_gone",
        499,
        "bcws",
        "The caller went away.",
        outcome="client_gone",
        cut="client_gone",
        cause="",
    ),
    _proxy(
        "refused_by_policy",
        503,
        "r",
        "The policy lets no backend see this request.",
        outcome="refused_policy",
        cause="policy",
        retryable=False,
    ),
    _proxy(
        "no_allowed_upstream",
        503,
        "r",
        "No backend that may see this request can serve it.",
        outcome="refused_policy",
        cause="policy",
    ),
    _proxy(
        "no_capable_backend",
        503,
        "r",
        "No backend with the capabilities required can serve it.",
        cause="open",
    ),
    _proxy(
        "no_route",
        503,
        "r",
        "No rule matches and the policy has no default route.",
        outcome="refused_policy",
        cause="policy",
        retryable=False,
    ),
    _proxy(
        "upstreams_unavailable",
        503,
        "r",
        "Every backend for this request is resting after failures.",
        cause="open",
    ),
    _proxy(
        "memory_full",
        503,
        "bws",
        "This proxy has no room for the request now.",
        outcome="refused_overload",
        cut="refused_overload",
        cause="memory",
    ),
    _proxy(
        "draining",
        503,
        "bcws",
        "This proxy is shutting down.",
        outcome="drained",
        cut="drained",
        cause="drain",
    ),
    _proxy(
        "internal",
        500,
        "bcwsd",
        "Lockgate failed on this request.",
        outcome="internal",
        cut="internal",
    ),
    _proxy(
        "proxy_capacity",
        503,
        "c",
        "This proxy is out of connections.",
        outcome="refused_overload",
        cause="capacity",
    ),
    _proxy("credentials_missing", 502, "r", "The backend's key is not mounted.", retryable=False),
    _upstream("upstream_dns", 502, "c", "The backend's name does not resolve."),
    _upstream(
        "upstream_address", 502, "c", "The backend's name resolves to an address it may not have."
    ),
    _upstream("upstream_connect", 502, "c", "The backend refuses connections."),
    _upstream(
        "upstream_tls", 502, "c", "The backend's TLS certificate or handshake is not acceptable."
    ),
    _upstream(
        "connect_timeout",
        504,
        "c",
        "The backend did not accept a connection in time.",
        cause="timeout",
    ),
    _upstream("upstream_reset", 502, "ws", "The backend broke the connection."),
    _upstream("upstream_protocol", 502, "ws", "The backend's answer is not what was asked for."),
    _upstream(
        "upstream_truncated",
        502,
        "ws",
        "The backend's answer stopped before its end.",
        cut="truncated",
    ),
    _upstream("upstream_error", 502, "ws", "The backend failed."),
    _upstream("upstream_rate_limited", 429, "w", "The backend is rate limited."),
    _upstream("upstream_overloaded", 502, "w", "The backend is overloaded."),
    _upstream(
        "upstream_auth",
        502,
        "w",
        "The backend does not accept this proxy's key.",
        retryable=False,
        alarm=True,
    ),
    _upstream(
        "upstream_model",
        502,
        "w",
        "The backend does not have the configured model.",
        retryable=False,
        alarm=True,
    ),
    _upstream(
        "upstream_path",
        502,
        "w",
        "The backend has no chat door at the configured URL.",
        retryable=False,
        alarm=True,
    ),
    _upstream(
        "insufficient_quota",
        429,
        "w",
        "The backend's account has nothing left to spend.",
        cause="quota",
        retryable=False,
        alarm=True,
    ),
    _upstream("upstream_context", 400, "w", "The request is too long for the backend's context."),
    _upstream(
        "first_token_timeout",
        504,
        "w",
        "The backend sent nothing in time.",
        outcome="first_token_timeout",
        cause="first-token",
    ),
    _upstream(
        "silence_timeout",
        504,
        "s",
        "The backend went silent.",
        outcome="idle_timeout",
        cut="idle_timeout",
        cause="silence",
    ),
    _upstream(
        "idle_timeout",
        504,
        "ws",
        "The backend stopped sending.",
        outcome="idle_timeout",
        cut="idle_timeout",
        cause="idle",
    ),
    _upstream(
        "total_timeout",
        504,
        "cws",
        "The answer took longer than allowed.",
        outcome="total_timeout",
        cut="total_timeout",
        cause="total",
    ),
    _upstream(
        "resume_diverged",
        502,
        "s",
        "The answer broke off, and another backend's would have gone on differently.",
    ),
)
KINDS: Final = {kind.code: kind for kind in _TABLE}
"""By code. `upstream_error` stands for the provider's own 5xx, 408 and in-band error events."""


class RejectedError(Exception):
    """A caller's request is refused before any upstream is asked.

    `detail` is appended to the kind's sentence; `param` names the field or header; `allow` are the
    methods that 405 names; after `retry_after_s` it may go better; `headers` are further lines of
    the answer's head.
    """

    def __init__(
        self,
        code: str,
        detail: str = "",
        param: str | None = None,
        *,
        allow: bytes | None = None,
        retry_after_s: int | None = None,
    ) -> None:
        self.allow = allow
        self.retry_after_s = retry_after_s
        self.headers = b""
        self.kind = KINDS[code]
        self.detail = detail
        self.param = param
        super().__init__(code, detail)


def error_object(
    kind: Kind, request_id: str, *, detail: str = "", param: str | None = None
) -> dict[str, dict[str, object]]:
    """Return the ``{"error": ...}`` object in OpenAI's shape."""
    message = f"{kind.sentence} {detail}".rstrip()
    return {
        "error": {
            "message": f"{message} (request {request_id})",
            "type": kind.type,
            "param": param,
            "code": kind.code,
            "request_id": request_id,
        }
    }


def error_body(kind: Kind, request_id: str, *, detail: str = "", param: str | None = None) -> bytes:
    """Return that object as JSON bytes."""
    return orjson.dumps(error_object(kind, request_id, detail=detail, param=param))


def error_event(error: dict[str, object], ending: tuple[str, str]) -> bytes:
    """Return an error as one SSE event, the last thing a broken stream says.

    `ending` is the outcome and the terminal code, as the audit record has them.
    """
    outcome, terminal = ending
    said = {**error, "outcome": outcome, "terminal": terminal}
    return b"data: " + orjson.dumps({"error": said}) + b"\n\n"
