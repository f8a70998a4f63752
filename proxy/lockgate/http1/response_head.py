"""The head of an upstream's response: read under the same gates as a request's, and judged once.

Facts: RFC 9112 section 4 (the status line), 6.3 (which framing wins, and that both kinds at once is
an attack), 9.3 (persistence); RFC 9110 section 6.4.1 (responses without a body), 7.6.1 (hop-by-hop
fields), 10.2.3 (Retry-After), 15 (status classes).

Decisions: which fields a client sees is an allow-list. Cookies, server names, redirect targets and
CORS are not on it; framing fields, content-type and cache-control are ours to write.
"""

import re
from email.utils import parsedate_to_datetime
from typing import ClassVar, Final, Literal, final

import httptools

from lockgate.errors.kinds import RejectedError
from lockgate.http1.grammar import (
    MEMO_BOUND,
    Fields,
    SecondReader,
    fields_of,
    is_response_head,
    remember,
    without_length,
)
from lockgate.memo import BoundedMemo
from lockgate.value import Value

Framing = Literal["none", "length", "chunked", "close"]
Kind = Literal["json", "events", "unknown", "other"]
MOST_WAIT_S: Final = 60
"""What a client is asked to wait at most: SDKs sleep for as long as a response says."""
MAX_ID_CHARS: Final = 128
OWN_IDS: Final = (
    b"x-request-id",  # OpenAI, vLLM, Azure
    b"request-id",  # Anthropic
    b"apim-request-id",  # Azure
    b"x-amzn-requestid",  # Bedrock
    b"x-ms-request-id",
    b"x-generation-id",  # OpenRouter
    b"cf-ray",
)
"""Where upstreams say their own id of a request, the first that is there."""
_PASSED_ON: Final = frozenset({b"openai-model", b"openai-processing-ms", b"openai-version"})
_HINTS: Final = frozenset({b"ratelimit", b"ratelimit-policy"})
"""Draft-ietf-httpapi-ratelimit-headers."""
_HINT_PREFIX: Final = b"x-ratelimit-"
"""OpenAI's rate limit fields, which its SDKs read."""
_JSON_TYPES: Final = frozenset({b"application/json", b"text/json"})
_SAYS_NOTHING: Final = frozenset({b"", b"text/plain", b"application/octet-stream"})
_DECIMAL: Final = re.compile(rb"[0-9]{1,9}(?:\.[0-9]{1,9})?\Z")


class ProtocolError(Exception):
    """The response breaks HTTP, or is not of the kind that was asked for."""


@final
class ResponseHead(Value):
    """A good head. `passed_on`: rendered header lines that the client may see on every response.

    `kind` is the content type's; for "unknown" the first bytes decide. `coded` says that a content
    coding was used, unasked. `hints`: rendered lines of a rate limit. `own_id` is the upstream's
    own id of the request, empty where it gives none. `fields` are all of them, for a backend whose
    `downwardHeaders` name more.
    """

    __match_args__: ClassVar = (
        "status",
        "framing",
        "kind",
        "coded",
        "keep_alive",
        "retry_after_s",
        "passed_on",
        "hints",
        "own_id",
        "fields",
    )

    def __init__(  # noqa: PLR0913 - a head has this many sides
        self,
        status: int,
        *,
        framing: Framing,
        kind: Kind,
        coded: bool,
        keep_alive: bool,
        retry_after_s: float | None,
        passed_on: bytes,
        hints: bytes,
        own_id: str,
        fields: Fields,
    ) -> None:
        self.status: Final = status
        self.framing: Final = framing
        self.kind: Final = kind
        self.coded: Final = coded
        self.keep_alive: Final = keep_alive
        self.retry_after_s: Final = retry_after_s
        self.passed_on: Final = passed_on
        self.hints: Final = hints
        self.own_id: Final = own_id
        self.fields: Final = fields

    def lines_of(self, names: tuple[str, ...]) -> bytes:
        """Render the fields of these names."""
        wanted = {name.lower().encode() for name in names}
        found = [b"%b: %b\r\n" % field for field in self.fields if field[0] in wanted]
        return b"".join(line for line in found if line.isascii())


class ResponseHeads:
    """Reads heads, and remembers them: an upstream's differ by length and, each second, by date."""

    def __init__(self) -> None:
        self._memo: BoundedMemo[bytes, ResponseHead] = BoundedMemo(MEMO_BOUND)

    def read(self, raw: bytes) -> tuple[ResponseHead, int | None]:
        """Return the head of `raw`, its blank line included, and its Content-Length.

        ProtocolError when it is not a head that can be trusted.
        """
        key, length = without_length(raw)
        head = self._memo.get(key)
        if head is None:
            head = read_response_head(raw)
            if length is None and head.framing == "length":
                raise ProtocolError("content-length")
            remember(self._memo, key, head)
        return head, length


def read_response_head(raw: bytes) -> ResponseHead:
    """Return the head of `raw`; ProtocolError when it breaks a rule."""
    if not is_response_head(raw):
        raise ProtocolError("head")
    try:
        fields = fields_of(raw)
    except RejectedError:
        raise ProtocolError("fields") from None
    status, http10 = int(raw[9:12]), raw[:8] == b"HTTP/1.0"
    _agree(raw, status, fields)
    return _judged(status, fields, http10=http10)


