"""One caller's bytes on their way to being requests: heads, bodies, and what is not whole yet.

Decisions of this file:
- A turn of the reactor reads no more of one connection than fills its queue. Parsing stops there,
  as reading does, and goes on in a later turn, when others had theirs.
- Chunks that carry next to nothing are read a few at a time too: each costs as much as a large one.
- Memory is booked as it is filled: what a caller announces and does not send holds nothing.
"""

from typing import Any, Final

from twisted.internet.interfaces import ISSLTransport
from twisted.logger import Logger

from lockgate.bodies.upload import Upload
from lockgate.connections.downstream import Arrivals
from lockgate.connections.inbound import WHOLE_BYTES, InboundRequest, RequestInProgress, received
from lockgate.connections.pipeline import MOST, PipelinedRequests
from lockgate.connections.requests import RequestHandler
from lockgate.errors.kinds import RejectedError
from lockgate.exchange.memory import RETRY_AFTER_S
from lockgate.http1.framing import ChunkedBody, FramingError, LengthBody
from lockgate.http1.grammar import HEAD_END, MAX_HEAD_BYTES, prefix_fault
from lockgate.http1.request_head import MAX_BODY_BYTES, Head

SLICE_BYTES: Final = 1024
MANY_LINES: Final = 512
"""In one read, of chunks that carry less than half a KiB: they are read a slice a turn."""
_log: Final = Logger("lockgate.intake")


