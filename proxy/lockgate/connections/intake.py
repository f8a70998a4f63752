"""One client's bytes on their way to being requests: what is whole, and what is not yet.

`lockgate.http1.reader` says what the bytes are. Decisions of this file:
- A turn of the reactor reads no more of one connection than fills its queue. Reading stops there
  and goes on in a later turn, when others had theirs.
- Chunks that carry next to nothing are read a few at a time too: each costs as much as a large one.
- Memory is booked as it is filled: what a client announces and does not send holds nothing.
"""

from typing import Any, Final

from twisted.internet.interfaces import ISSLTransport
from twisted.logger import Logger

from lockgate.bodies.upload import Upload
from lockgate.connections.downstream import CLOSING, Arrivals
from lockgate.connections.inbound import WHOLE_BYTES, InboundRequest, RequestInProgress, received
from lockgate.connections.pipeline import MOST, PipelinedRequests
from lockgate.connections.requests import RequestHandler
from lockgate.errors.kinds import RejectedError
from lockgate.exchange.memory import RETRY_AFTER_S
from lockgate.http1.reader import End, RequestReader
from lockgate.http1.request_head import Head

_log: Final = Logger("lockgate.intake")


class Intake:
    """The requests of `connection`: the whole ones in `waiting`, the one under way in `arriving`.

    `rejection` is why no more are read; it is the response after all that came before it.
    """

    def __init__(self, handler: RequestHandler, connection: Arrivals) -> None:
        self.waiting = PipelinedRequests(handler)
        self.arriving: RequestInProgress | None = None
        self.reader = RequestReader(handler.heads)
        self.head_is_timed = False
        self.expects = False  # its client waits for 100 Continue
        self.rejection: RejectedError | None = None
        self._handler = handler
        self._connection = connection
        self._tls: Any = None  # the transport, where it is one
        self._client = ""
        self._booked = 0
        self._work = 0  # that is left to this turn

    def attend(self, transport: Any, client: str) -> None:
        """Take requests of `client` from now on."""
        self._tls = transport if ISSLTransport.providedBy(transport) else None
        self._client = self.waiting.client = client

    def take(self, data: bytes) -> None:
        """Read what came, as far as one turn goes."""
        waits = self.reader.has_more
        self.reader.feed(data)
        if not waits:
            self.go_on()

    def lost(self) -> None:
        """The connection is gone: nothing of it becomes a request any more."""
        self.waiting.lost()
        self.drop()
        self.forget(RejectedError("client_gone"))

    def drop(self) -> None:
        """Let go of what is no request yet: nothing more is read."""
        self.reader.stop()
        self.book()

    def book(self) -> None:
        """Charge the memory budget for what is no request yet, and for the heads that wait."""
        size = self.reader.unread_bytes + self.waiting.head_bytes
        if size != self._booked:
            self._handler.memory.charge(size - self._booked, self._client)
            self._booked = size

    def forget(self, why: RejectedError, request_id: str | None = None) -> None:
        """Give up a body under way; one that no exchange has is recorded here."""
        arriving, self.arriving = self.arriving, None
        if arriving is None or arriving.begun:
            return
        self._handler.memory.release(arriving.upload.charged, self._client)
        answered = request_id is not None
        size = arriving.upload.size
        self._handler.record_unserved(
            arriving.head, why, request_id, bytes_in=size, answered=answered
        )

    def refuse(self, rejection: RejectedError) -> None:
        """Refuse a body under way where an exchange has it; else once what came before is over."""
        self.reader.stop()
        arriving, listener = self.arriving, self._connection.listener
        if arriving is not None and arriving.begun and listener is not None:
            listener.body_rejected(rejection)
        else:
            self.rejection = rejection

    # -- one turn

    def go_on(self) -> None:
        """Read what is left, as far as one turn goes."""
        reader, waiting = self.reader, self.waiting
        self._work = MOST
        has_grown = False
        try:
            while reader.has_more and self._connection.state < CLOSING:
                if self._work <= 0 or waiting.is_full:
                    break
                event = reader.next()
                if isinstance(event, Head):
                    self._take_head(event)
                    has_grown = False
                elif isinstance(event, bytes):
                    self._take_body(event)
                    has_grown = True
                elif isinstance(event, End):
                    self._take_end()
                elif event is not None:
                    self.refuse(event)
                    return
            if has_grown and self.arriving is not None:
                self._offer(self.arriving)
        except RejectedError as rejection:
            self.refuse(rejection)
        except Exception:  # noqa: BLE001 - what is under way has no part in it (X6)
            _log.failure("what came could not be read")
            self.refuse(RejectedError("internal"))

    def _take_head(self, head: Head) -> None:
        """Take a head that passed the gates, and its body if that is small and came with it."""
        self.head_is_timed = False
        self._work -= 1
        if self._tls is not None:
            self._check_server_name(head)
        reader = self.reader
        body = reader.whole_body(WHOLE_BYTES)
        if body is not None:
            self._take_whole(head, body)
            return
        length = reader.length
        self.arriving = RequestInProgress(head, length, self._handler.wheel.now())
        if length is not None and not self._handler.memory.has_room(length, self._client):
            raise RejectedError("memory_full", retry_after_s=RETRY_AFTER_S)
        self.expects = head.expects_continue

    def _take_whole(self, head: Head, body: bytes) -> None:
        """A small body came with its head, as most do, or there is none."""
        size = len(body)
        if size and not self._handler.memory.try_reserve(size, self._client):
            self.arriving = RequestInProgress(head, size, self._handler.wheel.now())
            raise RejectedError("memory_full", retry_after_s=RETRY_AFTER_S)
        self.expects = False
        self.waiting.add(InboundRequest(head, body), self.reader.head_bytes)

    def _check_server_name(self, head: Head) -> None:
        """Hold Host to the name that the TLS connection was made for (RFC 9110, 15.5.20)."""
        name = self._tls.getHandle().get_servername()
        host = head.headers["host"][0].lower()
        if name is not None and host.partition(":")[0].encode() != name.lower():
            raise RejectedError("misdirected")

    def _take_body(self, piece: bytes) -> None:
        """Take a piece of the body of the request under way."""
        arriving = self.arriving
        assert arriving is not None
        if self.reader.is_sliced:
            self._work = 0
        upload = arriving.upload
        upload.add(piece)
        if upload.size > upload.charged:
            self._charge(upload, upload.size - upload.charged)
        if upload.fault is not None and (arriving.begun or upload.is_bomb):
            raise upload.fault
        self.expects = False

    def _take_end(self) -> None:
        """The body is whole: its request waits its turn, or the exchange that has it goes on."""
        arriving, self.arriving = self.arriving, None
        assert arriving is not None
        if arriving.begun:
            self._connection.complete(arriving.upload)
        else:
            self.waiting.add(received(arriving), self.reader.head_bytes)

    def _offer(self, arriving: RequestInProgress) -> None:
        """More of a body came that is not whole: who has its request goes on, or may begin."""
        listener = self._connection.listener
        if arriving.begun and listener is not None:
            listener.body_more()
        elif arriving.is_large and not self.waiting:
            self._connection.begin(arriving)

    def _charge(self, upload: Upload, size: int) -> None:
        """Take room for body bytes that came."""
        if not self._handler.memory.try_reserve(size, self._client):
            raise RejectedError("memory_full", retry_after_s=RETRY_AFTER_S)
        upload.charged += size