def _agree(raw: bytes, status: int, fields: Fields) -> None:
    """Have llhttp read `raw`; ProtocolError unless it says what `status` and `fields` say."""
    reader = SecondReader()
    parser = httptools.HttpResponseParser(reader)
    try:
        parser.feed_data(raw)
    except (httptools.HttpParserError, httptools.HttpParserUpgrade):
        raise ProtocolError("llhttp") from None
    if parser.get_status_code() != status or reader.fields != fields:
        raise ProtocolError("readers disagree")


def _judged(status: int, fields: Fields, *, http10: bool) -> ResponseHead:
    values: dict[bytes, bytes] = {}
    passed_on = hints = b""
    for name, value in fields:
        values[name] = value
        if not value.isascii():
            continue  # obs-text (RFC 9110, 5.5): opaque, and nobody reads it
        if name in _PASSED_ON:
            passed_on += b"%b: %b\r\n" % (name, value)
        elif name in _HINTS or name.startswith(_HINT_PREFIX):
            hints += b"%b: %b\r\n" % (name, value)
    framing = _framing(status, fields, http10=http10)
    keep_alive = _keep_alive(values.get(b"connection", b""), http10=http10)
    waits_ms = _milliseconds(values.get(b"retry-after-ms", b""))
    if waits_ms is not None:
        hints += b"retry-after-ms: %d\r\n" % min(waits_ms, MOST_WAIT_S * 1000)
        waits_s: float | None = waits_ms / 1000
    else:
        waits_s = _seconds(values.get(b"retry-after", b""), values.get(b"date", b""))
    return ResponseHead(
        status,
        framing=framing,
        kind=_kind(values.get(b"content-type")),
        coded=values.get(b"content-encoding", b"identity").lower() not in {b"identity", b""},
        keep_alive=keep_alive and framing in {"length", "chunked"},
        retry_after_s=waits_s,
        passed_on=passed_on,
        hints=hints,
        own_id=_own_id(values),
        fields=fields,
    )


def _own_id(values: dict[bytes, bytes]) -> str:
    for name in OWN_IDS:
        value = values.get(name)
        if value:
            shown = value[:MAX_ID_CHARS].decode("ascii", "ignore")
            return shown if shown.isprintable() else ""
    return ""


def _framing(status: int, fields: Fields, *, http10: bool) -> Framing:
    lengths = [value for name, value in fields if name == b"content-length"]
    codings = [value for name, value in fields if name == b"transfer-encoding"]
    if len(lengths) + len(codings) > 1 or not all(length.isdigit() for length in lengths):
        raise ProtocolError("framing")
    if codings and (http10 or codings[0].lower() != b"chunked"):
        raise ProtocolError("transfer-encoding")
    if status < 200 or status in {204, 304}:
        return "none"
    return "chunked" if codings else "length" if lengths else "close"


def _keep_alive(value: bytes, *, http10: bool) -> bool:
    tokens = {token.strip() for token in value.lower().split(b",")}
    return b"close" not in tokens and (not http10 or b"keep-alive" in tokens)


def _kind(content_type: bytes | None) -> Kind:
    """Return what a body is by its type (RFC 9110, 8.3: without one its bytes may be examined)."""
    if content_type is None:
        return "unknown"
    kind = content_type.split(b";", 1)[0].strip().lower()
    if kind == b"text/event-stream":
        return "events"
    if kind in _JSON_TYPES or kind.endswith(b"+json"):
        return "json"
    return "unknown" if kind in _SAYS_NOTHING else "other"


def _milliseconds(value: bytes) -> int | None:
    """Return what OpenAI's own retry-after-ms asks for, which its SDKs look at first."""
    try:
        found = float(value)
    except ValueError:
        return None
    return int(found) if 0 <= found < 1e9 else None


def _seconds(value: bytes, date: bytes) -> float | None:
    """Return the seconds that a Retry-After of either form (RFC 9110, 10.2.3) asks for.

    Some servers write decimals. A date is counted from the response's own Date, whatever our clock
    says.
    """
    if _DECIMAL.match(value):
        return float(value)
    try:
        until, now = (parsedate_to_datetime(text.decode("ascii")) for text in (value, date))
        return max((until - now).total_seconds(), 0.0)
    except (ValueError, TypeError):
        return None  # no date, or one with a zone and one without


def check_usable(head: ResponseHead, *, streaming: bool) -> None:
    """Raise ProtocolError unless `head` may begin what was asked for, or an error to be read.

    Where a stream was asked for, JSON may be an error that came too late for its status.
    """
    if head.status >= 400:
        return
    if head.coded:
        raise ProtocolError("content-encoding")
    if head.status not in {200, 201, 202, 203}:
        raise ProtocolError("status")
    if head.kind == "other" or (head.kind == "events" and not streaming):
        raise ProtocolError("content-type")


def is_early(head: ResponseHead, *, whole: bool) -> bool:
    """Whether this is a good response to a request whose body is not whole yet.

    An error may come early (RFC 9112, section 9.5): the body may be too large for the upstream.
    """
    return head.status < 400 and not whole
