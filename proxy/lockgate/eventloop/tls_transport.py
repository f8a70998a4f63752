"""One TLS connection to an upstream, from the dial to the end, straight on a socket.

Twisted's TLS wraps a transport in a protocol and declares its interfaces anew for each connection;
where each request makes one that was half of a request's time (docs/adr/0012). This class offers
what `connections.upstream` and `server.driver` use of a transport, and nothing else.

Wire facts: the Finished message and the request leave in one segment, at the end of the turn
(`eventloop.reactor`). A close_notify ends the connection cleanly, a FIN without one does not
(RFC 8446, section 6.1). A FIN or an alert before the handshake is done is a failed handshake.
"""

import errno
import socket
from collections.abc import Callable
from typing import Any, Final, Protocol

from OpenSSL import SSL
from twisted.internet import error
from twisted.internet.interfaces import IReadWriteDescriptor
from twisted.python.failure import Failure
from zope.interface import classImplements

from lockgate.eventloop.broken import end_what_broke
from lockgate.eventloop.failure import failure_of, no_socket, not_connected
from lockgate.eventloop.tls_output import SEND_BYTES, TlsOutput

READ_BYTES: Final = 64 * 1024
"""What one read takes from the kernel; what a paused connection may still deliver."""
RECORD_BYTES: Final = 16 * 1024
"""The most that one TLS record carries (RFC 8446, section 5.1)."""
_NONBLOCK: Final[int] = getattr(socket, "SOCK_NONBLOCK", 0)
"""Where sockets can be made so (Linux), a system call less."""
_UNDER_WAY: Final = frozenset({0, errno.EINPROGRESS, errno.EWOULDBLOCK})
_RESET: Final = b"\1\0\0\0\0\0\0\0"  # struct linger: on, 0 s: close sends RST (socket(7))
_DONE: Final = failure_of(error.ConnectionDone())
_LOST: Final = failure_of(error.ConnectionLost())
_ABORTED: Final = failure_of(error.ConnectionAborted())


class Carried(Protocol):
    """The protocol over such a connection: `lockgate.connections.upstream.Upstream`."""

    def dataReceived(self, data: bytes) -> None:
        """Bytes came."""

    def connectionLost(self, reason: Failure) -> None:
        """The connection is gone, or did not come about."""

    def broke(self) -> None:
        """Something of this connection raised, which is logged."""


