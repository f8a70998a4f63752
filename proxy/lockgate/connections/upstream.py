"""One connection to an upstream: writes a request, turns the response's bytes into events.

Wire facts: interim responses (1xx) are swallowed, at most eight of them (RFC 9110, section 15.2);
an unsolicited 101 is a protocol error; a body that lasts until the connection closes ends cleanly
only with a FIN, under TLS only with a close_notify.
"""

from collections.abc import Callable
from typing import Final

from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure

from lockgate.connections.tls import StrictClient
from lockgate.eventloop.transport import Connection
from lockgate.exchange.events import (
    ENDED,
    Event,
    FailureCode,
    Interrupted,
    ResponseData,
    ResponseStarted,
    ResponseWhole,
    UpstreamFailed,
)
from lockgate.http1.reader import End, ResponseReader
from lockgate.http1.response_head import ResponseHead, ResponseHeads

_HEADS: Final = ResponseHeads()


class Peer:
    """What a backend's responses said of its HTTP: whether it may be sent the chunked coding."""

    def __init__(self) -> None:
        self.is_http11 = False
        self.wants_length = False

    @property
    def takes_chunked(self) -> bool:
        """Whether a body may go there without a length."""
        return self.is_http11 and not self.wants_length


class Upstream(Connection):
    """Carries one response at a time to `listener`; between two of them it is idle in the pool."""

    def __init__(self) -> None:
        super().__init__()
        self.listener: Callable[[list[Event]], None] | None = None
        self.lost: Callable[[Upstream], None] | None = None
        self.secured_by: StrictClient | None = None  # what made the TLS connection, if it is one
        self.peer: Peer | None = None
        self.reusable = False
        self.idle_since = 0.0
        self.checked_at = 0.0  # when the peer was last known to be who it should be
        self.uploading = False  # a chunked request whose end was not written yet
        self._reader = ResponseReader(_HEADS)
        self._reused = False
        self._sent_before = 0  # what the kernel had taken before this request

    def send(self, data: bytes, listener: Callable[[list[Event]], None]) -> None:
        """Write one request; its response's events go to `listener`."""
        self.listener = listener
        self.reusable = False
        self._reused = self._reader.is_in_body
        if self._reused:
            plain = self.plain
            self._sent_before = plain.sent_bytes if plain is not None else self.transport.sent_bytes
        else:
            self._sent_before = 0
        self._reader.expect()
        self._write(data)

    def abort(self) -> None:
        """Cancel: the upstream sees a reset at once and stops working for us."""
        self.listener = None
        self.transport.abortConnection()

    # -- reading a response

    def dataReceived(self, data: bytes) -> None:
        """Report what came: at most one head, one piece of body and one end."""
        reader = self._reader
        if self.listener is None or reader.is_complete:
            self.reusable = False
            self.transport.abortConnection()  # no request is out that they could answer
            return
        reader.feed(data)
        head: ResponseHead | None = None
        piece = b""
        event = reader.next()
        if isinstance(event, ResponseHead):
            head = event
            self.reusable = head.keep_alive
            if self.peer is not None:
                self.peer.is_http11 = reader.is_http11
            event = reader.next()
        if isinstance(event, bytes):
            piece = event
            event = reader.next()
        last: Event | None = None
        if isinstance(event, End):
            last = ENDED
            if reader.unread_bytes:
                self.reusable = False  # what follows was not asked for
        elif event is not None:
            last = UpstreamFailed("upstream_protocol")
            self.reusable = False
        self._report(head, piece, last)

    def _report(self, head: ResponseHead | None, piece: bytes, last: Event | None) -> None:
        events: list[Event] = []
        if head is not None and piece and last is ENDED:
            events.append(ResponseWhole(head, piece))
        else:
            if head is not None:
                events.append(ResponseStarted(head))
            if piece:
                events.append(ResponseData(piece))
            if last is not None:
                events.append(last)
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
        clean = isinstance(reason.value, ConnectionDone)
        if clean and self._reader.ends_with_connection:
            listener([ENDED])
        else:
            code: FailureCode = "upstream_truncated"
            if not self._reader.is_in_body:
                code = "upstream_reset"
            if self._reused and self.transport.sent_bytes == self._sent_before:
                code = "upstream_stale"  # it was dead before it took a byte of this request
            listener([UpstreamFailed(code)])

    def broke(self) -> None:
        """A fault of ours in reading or writing, which is logged: nobody's attempt failed."""
        listener, self.listener = self.listener, None
        self.reusable = False
        self.transport.abortConnection()
        if listener is not None:
            listener([Interrupted("internal")])

    def release(self) -> bool:
        """The exchange is done with this connection; return whether it can carry another."""
        self.listener = None
        if not self.reusable or not self._reader.is_complete or self.uploading:
            return False
        # a response that came before our request was sent stops the upload
        plain = self.plain
        if plain is not None:
            return not plain.unsent_bytes and plain.producer is None
        return not self.transport.unsent_bytes and self.transport.producer is None