class Intake:
    """What came of `connection`'s requests. `rejection`: answered once what came before it is."""

    def __init__(self, handler: RequestHandler, connection: Arrivals) -> None:
        self.waiting = PipelinedRequests(handler)
        self.arriving: RequestInProgress | None = None
        self.unread = b""  # what was not looked at yet
        self.begun = b""  # a head that is not whole yet
        self.head_is_timed = False
        self.expects = False  # its caller waits for 100 Continue
        self.is_bodiless = False  # the answer to the last head has no body
        self.rejection: RejectedError | None = None
        self._handler = handler
        self._connection = connection
        self._tls: Any = None  # the transport, where it is one
        self._client = ""
        self._booked = 0
        self._head_size = 0  # of the last whole head
        self._work = 0  # that is left to this turn

    def attend(self, transport: Any, client: str) -> None:
        """Take requests of `client` from now on."""
        self._tls = transport if ISSLTransport.providedBy(transport) else None
        self._client = self.waiting.client = client

    def take(self, data: bytes) -> None:
        """Read what came, as far as one turn goes."""
        if self.unread:
            self.unread += data
        else:
            self._read(data)

    def go_on(self) -> None:
        """Others had their turn: look at what is left of a read."""
        data, self.unread = self.unread, b""
        self._read(data)

    def lost(self) -> None:
        """The connection is gone: nothing of it becomes a request any more."""
        self.waiting.lost()
        self.drop()
        self.forget(RejectedError("client_gone"))

    def drop(self) -> None:
        """Let go of what is no request yet: nothing more is read."""
        self.begun = self.unread = b""
        self.book()

    def book(self) -> None:
        """Hold what is no request yet, and the heads of those that wait, in the memory budget."""
        held = len(self.begun) + len(self.unread) + self.waiting.head_bytes
        if held != self._booked:
            self._handler.memory.charge(held - self._booked, self._client)
            self._booked = held

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
        arriving, listener = self.arriving, self._connection.listener
        if arriving is not None and arriving.begun and listener is not None:
            listener.body_rejected(rejection)
        else:
            self.rejection = rejection

    # -- one turn

    def _read(self, data: bytes) -> None:
        self._work = MOST
        try:
            while data and not self._connection.is_closing:
                if self._work <= 0 or self.waiting.is_full:
                    self.unread = data
                    break
                data = self._take_head(data) if self.arriving is None else self._take_body(data)
        except RejectedError as rejection:
            self.refuse(rejection)
        except FramingError:
            self.refuse(RejectedError("bad_request", "The body's framing is broken."))
        except Exception:  # noqa: BLE001 - what is under way has no part in it (X6)
            _log.failure("what came could not be read")
            self.refuse(RejectedError("internal"))

    def _take_head(self, data: bytes) -> bytes:
        """Take a head, or a part of one; return what follows it."""
        searched = len(self.begun)
        if searched:
            data = self.begun + data
        # one empty line before a request is ignored (RFC 9112, 2.2)
        start = 2 if data.startswith(b"\r\n") else 0
        end = data.find(HEAD_END, max(searched - 3, start), start + MAX_HEAD_BYTES) + 4
        if end < 4:
            fault = prefix_fault(data[start:], searched - start)
            if fault is not None:
                raise RejectedError(fault)
            self.begun = data
            return b""
        self.begun, self.head_is_timed = b"", False
        self._work -= 1
        self._head_size = end - start
        self.is_bodiless = data[start : start + 5] == b"HEAD "
        head, length = self._handler.heads.read(data[start:end])
        if self._tls is not None:
            self._check_server_name(head)
        if length and length <= min(len(data) - end, WHOLE_BYTES) and not head.chunked:
            self._take_whole(head, data[end : end + length])
            return data[end + length :]
        self._admitted(head, length)
        return data[end:]

    def _take_whole(self, head: Head, body: bytes) -> None:
        """A small body came with its head, as most do."""
        size = len(body)
        if not self._handler.memory.try_reserve(size, self._client):
            self.arriving = RequestInProgress(head, LengthBody(size), self._handler.wheel.now())
            raise RejectedError("memory_full", retry_after_s=RETRY_AFTER_S)
        self.expects = False
        self.waiting.add(InboundRequest(head, body), self._head_size)

    def _check_server_name(self, head: Head) -> None:
        """Hold Host to the name that the TLS connection was made for (RFC 9110, 15.5.20)."""
        name = self._tls.getHandle().get_servername()
        host = head.headers["host"][0].lower()
        if name is not None and host.partition(":")[0].encode() != name.lower():
            raise RejectedError("misdirected")

    def _admitted(self, head: Head, length: int | None) -> None:
        """The head passed the gates: a body follows, or the request is whole."""
        framing: LengthBody | ChunkedBody
        if head.chunked:
            framing = ChunkedBody()
        elif length:
            framing = LengthBody(length)
        else:
            self.waiting.add(InboundRequest(head, b""), self._head_size)
            return
        self.arriving = RequestInProgress(head, framing, self._handler.wheel.now())
        if length is not None and not self._handler.memory.has_room(length, self._client):
            raise RejectedError("memory_full", retry_after_s=RETRY_AFTER_S)
        self.expects = head.expects_continue

    def _take_body(self, data: bytes) -> bytes:
        """Take body bytes up to the cap; return what is to be looked at next."""
        arriving = self.arriving
        assert arriving is not None
        framing, upload = arriving.framing, arriving.upload
        rest = b""
        if arriving.head.chunked and data.count(b"\r\n") > MANY_LINES:
            data, rest = data[:SLICE_BYTES], data[SLICE_BYTES:]
            self._work = 0
        piece = framing.feed(data)
        if piece:
            upload.add(piece)
            if upload.size > MAX_BODY_BYTES:
                raise RejectedError("body_too_large")
            if upload.size > upload.charged:
                self._charge(upload, upload.size - upload.charged)
            if upload.fault is not None and (arriving.begun or upload.is_bomb):
                raise upload.fault
            self.expects = False
        if framing.done:
            if isinstance(framing, ChunkedBody) and framing.trailers:
                self._handler.heads.rules.check_trailer(framing.trailers)
            self._arrived(arriving)
            return framing.surplus + rest if rest else framing.surplus
        listener = self._connection.listener
        if arriving.begun and listener is not None:
            listener.body_more()
        elif arriving.is_large and not self.waiting:
            self._connection.begin(arriving)
        return rest

    def _arrived(self, arriving: RequestInProgress) -> None:
        """A body is whole: its request waits its turn, or the exchange that has it goes on."""
        self.arriving = None
        if arriving.begun:
            self._connection.complete(arriving.upload)
        else:
            self.waiting.add(received(arriving), self._head_size)

    def _charge(self, upload: Upload, size: int) -> None:
        """Take room for body bytes that came."""
        if not self._handler.memory.try_reserve(size, self._client):
            raise RejectedError("memory_full", retry_after_s=RETRY_AFTER_S)
        upload.charged += size
