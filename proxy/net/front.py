"""One caller's connection: request bytes in, answers out, one request at a time.

Decisions of this file:
- Pipelined requests wait in a short queue; when it is full, reading stops until it has room.
- After an error that leaves the framing in doubt the connection is closed, lingering so that the
  caller can read the answer (closing with unread input would send a reset over it).
- A half-closed connection counts as gone: nobody reads answers that cost tokens.
"""

from collections import deque
from typing import TYPE_CHECKING, Final

from twisted.internet.interfaces import ISSLTransport
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure

from proxy.exchange.answers import whole_rejection
from proxy.exchange.errors import RejectedError
from proxy.exchange.framing import ChunkedBody, FramingError, LengthBody
from proxy.exchange.memory import RETRY_AFTER_S
from proxy.exchange.request_head import MAX_BODY_BYTES, Head
from proxy.exchange.upload import Upload
from proxy.exchange.wire import HEAD_END, MAX_HEAD_BYTES, prefix_fault
from proxy.net.arriving import Arriving, Received
from proxy.net.connection import Connection
from proxy.net.reader import STALL_S, Reader
from proxy.net.wheel import Timer

if TYPE_CHECKING:
    from proxy.net.desk import Desk
    from proxy.net.run import Run

HEAD_S: Final = 10.0
IDLE_S: Final = 75.0
"""Keep-alive of an idle connection, nginx's default."""
LINGER_S: Final = 2.0
LINGER_MOST_S: Final = 30.0
"""As long as a caller goes on sending what nobody wants; nginx's lingering_time."""
REST_BYTES: Final = 64 * 1024
"""While a caller has yet to take more than this, its next request waits: Twisted's high water."""
MAX_WAITING: Final = 16


