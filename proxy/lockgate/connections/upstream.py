"""One connection to an upstream: writes a request, turns the answer's bytes into events.

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
from lockgate.http1.framing import Body, FramingError
from lockgate.http1.grammar import HEAD_END, MAX_HEAD_BYTES, prefix_fault
from lockgate.http1.response_head import ProtocolError, ResponseHead, ResponseHeads, body_of

MAX_INTERIM: Final = 8
_HEADS: Final = ResponseHeads()


class Peer:
    """What a backend's answers said of its HTTP: who may be sent the chunked coding."""

    def __init__(self) -> None:
        self.is_http11 = False
        self.wants_length = False

    @property
    def takes_chunked(self) -> bool:
        """Whether a body may go there without a length."""
        return self.is_http11 and not self.wants_length


class Upstream(Connection):
    """Carries one answer at a time to `listener`; between answers it rests in the pool."""

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
        self._begun = b""  # a head that is not whole yet
        self._started: ResponseHead | None = None  # came in this read
        self._framing: Body | None = None
        self._body: list[bytes] = []
        self._interim = 0
        self._until_close = False
        self._complete = False
        self._reused = False
        self._sent_before = 0  # what the kernel had taken before this request

    def send(self, data: bytes, listener: Callable[[list[Event]], None]) -> None:
        """Write one request; its answer's events go to `listener`."""
        self.listener = listener
        self.reusable = False
        self._reused = self._framing is not None
        if self._reused:
            plain = self.plain
            self._sent_before = plain.sent_bytes if plain is not None else self.transport.sent_bytes
        else:
            self._sent_before = 0
        self._begun = b""
        self._framing = None
        self._interim = 0
        self._until_close = self._complete = False
        self._write(data)

    def abort(self) -> None:
        """Cancel: the upstream sees a reset at once and stops working for us."""
        self.listener = None
        self.transport.abortConnection()

    # -- reading an answer

    def dataReceived(self, data: bytes) -> None:
        """Parse what came and report it."""
        if self.listener is None or self._complete:
            self.reusable = False
            self.transport.abortConnection()  # nobody asked for these bytes
            return
        failure: UpstreamFailed | None = None
        try:
            while data and not self._complete:
                data = self._take_head(data) if self._framing is None else self._take_body(data)
        except ProtocolError:
            failure = UpstreamFailed("upstream_protocol")
        except FramingError as broken:
            failure = UpstreamFailed("upstream_protocol")
            if broken.body:
                self._body.append(broken.body)  # it may have been all that was to come
        self._report(failure)

    def _take_head(self, data: bytes) -> bytes:
        """Take a head, or a part of one; return what follows it."""
        searched = len(self._begun)
        if searched:
            data = self._begun + data
        end = data.find(HEAD_END, max(searched - 3, 0), MAX_HEAD_BYTES) + 4
        if end < 4:
            if prefix_fault(data, searched) is not None:
                raise ProtocolError("head")
            self._begun = data
            return b""
        self._begun = b""
        head, length = _HEADS.read(data[:end])
        if head.status < 200:
            self._take_interim(head.status)
            return data[end:]
        if self.peer is not None:
            self.peer.is_http11 = data.startswith(b"HTTP/1.1")
        self._started = head
        framing = self._framing = body_of(head, length)
        self._until_close = head.framing == "close"
        self.reusable = head.keep_alive
        self._complete = framing.done
        return data[end:]

    def _take_interim(self, status: int) -> None:
        self._interim += 1
        if status == 101 or self._interim > MAX_INTERIM:
            raise ProtocolError("interim answers out of hand")

    def _take_body(self, data: bytes) -> bytes:
        """Take body bytes; what follows the body was not asked for."""
        framing = self._framing
        assert framing is not None
        piece = framing.feed(data)
        if piece:
            self._body.append(piece)
        if framing.done:
            self._complete = True
            if framing.surplus:
                self.reusable = False
        return b""

    def _report(self, failure: UpstreamFailed | None) -> None:
        events: list[Event] = []
        head, self._started = self._started, None
        pieces, self._body = self._body, []
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        if head is not None and data and self._complete and failure is None:
            events.append(ResponseWhole(head, data))
        else:
            if head is not None:
                events.append(ResponseStarted(head))
            if data:
                events.append(ResponseData(data))
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
        clean = isinstance(reason.value, ConnectionDone)
        if clean and self._until_close and not self._complete:
            listener([ENDED])
        else:
            code: FailureCode = "upstream_truncated"
            if self._framing is None:
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
        if not self.reusable or not self._complete or self.uploading:
            return False
        # an answer that came before our request was sent stops the upload
        plain = self.plain
        if plain is not None:
            return not plain.unsent_bytes and plain.producer is None
        return not self.transport.unsent_bytes and self.transport.producer is None
