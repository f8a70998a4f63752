"""Every error that a client can read, once: a row of one table with all that is true of it.

The page (docs/errors.md), the retry law, the breaker, the records and the metrics read this table;
there is no second list of codes. What an error looks like to a client is `errors.body`.
Nothing of an upstream's text, no key and no prompt stands in a sentence.
"""

from functools import partial
from typing import Final, cast

from attrs import frozen

from lockgate.errors.codes import Code, Deadline, RetryLaw, Source
from lockgate.errors.outcome import Outcome, Phase


@frozen
class ErrorKind:
    """One row: everything that is true of errors with this code.

    Who reads what:

    - the client: `status` and `sentence`, and `advice`, which names the setting to look at.
      `retryable` is False where no repeat can mend it although its status sounds so: the
      response then says ``x-should-retry: false``, which SDKs read.
    - the record: `source` is who caused it, `phases` are those in which it ends a request, in the
      letters of a terminal code (none: the head was refused, and leaves no record), `cause` is the
      terminal code's last word, `outcome` the one before the commit point and `cut` the one after.
    - the exchange: `retry` is what follows a failed attempt before the commit point, `resumable`
      whether a response that broke off by it may be continued elsewhere, and `counts` whether it is
      the backend's fault. `deadline` is the one whose passing this is.
    - the operator: `alarm`, somebody must act.
    """

    code: Code
    source: Source
    status: int
    phases: str
    sentence: str
    outcome: Outcome
    cut: Outcome
    cause: str
    retry: RetryLaw
    deadline: Deadline | None
    advice: str
    counts: bool
    resumable: bool
    retryable: bool
    alarm: bool

    @property
    def type(self) -> str:
        """OpenAI's coarse error type for this kind."""
        if self.status == 429:
            return "rate_limit_error"
        return "invalid_request_error" if self.source == "client" else "server_error"

    @property
    def is_unreached(self) -> bool:
        """Whether no connection to the backend came about."""
        return self.source == "upstream" and self.phases == "c"

    def terminal(self, phase: Phase) -> str:
        """Return who, where and why, like ``Us-idle``."""
        cause = f"-{self.cause}" if self.cause else ""
        return f"{self.source[0].upper()}{phase}{cause}"


def _kind(  # noqa: PLR0913 - the columns of a row
    source: Source,
    code: Code,
    status: int,
    phases: str,
    sentence: str,
    *,
    outcome: Outcome | None = None,
    cut: Outcome = "upstream_died",
    cause: str | None = None,
    retry: RetryLaw = "next",
    deadline: Deadline | None = None,
    advice: str = "",
    counts: bool = False,
    resumable: bool = True,
    retryable: bool = True,
    alarm: bool = False,
) -> ErrorKind:
    """Return a row of the table; what it leaves out is what most rows of its source have."""
    if outcome is None:
        outcome = "bad_request" if source == "client" else "upstream_failed"
    if cause is None:
        cause = code.removeprefix("upstream_").replace("_", "-")
    return ErrorKind(
        code=code,
        source=source,
        status=status,
        phases=phases,
        sentence=sentence,
        outcome=outcome,
        cut=cut,
        cause=cause,
        retry=retry,
        deadline=deadline,
        advice=advice,
        counts=counts,
        resumable=resumable,
        retryable=retryable,
        alarm=alarm,
    )


_client = partial(_kind, "client")
_proxy = partial(_kind, "proxy")
_upstream = partial(_kind, "upstream")