class Front(Connection):
    """See the module's text."""

    def __init__(self, desk: "Desk") -> None:
        super().__init__()
        self.desk = desk
        self.run: Run | None = None
        self.peer = ""  # the caller's address
        self._waiting: deque[Received] = deque()
        self._begun = b""  # a head that is not whole yet
        self._arriving: Arriving | None = None
        self._expected = False  # its caller waits for 100 Continue
        self._tls = False
        self._bodiless = False
        self._rejection: RejectedError | None = None  # answered once what came before it is
        self._busy = False
        self._serving = False
        self._closing = False
        self._paused = False
        self.lost = False
        self._head_timed = False
        self._lingers_until = 0.0
        self._timer = Timer(desk.wheel, self._late)
        self.phase_timer = Timer(desk.wheel, self._phase_reached)
        self.reader = Reader(desk.wheel, desk.memory, self._caught_up, self._gave_up)

    # -- the connection

    def connectionMade(self) -> None:
        """A caller connected."""
        self.transport.setTcpNoDelay(True)
        self.reader.transport = self.transport
        self._tls = ISSLTransport.providedBy(self.transport)
        self.peer = getattr(self.transport.getPeer(), "host", "")
        self.desk.fronts.add(self, self.peer)
        self._timer.arm(HEAD_S)

    def connectionLost(self, reason: Failure = connectionDone) -> None:  # noqa: ARG002
        """The caller closed, reset, or was cut."""
        self.lost = True
        self.desk.fronts.discard(self)
        self._timer.cancel()
        self.reader.lost()
        self.phase_timer.cancel()
        if self.run is not None:
            self.run.client_gone()
        gone = RejectedError("client_gone")
        for received in self._waiting:
            self.desk.memory.give(len(received.body))
            self.desk.record_unserved(received.head, gone, bytes_in=len(received.body))
        self._waiting.clear()
        self._forget(gone)

    def dataReceived(self, data: bytes) -> None:
        """Take what came; serve what is whole."""
        if self._closing or self._rejection is not None:
            if self.desk.wheel.now() < self._lingers_until:
                self._timer.arm(LINGER_S)
            return
        try:
            while data and not self._closing:
                data = self._take_head(data) if self._arriving is None else self._take_body(data)
        except RejectedError as rejection:
            self._refused(rejection)
        except FramingError:
            self._refused(RejectedError("bad_request", "The body's framing is broken."))
        self._watch()
        self._serve()

    def _watch(self) -> None:
        """Arm the deadline of the part of a request that has not come yet."""
        arriving = self._arriving
        begun = arriving is not None and arriving.begun
        if (self._busy or self._waiting) and not begun:
            return
        if arriving is not None:
            self._timer.arm(arriving.left_s(self.desk.wheel.now()))
        elif self._begun and not self._head_timed:
            self._head_timed = True
            self._timer.arm(HEAD_S)

    # -- reading a request

    def _take_head(self, data: bytes) -> bytes:
        """Take a head, or a part of one; return what follows it."""
        searched = len(self._begun)
        if searched:
            data = self._begun + data
        # one empty line before a request is ignored (RFC 9112, 2.2)
        start = 2 if data.startswith(b"\r\n") else 0
        end = data.find(HEAD_END, max(searched - 3, start), start + MAX_HEAD_BYTES) + 4
        if end < 4:
            fault = prefix_fault(data[start:], searched - start)
            if fault is not None:
                raise RejectedError(fault)
            self._begun = data
            return b""
        self._begun, self._head_timed = b"", False
        self._bodiless = data.startswith(b"HEAD ", start)
        head, length = self.desk.heads.read(data[start:end])
        if self._tls:
            self._check_server_name(head)
        self._admitted(head, length)
        return data[end:]

    def _check_server_name(self, head: Head) -> None:
        """Hold Host to the name that the TLS connection was made for (RFC 9110, 15.5.20)."""
        name = self.transport.getHandle().get_servername()
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
            self._waiting.append(Received(head, b""))
            return
        self._arriving = Arriving(head, framing, self.desk.wheel.now())
        self._charge(self._arriving.upload, length or 0)
        self._expected = head.expects_continue

    def _take_body(self, data: bytes) -> bytes:
        """Take body bytes up to the cap; return what follows the body."""
        arriving = self._arriving
        assert arriving is not None
        framing, upload = arriving.framing, arriving.upload
        piece = framing.feed(data)
        if piece:
            upload.add(piece)
            if upload.size > MAX_BODY_BYTES:
                raise RejectedError("body_too_large")
            if upload.size > upload.charged:
                self._charge(upload, upload.size - upload.charged)
            self._expected = False
        if framing.done:
            self._arrived(arriving)
            return framing.surplus
        if arriving.begun and self.run is not None:
            self.run.body_more()
        elif arriving.is_large and not (self._busy or self._waiting or self._wait_for_reader(0)):
            self._busy = arriving.begun = True
            if not self.desk.begin(self, arriving.head, upload):
                self._busy = arriving.begun = False
        return b""

    def _arrived(self, arriving: Arriving) -> None:
        """A body is whole: its request waits its turn, or the exchange that has it goes on."""
        self._arriving = None
        if not arriving.begun:
            self._waiting.append(Received(arriving.head, arriving.upload.joined()))
            return
        self._timer.disarm()
        if self.run is not None:
            self.desk.complete(self.run, arriving.upload)

    def _charge(self, upload: Upload, size: int) -> None:
        """Take room for body bytes before they are read."""
        if not self.desk.memory.take(size):
            raise RejectedError("memory_full", retry_after_s=RETRY_AFTER_S)
        upload.charged += size

    def _forget(self, why: RejectedError, request_id: str | None = None) -> None:
        """Give up a body under way; one that no exchange has is recorded here."""
        arriving, self._arriving = self._arriving, None
        if arriving is None or arriving.begun:
            return
        self.desk.memory.give(arriving.upload.charged)
        answered = request_id is not None
        size = arriving.upload.size
        self.desk.record_unserved(arriving.head, why, request_id, bytes_in=size, answered=answered)

    def _refused(self, rejection: RejectedError) -> None:
        """Refuse a body under way where an exchange has it; else once what came before is over."""
        arriving = self._arriving
        if arriving is not None and arriving.begun and self.run is not None:
            self.run.body_rejected(rejection)
        else:
            self._rejection = rejection

    # -- serving

    def _serve(self) -> None:
        if self._serving:
            return
        self._serving = True
        while self._waiting and not (
            self._busy or self._closing or self._wait_for_reader(REST_BYTES)
        ):
            self._busy = True
            self._timer.disarm()
            self.desk.serve(self, self._waiting.popleft())
        self._serving = False
        if self._rejection is not None and not self._busy and not self._closing:
            self._reject(self._rejection)
            return
        if self._expected and not (self._busy or self._waiting or self._closing):
            self._expected = False
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        full = len(self._waiting) >= MAX_WAITING
        if full != self._paused and not self.lost:
            self._paused = full
            (self.transport.pauseProducing if full else self.transport.resumeProducing)()

    def _wait_for_reader(self, most: int) -> bool:
        """Return whether the caller has yet to take more than `most` bytes, which it must do soon.

        As long as it takes something it has time: no other deadline runs.
        """
        if not self.reader.has_yet_to_take(most):
            return False
        self._timer.disarm()
        if not self.reader.is_watched:
            self.reader.watch()
        return True

    def fellBehind(self) -> None:
        """The caller did not take the whole of an answer that left with the turn."""
        if not (self._busy or self._closing or self.lost):
            self._wait_for_reader(0)

    def send(self, data: bytes) -> None:
        """Write to the caller."""
        self._write(data)

    def finished(self, *, close: bool) -> None:
        """The answer is complete: the next request, or the end."""
        self.run = None
        self._busy = False
        if self.lost:
            return
        if self._arriving is not None and self._arriving.begun:
            self._arriving = None
            self._close_unread()
            return
        if close or self.desk.stopping:
            self._end(behind=self._wait_for_reader(0))
            return
        self._timer.arm(IDLE_S)
        if self.plain is None or self.plain.is_refused:  # else `fellBehind` follows, if it must
            self._wait_for_reader(0)
        self._watch()
        self._serve()

    def _end(self, *, behind: bool = False) -> None:
        """Close; a caller that is behind has as long as it goes on taking, any other a moment."""
        self._closing = True
        self.transport.loseConnection()
        if not behind:
            self._timer.arm(LINGER_S)

    def break_off(self, *, http10: bool) -> None:
        """End the connection so that the caller cannot take the answer for whole."""
        self.run, self._closing = None, True
        if http10:
            self.transport.abortConnection()
        else:
            self.transport.loseConnection()
            self._timer.arm(STALL_S)

    @property
    def idle(self) -> bool:
        """Whether nothing of a request has come that is not answered, and nothing is to be sent."""
        begun = self._begun or self._waiting or self._busy or self._closing
        return not begun and self._arriving is None

    def close_if_idle(self) -> None:
        """The proxy drains: an idle connection has nothing to wait for."""
        if not self._busy and self._arriving is None and not self._closing:
            self._end(behind=self._wait_for_reader(0))

    # -- deadlines

    def _late(self) -> None:
        if self._closing:
            self.transport.abortConnection()
        elif self._arriving is not None:
            left_s = self._arriving.left_s(self.desk.wheel.now())
            if left_s > 0:
                self._timer.arm(left_s)
            elif self._arriving.begun:
                self._refused(RejectedError("body_timeout"))
            else:
                self._reject(RejectedError("body_timeout"))
        elif self._begun:
            self._reject(RejectedError("head_timeout"))
        else:
            self._end(behind=self._wait_for_reader(0))

    def _phase_reached(self) -> None:
        if self.run is not None:
            self.run.phase_reached()

    def _caught_up(self) -> None:
        """The caller took all that waited."""
        if self.run is None:
            self._timer.arm(LINGER_S if self._closing else IDLE_S)
            self._watch()
            self._serve()

    def _gave_up(self) -> None:
        """The caller took nothing for too long."""
        if self.run is not None:
            self.run.client_gone("stall")
        self.transport.abortConnection()

    # -- refusals before an exchange

    def _reject(self, rejection: RejectedError) -> None:
        """Answer and close: the rest of what this caller sends is not understood or not wanted."""
        request_id = self.desk.next_request_id()
        self._forget(rejection, request_id)
        self._write(whole_rejection(rejection, request_id, bodiless=self._bodiless))
        self._close_unread()

    def _close_unread(self) -> None:
        """Close, lingering: with input unread a reset would go over the answer."""
        self._closing = True
        self._lingers_until = self.desk.wheel.now() + LINGER_MOST_S
        if self._tls:
            self.transport.loseConnection()  # TLS has no half-closed connections
        else:
            self.transport.loseWriteConnection()
        self._timer.arm(LINGER_S)