class TlsTransport:
    """Carries `upstream` over `connection`; `opened` is called once, after the handshake.

    `checked_at` is when the certificate was checked that the connection rests on. A connection
    that does not come about, or that ends, is reported to `upstream.connectionLost`.
    """

    def __init__(
        self,
        reactor: Any,
        upstream: Carried,
        connection: SSL.Connection,
        checked_at: float,
        opened: Callable[[], None],
    ) -> None:
        self.reactor = reactor
        self.connection = connection
        self.checked_at = checked_at
        self.sent_bytes = 0  # what the kernel took since the owner last set it to 0
        self.producer: Any = None
        self._pulls = True  # the producer is asked for each piece
        self._held_back = False  # the producer, until the peer took what it wrote
        self._upstream: Carried | None = upstream  # None from the end on
        self._opened: Callable[[], None] | None = opened  # None from the handshake's end on
        self._socket: Any = None
        self._fd = -1
        self._stands = False  # TCP is up
        self._output = TlsOutput(connection)
        self._waits_to_send = False

    # -- the dial

    def connect(self, address: str, port: int) -> None:
        """Connect to a literal address; whatever comes of it is reported in a later turn."""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        try:
            made = self._socket = socket.socket(family, socket.SOCK_STREAM | _NONBLOCK)
        except OSError as problem:
            self._fail_soon(no_socket(problem))
            return
        self._fd = made.fileno()
        if not _NONBLOCK:
            made.setblocking(False)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        code = made.connect_ex((address, port))
        if code not in _UNDER_WAY:
            self._fail_soon(not_connected(code))
        elif getattr(self.reactor, "outbox", None) is not None:
            self._write_soon()  # a near peer has answered by then
        else:
            self._wait_to_send()

    def _fail_soon(self, problem: Exception) -> None:
        self.reactor.callLater(0, self._end, failure_of(problem))

    def _tcp_is_up(self) -> None:
        """Start the handshake, unless the connection was refused."""
        refused = self._refusal()
        if refused is not None:
            self._end(refused)
        else:
            self._start_tls()

    def _look(self) -> None:
        """Go on at once if TCP is up already; wait for it otherwise."""
        try:
            self._socket.getpeername()
        except OSError:
            self._wait_to_send()
        else:
            self._start_tls()

    def _start_tls(self) -> None:
        self._stands = True
        self.reactor.addReader(self)
        self._shake_hands()

    def _refusal(self) -> Failure | None:
        code = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        return failure_of(not_connected(code)) if code else None

    def _shake_hands(self) -> None:
        opened = self._opened
        try:
            self.connection.do_handshake()
        except SSL.WantReadError:
            self._send()
        except SSL.Error as problem:
            failure = failure_of(problem)
            self._last_words()
            self._end(failure)
        else:
            self._opened = None
            if opened is not None:
                opened()
            if not self._output.written:
                self._write_soon()  # the Finished message; else it goes with what was written

    # -- what the reactor calls

    def fileno(self) -> int:
        """Return the descriptor, -1 when there is none."""
        return self._fd

    def logPrefix(self) -> str:
        """Name this connection in a log."""
        return "TlsTransport"

    def doRead(self) -> None:
        """Take what came; deliver what it says."""
        if not self._stands:
            self._tcp_is_up()
            return
        try:
            came = self._socket.recv(READ_BYTES)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            self._end(_LOST)
            return
        if not came:
            self._end_of_tcp()
            return
        self.connection.bio_write(came)
        if self._opened is None:
            self._deliver()
        else:
            self._shake_hands()  # what may follow it in this read is delivered with the next

    def _end_of_tcp(self) -> None:
        """A FIN came, and no close_notify unless it is in what was not delivered yet."""
        if self._opened is not None:
            self._end(_DONE)
            return
        self._deliver()
        self._end(_LOST)

    def _deliver(self) -> None:
        """Hand on what is whole; answer what TLS itself wants answered."""
        upstream = self._upstream
        while upstream is not None:
            try:
                plain = self.connection.recv(RECORD_BYTES)
            except SSL.WantReadError:
                if not self._output.written:
                    self._send()  # the answer to a KeyUpdate, for example
                return
            except SSL.ZeroReturnError:
                self.connection.shutdown()  # our own close_notify
                self._last_words()
                self._end(_DONE)
                return
            except SSL.Error as problem:
                failure = failure_of(problem)
                self._last_words()
                self._end(failure)
                return
            try:
                upstream.dataReceived(plain)
            except Exception:  # noqa: BLE001 - what the connection carries fails, and nothing else
                end_what_broke(upstream)
            upstream = self._upstream

    def doWrite(self) -> None:
        """The kernel has room: TCP is up, or the rest of a write goes, or the producer's next."""
        if not self._stands:
            self._tcp_is_up()
        elif self._output.unsent:
            self._send()
        elif self._asks:
            self._held_back = False
            try:
                self.producer.resumeProducing()
            except Exception:  # noqa: BLE001 - as in _deliver
                end_what_broke(self._upstream)
        else:
            self._stop_waiting()

    def connectionLost(self, reason: Failure) -> None:
        """The reactor gives this connection up."""
        refused = None if self._stands else self._refusal()
        self._end(refused or reason)

    # -- what an upstream calls

    def write(self, plain: bytes) -> None:
        """Send `plain` at the end of this turn, or as soon as the peer takes it."""
        if self._upstream is None:
            return
        try:
            self._output.write(plain)
        except SSL.Error as problem:
            self._fail_soon(problem)
            return
        if not (self._pulls or self._held_back) and self.unsent_bytes > SEND_BYTES:
            self._held_back = True
            self.producer.pauseProducing()
        if getattr(self.reactor, "alone", False):
            self.send_now()
        else:
            self._write_soon()

    def _write_soon(self) -> None:
        outbox = getattr(self.reactor, "outbox", None)
        if outbox is not None:
            outbox.append(self)
        elif self._upstream is not None:
            self.send_now()
        else:
            self.reactor.callLater(0, self.send_now)

    def send_now(self) -> None:
        """Give the kernel what was written in this turn; close what was given up in it."""
        if self._upstream is None:
            self._close()
        elif not self._stands:
            self._look()
        elif not self._output.unsent:
            self._send()

    def _send(self) -> None:
        """Give the kernel what it takes of what OpenSSL made; wait with the rest."""
        output = self._output
        while output.fill():
            try:
                sent = self._socket.send(output.unsent)
            except (BlockingIOError, InterruptedError):
                sent = 0
            except OSError:
                self._end(_LOST)
                return
            self.sent_bytes += sent
            if not output.sent(sent):
                self._wait_to_send()
                return
        output.written = 0
        if self._asks:
            self._wait_to_send()  # its next turn resumes the producer
        else:
            self._stop_waiting()

    def _last_words(self) -> None:
        """Send an alert or a close_notify, as far as the kernel takes it."""
        try:
            self._socket.send(self._output.last_words())
        except (SSL.Error, OSError):
            return

    @property
    def unsent_bytes(self) -> int:
        """How much the peer has not taken yet."""
        return self._output.size

    def pauseProducing(self) -> None:
        """Read no more for now."""
        if self._upstream is not None:
            self.reactor.removeReader(self)

    def resumeProducing(self) -> None:
        """Read again."""
        if self._upstream is not None:
            self.reactor.addReader(self)

    @property
    def _asks(self) -> bool:
        """Whether the producer is to be resumed once everything was sent."""
        return self.producer is not None and (self._pulls or self._held_back)

    def registerProducer(self, producer: Any, streaming: bool) -> None:  # noqa: FBT001
        """Let a producer write as the peer takes it: pulled piece by piece, or held back."""
        if self._upstream is None:
            producer.stopProducing()
            return
        self.producer = producer
        self._pulls = not streaming
        if self._pulls:
            producer.resumeProducing()

    def unregisterProducer(self) -> None:
        """The producer has written everything."""
        self.producer = None
        self._pulls = True
        self._held_back = False

    def abortConnection(self) -> None:
        """Give the connection up at once: the peer sees a reset."""
        if self._upstream is not None and self._socket is not None:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self._end(_ABORTED)

    # -- waiting, and the end

    def _wait_to_send(self) -> None:
        if not self._waits_to_send:
            self._waits_to_send = True
            self.reactor.addWriter(self)

    def _stop_waiting(self) -> None:
        if self._waits_to_send:
            self._waits_to_send = False
            self.reactor.removeWriter(self)

    def _end(self, reason: Failure) -> None:
        """Be lost, once; the descriptor is closed after the turn, when no event names it."""
        upstream, self._upstream = self._upstream, None
        if upstream is None:
            return
        self._opened = None
        if self._socket is not None:
            self._stop_waiting()
            self.reactor.removeReader(self)
        self._write_soon()
        # OpenSSL takes the session of a connection that is freed without this for a bad one
        self.connection.set_shutdown(SSL.SENT_SHUTDOWN | SSL.RECEIVED_SHUTDOWN)
        producer = self.producer
        self.unregisterProducer()
        try:
            if producer is not None:
                producer.stopProducing()
            upstream.connectionLost(reason)
        except Exception:  # noqa: BLE001 - as in _deliver
            end_what_broke(upstream)

    def _close(self) -> None:
        if self._fd >= 0:
            self._fd = -1
            self._socket.close()


classImplements(TlsTransport, IReadWriteDescriptor)
