"""An upstream's answer head: read under the same gates as a caller's, and judged once.

Facts: RFC 9112 section 4 (the status line), 6.3 (which framing wins, and that both kinds at once is
an attack), 9.3 (persistence); RFC 9110 section 6.4.1 (answers without a body), 10.2.3
(Retry-After), 15 (status classes).
"""

from email.utils import parsedate_to_datetime
from typing import ClassVar, Final, Literal, final

import httptools

from proxy.exchange.errors import RejectedError
from proxy.exchange.framing import ChunkedBody, LengthBody, UntilClose
from proxy.exchange.headers import is_allowed_down
from proxy.exchange.value import Value
from proxy.exchange.wire import (
    Fields,
    SecondReader,
    fields_of,
    is_answer_head,
    remember,
    without_length,
)

Framing = Literal["none", "length", "chunked", "close"]
Kind = Literal["json", "events", "other"]


class ProtocolError(Exception):
    """The answer breaks HTTP, or is not of the kind that was asked for."""


@final
class AnswerHead(Value):
    """A good head. `passed_on`: rendered header lines that the caller may see.

    `kind` is the content type's; `coded` says that a content coding was used, unasked.
    """

    __match_args__: ClassVar = (
        "status",
        "framing",
        "kind",
        "coded",
        "keep_alive",
        "retry_after_s",
        "passed_on",
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
    ) -> None:
        self.status: Final = status
        self.framing: Final = framing
        self.kind: Final = kind
        self.coded: Final = coded
        self.keep_alive: Final = keep_alive
        self.retry_after_s: Final = retry_after_s
        self.passed_on: Final = passed_on


class AnswerHeads:
    """Reads heads, and remembers them: an upstream's differ by length and, each second, by date."""

    def __init__(self) -> None:
        self._memo: dict[bytes, AnswerHead] = {}

    def read(self, raw: bytes) -> tuple[AnswerHead, int | None]:
        """Return the head of `raw`, its blank line included, and its Content-Length.

        ProtocolError when it is not a head that can be trusted.
        """
        key, length = without_length(raw)
        head = self._memo.get(key)
        if head is None:
            head = read_answer_head(raw)
            if length is None and head.framing == "length":
                raise ProtocolError("content-length")
            remember(self._memo, key, head)
        return head, length


def read_answer_head(raw: bytes) -> AnswerHead:
    """Return the head of `raw`; ProtocolError when it breaks a rule."""
    if not is_answer_head(raw):
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


def _judged(status: int, fields: Fields, *, http10: bool) -> AnswerHead:
    held: dict[bytes, bytes] = {}
    passed_on = b""
    for name, value in fields:
        held[name] = value
        if is_allowed_down(name):
            passed_on += b"%b: %b\r\n" % (name, value)
    framing = _framing(status, fields, http10=http10)
    keep_alive = _keep_alive(held.get(b"connection", b""), http10=http10)
    return AnswerHead(
        status,
        framing=framing,
        kind=_kind(held.get(b"content-type", b"")),
        coded=held.get(b"content-encoding", b"identity").lower() != b"identity",
        keep_alive=keep_alive and framing in {"length", "chunked"},
        retry_after_s=_seconds(held.get(b"retry-after", b""), held.get(b"date", b"")),
        passed_on=passed_on,
    )


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


def _kind(content_type: bytes) -> Kind:
    kind = content_type.split(b";", 1)[0].strip().lower()
    if kind == b"text/event-stream":
        return "events"
    return "json" if kind == b"application/json" or kind.endswith(b"+json") else "other"


def _seconds(value: bytes, date: bytes) -> float | None:
    """Return the seconds that a Retry-After of either form (RFC 9110, 10.2.3) asks for.

    A date is counted from the answer's own Date, whatever our clock says.
    """
    if value.isdigit():
        return float(value) if len(value) < 10 else None
    try:
        until, now = (parsedate_to_datetime(text.decode("ascii")) for text in (value, date))
        return max((until - now).total_seconds(), 0.0)
    except (ValueError, TypeError):
        return None  # no date, or one with a zone and one without


def body_of(head: AnswerHead, length: int | None) -> LengthBody | ChunkedBody | UntilClose:
    """Return what finds the end of the answer's body."""
    if head.framing == "chunked":
        return ChunkedBody()
    if head.framing == "close":
        return UntilClose()
    return LengthBody(length or 0 if head.framing == "length" else 0)


def check_usable(head: AnswerHead, *, streaming: bool) -> None:
    """Raise ProtocolError unless `head` begins what was asked for, or an error to be read."""
    if head.coded:
        raise ProtocolError("content-encoding")
    if head.status >= 400:
        return
    if head.status not in {200, 201, 202, 203}:
        raise ProtocolError("status")
    if head.kind != ("events" if streaming else "json"):
        raise ProtocolError("content-type")


def check_timely(head: AnswerHead, *, whole: bool) -> None:
    """Raise ProtocolError for a good answer to a request whose body is not whole yet.

    An error may come early (RFC 9112, section 9.5): the body may be too large for the upstream.
    """
    if head.status < 400 and not whole:
        raise ProtocolError("an answer before its request")
