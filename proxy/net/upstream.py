"""One connection to an upstream: writes a request, turns the answer's bytes into events.

Wire facts: interim responses (1xx) are swallowed, at most eight of them (RFC 9110, section 15.2);
an unsolicited 101 is a protocol error; a body that lasts until the connection closes ends cleanly
only with a FIN, under TLS only with a close_notify.
"""

from collections.abc import Callable
from typing import Any, Final

import httptools
from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure

from proxy.exchange.events import (
    ENDED,
    AnswerData,
    AnswerStarted,
    AnswerWhole,
    Event,
    UpstreamFailed,
)
from proxy.net.connection import Connection

MAX_HEAD_BYTES: Final = 32 * 1024
MAX_HEADERS: Final = 100
MAX_INTERIM: Final = 8
_FRAMING: Final = frozenset({b"content-length", b"transfer-encoding"})


class Upstream(Connection):
    """Carries one answer at a time to `listener`; between answers it rests in the pool."""

    def __init__(self) -> None:
        super().__init__()
        self.listener: Callable[[list[Event]], None] | None = None
        self.lost: Callable[[Upstream], None] | None = None
        self.reusable = False
        self.idle_since = 0.0
        self._parser: httptools.HttpResponseParser | None = None
        self._headers: list[tuple[bytes, bytes]] = []
        self._events: list[AnswerStarted] = []
        self._body: list[bytes] = []
        self._head_bytes = 0
        self._interim = 0
        self._in_body = False
        self._until_close = False
        self._complete = False

    def send(self, data: bytes, listener: Callable[[list[Event]], None]) -> None:
        """Write one request; its answer's events go to `listener`."""
        self.listener = listener
        self.reusable = False
        if self._parser is None:
            self._parser = httptools.HttpResponseParser(self)
        self._headers = []
        self._head_bytes = self._interim = 0
        self._in_body = self._until_close = self._complete = False
        self.transport.write(data)

    def abort(self) -> None:
        """Cancel: the upstream sees a reset at once and stops working for us."""
        self.listener = None
        self.transport.abortConnection()

    # -- httptools callbacks

    def on_header(self, name: bytes, value: bytes) -> None:
        """Collect one header field."""
        self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """The head is whole: an interim one is dropped, a final one becomes an event."""
        parser = self._parser
        assert parser is not None
        status = parser.get_status_code()
        if len(self._headers) > MAX_HEADERS:
            raise ValueError("too many headers")
        if status < 200:
            self._take_interim(status)
            return
        self._in_body = True
        framed = any(name in _FRAMING for name, _ in self._headers)
        self._until_close = not framed and status not in {204, 304}
        self.reusable = framed and parser.should_keep_alive()
        self._events.append(AnswerStarted(status, self._headers))

    def on_body(self, data: bytes) -> None:
        """Collect body bytes of this read."""
        self._body.append(data)

    def on_message_complete(self) -> None:
        """An answer, or an interim one, is over."""
        if not self._in_body:
            self._headers = []
            return
        if self._complete:
            raise ValueError("a second answer to one request")
        self._complete = True

    def _take_interim(self, status: int) -> None:
        self._interim += 1
        if status == 101 or self._interim > MAX_INTERIM:
            raise ValueError("interim responses out of hand")
        self._headers = []

    # -- Twisted callbacks

    def dataReceived(self, data: bytes) -> None:
        """Parse what came and report it."""
        if self.listener is None or self._parser is None or self._complete:
            self.reusable = False
            self.transport.abortConnection()  # nobody asked for these bytes
            return
        failure = self._parse(data)
        self._report(failure)

    def _parse(self, data: bytes) -> UpstreamFailed | None:
        assert self._parser is not None
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            return UpstreamFailed("upstream_protocol")
        if not self._in_body:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES:
                return UpstreamFailed("upstream_protocol")
        return None

    def _report(self, failure: UpstreamFailed | None) -> None:
        events: list[Any] = self._events
        self._events = []
        pieces, self._body = self._body, []
        if failure is None and self._complete and pieces and events:
            data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
            started = events.pop()
            events.append(AnswerWhole(started.status, started.headers, data))
            if self.listener is not None:
                self.listener(events)
            return
        if pieces:
            events.append(AnswerData(b"".join(pieces)))
        if failure is not None:
            self.reusable = False
            events.append(failure)
        elif self._complete:
            events.append(ENDED)
        if events and self.listener is not None:
            self.listener(events)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The connection ended: cleanly for a close-delimited body, else in failure."""
        self.reusable = False
        if self.lost is not None:
            self.lost(self)
        listener, self.listener = self.listener, None
        if listener is None:
            return
        clean = reason.check(ConnectionDone) is not None
        if clean and self._until_close and self._in_body:
            listener([ENDED])
        else:
            code = "upstream_truncated" if self._in_body else "upstream_reset"
            listener([UpstreamFailed(code)])

    def release(self) -> bool:
        """The exchange is done with this connection; return whether it can carry another."""
        self.listener = None
        return self.reusable and self._complete
