"""Renders what an exchange sends to its client: heads, whole errors, chunks."""

from http import HTTPStatus
from typing import Final

from lockgate.errors.body import error_body
from lockgate.errors.kinds import ErrorKind, RejectedError
from lockgate.exchange.request import RoutedRequest
from lockgate.http1.framing import SIZE_LINES

_REASON: Final = {status.value: status.phrase for status in HTTPStatus}

LAST_CHUNK: Final = b"0\r\n\r\n"
EVENTS: Final = (
    b"content-type: text/event-stream\r\n"
    b"cache-control: no-cache, no-transform\r\nx-accel-buffering: no\r\n"
)
"""A stream's own lines: no cache keeps it, no proxy compresses or buffers it (RFC 9111, 5.2.2.6;
nginx's X-Accel-Buffering)."""
JSON: Final = b"content-type: application/json\r\n"
SIGN_OF_LIFE: Final = (b"\n", b": keep-alive\n")
"""By whether the client streams. A comment is a line and no more: the blank line behind one is an
empty event to some clients (openai-python#2722)."""
MOST_WAIT_S: Final = 60
"""What Retry-After asks for at most: SDKs sleep for as long as it says."""
DO_NOT_RETRY: Final = b"x-should-retry: false\r\n"
"""OpenAI's SDKs ask again after 408, 409, 429 and every status from 500, unless this says no."""


def chunk(data: bytes) -> bytes:
    """Return `data` as one chunk of a chunked body (RFC 9112, section 7.1)."""
    size = len(data)
    line = SIZE_LINES[size] if size < len(SIZE_LINES) else b"%x\r\n" % size
    return b"%b%b\r\n" % (line, data)


def status_line(status: int) -> bytes:
    """Return ``HTTP/1.1 200 OK`` with its line end."""
    return _OK if status == 200 else _status_line(status)


def _status_line(status: int) -> bytes:
    return b"HTTP/1.1 %d %b\r\n" % (status, _REASON.get(status, "Unknown").encode())


_OK: Final = _status_line(200)


def head_of(
    request: RoutedRequest, status: int, lines: bytes, framing: bytes | None = None
) -> bytes:
    """Return the head of a response to `request` with these rendered `lines`.

    `framing` None: the response's length is not known.
    """
    if framing is None:
        framing = b"transfer-encoding: chunked\r\n" if request.chunks else b""
    closes = request.close or not (request.chunks or framing)
    return b"%b%b%b%b%b\r\n" % (
        status_line(status),
        lines,
        request.response_headers,
        framing,
        b"connection: close\r\n" if closes else b"",
    )


def whole_seconds(seconds: float) -> int:
    """Return what Retry-After says: whole seconds (RFC 9110, 10.2.3), from 1 to a minute."""
    return min(max(1, -int(-seconds // 1)), MOST_WAIT_S)


def whole(status: int, headers: bytes, body: bytes, *, close: bool) -> bytes:
    """Return a whole JSON response. `headers` are rendered lines, each with its line end."""
    return b"%bcontent-type: application/json\r\n%bcontent-length: %d\r\n%b\r\n%b" % (
        status_line(status),
        headers,
        len(body),
        b"connection: close\r\n" if close else b"",
        body,
    )


def whole_error(  # noqa: PLR0913 - an error has this many words
    kind: ErrorKind,
    request_id: str,
    *,
    headers: bytes,
    detail: str = "",
    param: str | None = None,
    close: bool,
) -> bytes:
    """Return the whole response for `kind`; `headers` name the request as `identified` does."""
    body = error_body(kind, request_id, detail=detail, param=param)
    return whole(kind.status, headers, body, close=close)


def head_alone(response: bytes) -> bytes:
    """Return the response to HEAD: the same head, no body (RFC 9110, 9.3.2)."""
    return response[: response.index(b"\r\n\r\n") + 4]


def no_content(headers: bytes, *, close: bool) -> bytes:
    """Return a response of 204, which has no length (RFC 9110, 8.6)."""
    last = b"connection: close\r\n" if close else b""
    return b"%b%b%b\r\n" % (status_line(204), headers, last)


def identified(request_id: str) -> bytes:
    """Return the line that every response has exactly once: SDKs join two into no id at all."""
    return b"x-request-id: %b\r\n" % request_id.encode()


def whole_rejection(rejection: RejectedError, request_id: str, *, bodiless: bool) -> bytes:
    """Render the response to a request that ends its connection; `bodiless` for HEAD."""
    response = whole_error(
        rejection.kind,
        request_id,
        headers=identified(request_id) + rejection_headers(rejection),
        detail=rejection.detail,
        param=rejection.param,
        close=True,
    )
    return head_alone(response) if bodiless else response


def rejection_headers(rejection: RejectedError) -> bytes:
    """Return what a refusal adds to the response's head.

    Allow with 405 (RFC 9110, 15.5.6), Retry-After where it may pass (10.2.3).
    """
    lines = b"allow: " + rejection.allow + b"\r\n" if rejection.allow else b""
    if not rejection.kind.retryable:
        lines += DO_NOT_RETRY
    lines += rejection.headers
    if rejection.retry_after_s is not None:
        lines += b"retry-after: %d\r\n" % rejection.retry_after_s
    return lines
