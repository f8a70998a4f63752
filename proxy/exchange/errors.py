"""Every error that a caller can read, once: its code, whose fault, its status, its sentence.

The answer has OpenAI's error shape (``{"error": {"message", "type", "param", "code"}}``, see
https://platform.openai.com/docs/guides/error-codes) with our `code` and the request id.
Nothing of an upstream's text, no key and no prompt stands in a sentence.
"""

from typing import Final, Literal

import orjson
from attrs import frozen

Source = Literal["client", "proxy", "upstream"]


@frozen
class Kind:
    """One kind of error. `source` is who caused it; `status` what the caller gets for it."""

    code: str
    source: Source
    status: int
    sentence: str

    @property
    def type(self) -> str:
        """OpenAI's coarse error type for this kind."""
        if self.status == 429:
            return "rate_limit_error"
        return "invalid_request_error" if self.source == "client" else "server_error"


def _table(*rows: tuple[str, Source, int, str]) -> dict[str, Kind]:
    return {code: Kind(code, source, status, sentence) for code, source, status, sentence in rows}


KINDS: Final = _table(
    ("bad_request", "client", 400, "The request is not valid HTTP."),
    ("invalid_json", "client", 400, "The body is not a JSON document in UTF-8."),
    ("not_an_object", "client", 400, "The body must be a JSON object."),
    ("missing_model", "client", 400, 'The body must name a model: add "model".'),
    ("invalid_field", "client", 400, "A field has the wrong type."),
    ("duplicate_key", "client", 400, "A key that routing reads stands twice in the body."),
    ("escaped_key", "client", 400, "A key that routing reads is spelled with escapes."),
    ("too_many_values", "client", 400, "The body has more values than a request may have."),
    ("client_routing", "client", 400, "Routing is the policy's: remove this field from the body."),
    ("not_found", "client", 404, "There is no such path here."),
    ("method_not_allowed", "client", 405, "This path does not take that method."),
    ("head_timeout", "client", 408, "The request's head did not arrive in time."),
    ("body_timeout", "client", 408, "The request's body did not arrive in time."),
    ("body_too_large", "client", 413, "The body is larger than 32 MiB."),
    ("uri_too_long", "client", 414, "The request line is too long."),
    ("encoded_body", "client", 415, "Send the body without a content coding."),
    ("expectation_failed", "client", 417, "Only Expect: 100-continue is understood."),
    ("misdirected", "client", 421, "The host asked for is not the one of the TLS connection."),
    ("head_too_large", "client", 431, "The request's head is too large."),
    ("client_gone", "client", 499, "The caller went away."),
    ("no_allowed_upstream", "proxy", 503, "No backend that may see this request can serve it."),
    ("no_capable_backend", "proxy", 503, "No backend with the capabilities required can serve it."),
    ("no_route", "proxy", 503, "No rule matches and the policy has no default route."),
    (
        "upstreams_unavailable",
        "proxy",
        503,
        "Every backend for this request is resting after failures.",
    ),
    ("memory_full", "proxy", 503, "This proxy has no room for the request now."),
    ("draining", "proxy", 503, "This proxy is shutting down."),
    ("internal", "proxy", 500, "Lockgate failed on this request."),
    ("proxy_capacity", "proxy", 503, "This proxy is out of connections."),
    ("credentials_missing", "proxy", 502, "The backend's key is not mounted."),
    ("upstream_dns", "upstream", 502, "The backend's name does not resolve."),
    (
        "upstream_address",
        "upstream",
        502,
        "The backend's name resolves to an address it may not have.",
    ),
    ("upstream_connect", "upstream", 502, "The backend refuses connections."),
    (
        "upstream_tls",
        "upstream",
        502,
        "The backend's TLS certificate or handshake is not acceptable.",
    ),
    ("connect_timeout", "upstream", 504, "The backend did not accept a connection in time."),
    ("upstream_reset", "upstream", 502, "The backend broke the connection."),
    ("upstream_protocol", "upstream", 502, "The backend's answer is not what was asked for."),
    ("upstream_truncated", "upstream", 502, "The backend's answer stopped before its end."),
    ("upstream_error", "upstream", 502, "The backend failed."),
    ("upstream_rate_limited", "upstream", 429, "The backend is rate limited."),
    ("upstream_overloaded", "upstream", 502, "The backend is overloaded."),
    ("upstream_auth", "upstream", 502, "The backend does not accept this proxy's key."),
    ("upstream_model", "upstream", 502, "The backend does not have the configured model."),
    ("upstream_context", "upstream", 400, "The request is too long for the backend's context."),
    ("first_token_timeout", "upstream", 504, "The backend sent nothing in time."),
    ("idle_timeout", "upstream", 504, "The backend stopped sending."),
    ("total_timeout", "upstream", 504, "The answer took longer than allowed."),
    (
        "resume_diverged",
        "upstream",
        502,
        "The answer broke off, and another backend's would have gone on differently.",
    ),
)
"""By code. `upstream_error` stands for the provider's own 5xx, 408 and in-band error events."""


class RejectedError(Exception):
    """A caller's request is refused before any upstream is asked.

    `detail` is appended to the kind's sentence; `param` names the field or header; `allow` is the
    method that 405 names; after `retry_after_s` it may go better.
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


def error_event(kind: Kind, request_id: str, ending: tuple[str, str]) -> bytes:
    """Return that object as one SSE event, the last thing a broken stream says.

    `ending` is the outcome and the terminal code, as the audit record has them.
    """
    document = error_object(kind, request_id)
    outcome, terminal = ending
    said = {**document["error"], "outcome": outcome, "terminal": terminal}
    return b"data: " + orjson.dumps({"error": said}) + b"\n\n"