# fmt: off
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
    _client("client_routing", 400, "b",
            "Routing is the policy's: remove this field from the body."),
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
    _client("client_gone", 499, "bcws", "The client closed the connection.",
            outcome="client_gone", cut="client_gone", cause=""),
    _proxy("refused_by_rule", 503, "r", "A rule of the policy refuses this request.",
           outcome="refused_policy", cause="policy", retryable=False),
    _proxy("refused_by_policy", 503, "r", "The policy lets no backend see this request.",
           outcome="refused_policy", cause="policy", retryable=False),
    _proxy("no_allowed_upstream", 503, "r", "No backend that may see this request can serve it.",
           outcome="refused_policy", cause="policy"),
    _proxy("no_capable_backend", 503, "r",
           "No backend with the capabilities required can serve it.", cause="open"),
    _proxy("no_route", 503, "r", "No rule matches and the policy has no default route.",
           outcome="refused_policy", cause="policy", retryable=False),
    _proxy("upstreams_unavailable", 503, "r",
           "Every backend for this request is out of service after failures.", cause="open"),
    _proxy("memory_full", 503, "bws", "This proxy has no room for the request now.",
           outcome="refused_overload", cut="refused_overload", cause="memory", resumable=False),
    _proxy("draining", 503, "bcws", "This proxy is shutting down.",
           outcome="drained", cut="drained", cause="drain"),
    _proxy("internal", 500, "bcwsd", "Lockgate failed on this request.",
           outcome="internal", cut="internal"),
    _proxy("proxy_capacity", 503, "c", "This proxy is out of connections.",
           outcome="refused_overload", cause="capacity"),
    _proxy("credentials_missing", 502, "r", "The backend's key is not mounted.", retryable=False),
    _upstream("upstream_dns", 502, "c", "The backend's name does not resolve.", counts=True),
    _upstream("upstream_address", 502, "c",
              "The backend's name resolves to an address it may not have."),
    _upstream("upstream_connect", 502, "c", "The backend refuses connections.", counts=True),
    _upstream("upstream_tls", 502, "c",
              "The backend's TLS certificate or handshake is not acceptable.", counts=True),
    _upstream("connect_timeout", 504, "c", "The backend did not accept a connection in time.",
              cause="timeout", deadline="connect", counts=True),
    _upstream("upstream_reset", 502, "ws", "The backend broke the connection.",
              retry="again", counts=True),
    _upstream("upstream_protocol", 502, "ws", "The backend's response is not what was asked for.",
              retry="again", counts=True),
    _upstream("upstream_truncated", 502, "ws", "The backend's response stopped before its end.",
              cut="truncated", retry="again", counts=True),
    _upstream("upstream_error", 502, "ws", "The backend failed.", retry="again", counts=True),
    _upstream("upstream_rate_limited", 429, "w", "The backend is rate limited.", retry="wait"),
    _upstream("upstream_overloaded", 502, "w", "The backend is overloaded.",
              retry="wait", counts=True),
    _upstream("upstream_auth", 502, "w", "The backend does not accept this proxy's key.",
              retryable=False, alarm=True,
              advice="Look at the Secret that `credentialsSecretRef` names."),
    _upstream("upstream_model", 502, "w", "The backend does not have the configured model.",
              retryable=False, alarm=True,
              advice="Look at `external.model` or `servedModel`."),
    _upstream("upstream_path", 502, "w", "The backend has no chat endpoint at the configured URL.",
              retryable=False, alarm=True,
              advice="Look at `external.url`: an OpenAI-compatible one ends in /v1."),
    _upstream("insufficient_quota", 429, "w", "The backend's account has nothing left to spend.",
              cause="quota", retryable=False, alarm=True,
              advice="Look at the provider's billing page."),
    _upstream("upstream_context", 400, "w", "The request is too long for the backend's context."),
    _upstream("first_token_timeout", 504, "w", "The backend sent nothing in time.",
              outcome="first_token_timeout", cause="first-token", deadline="first_token",
              counts=True),
    _upstream("silence_timeout", 504, "ws", "The backend went silent.",
              outcome="idle_timeout", cut="idle_timeout", cause="silence", deadline="silence",
              counts=True),
    _upstream("idle_timeout", 504, "ws", "The backend stopped sending.",
              outcome="idle_timeout", cut="idle_timeout", cause="idle", deadline="idle",
              counts=True),
    _upstream("total_timeout", 504, "cws", "The response took longer than allowed.",
              outcome="total_timeout", cut="total_timeout", cause="total", deadline="total",
              retry="final", resumable=False),
    _upstream("resume_diverged", 502, "s",
              "The response broke off, and another backend's would have gone on differently.",
              resumable=False),
)
# fmt: on
KINDS: Final[dict[Code, ErrorKind]] = {kind.code: kind for kind in _TABLE}
"""By code. `upstream_error` stands for the provider's own 5xx, 408 and in-band error events."""
ALARMS: Final = frozenset(kind.code for kind in _TABLE if kind.alarm)
"""Errors for which somebody must act."""
_BY_DEADLINE: Final[dict[str, Code]] = {k.deadline: k.code for k in _TABLE if k.deadline}


def of_deadline(name: str) -> Code:
    """Return the error that the passing of a deadline is."""
    return _BY_DEADLINE[name]


def kind_of(word: str) -> ErrorKind | None:
    """Return the row of an error's code; None for another word, such as "complete"."""
    return KINDS.get(cast("Code", word))


class RejectedError(Exception):
    """Refuses a client's request before any upstream is asked.

    `detail` is appended to the kind's sentence; `param` names the field or header; `allow` are the
    methods that 405 names; after `retry_after_s` seconds it may be accepted; `headers` are
    further lines of the response's head.
    """

    def __init__(
        self,
        code: Code,
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
