"""Both halves of a TCP connection as Twisted wants them, without its base classes.

mypyc cannot compile a class that inherits from Twisted's, and on the data path their attributes and
their layers are a fifth of the time. `Connection` is what Twisted asks of a protocol, `Transport`
what its reactor and its protocols ask of a transport (`twisted.internet.tcp.Connection` is the
model: half-close, abort by reset, both kinds of producers, 64 KiB of high water).

Stock Twisted buffers every write and sends it in the next turn of the reactor. Here it leaves in
the same turn: where it is made when the turn serves one descriptor, with the other connections'
writes at its end when it serves several (`Outbox`, ADR 4), and at once under a reactor that has no
outbox. What the kernel does not take is buffered and sent when there is room.
"""

import errno
import socket
import struct
import sys
from fcntl import ioctl
from termios import TIOCOUTQ
from typing import Any, Final

from twisted.internet.error import ConnectionAborted
from twisted.internet.interfaces import (
    IConsumer,
    IProtocol,
    IPushProducer,
    IReadWriteDescriptor,
    ITransport,
)
from twisted.internet.main import CONNECTION_DONE, CONNECTION_LOST
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from zope.interface import classImplements

from lockgate.eventloop.broken import end_what_broke
from lockgate.eventloop.failure import failure_of
from lockgate.eventloop.outbox import Outbox

READ_BYTES: Final = 64 * 1024
"""Of one read, as Twisted's: an answer that is not streamed comes in one."""
HIGH_WATER_BYTES: Final = 64 * 1024
"""More than this unsent pauses the producer."""
SEND_BYTES: Final = 128 * 1024
"""Of one send from what is buffered: a slice of more would be copied in vain."""
_RESET: Final = struct.pack("ii", 1, 0)
"""SO_LINGER on, for no time: closing sends a reset (socket(7))."""
_NO_ROOM: Final = frozenset({errno.EAGAIN, errno.ENOBUFS})
_ABORTED: Final = failure_of(ConnectionAborted())

# What is to become of a connection; whole numbers, which compiled code compares at once.
_OPEN: Final = 0
_HALF_CLOSING: Final = 1  # its writing side is shut once all is sent
_CLOSING: Final = 2  # it ends once all is sent
_HALF_CLOSED: Final = 3  # from here on nothing is written
_ABORTING: Final = 4  # the protocol hears of its end in the next turn
_LOST: Final = 5


class Connection:
    """One side of a connection; `transport` is there from `connectionMade` on.

    `plain` is the same where it is one of ours, and not TLS or a test's.
    """

    def __init__(self) -> None:
        self.transport: Any = None
        self.plain: Transport | None = None

    def makeConnection(self, transport: Any) -> None:
        """Twisted has a transport for this connection."""
        self.transport = transport
        self.plain = transport if isinstance(transport, Transport) else None
        self.connectionMade()

    def _write(self, data: bytes) -> None:
        plain = self.plain
        if plain is not None:
            plain.write(data)
        else:
            self.transport.write(data)

    def connectionMade(self) -> None:
        """The connection is up."""

    def dataReceived(self, data: bytes) -> None:
        """Bytes came."""

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The connection is gone."""

    def fellBehind(self) -> None:
        """A flush left data unsent: the peer reads slowly."""

    def broke(self) -> None:
        """Something of this connection raised, which is logged: a fault of ours, and the end."""
        self.transport.abortConnection()


class Transport:
    """A connected socket. `unsent_bytes`: written and not taken by the kernel yet.

    `sent_bytes`: what it took since the connection began; under TLS its records, which wrap it.
    """

    def __init__(
        self, reactor: Any, connected: socket.socket, protocol: Any, peer: Any, kind: Any
    ) -> None:
        connected.setblocking(False)
        self.reactor = reactor
        self.socket: Any = connected
        self.protocol: Any = protocol
        self.producer: Any = None
        self.producerPaused = False
        self.streamingProducer = False
        self.sent_bytes = 0
        self.unsent_bytes = 0
        self._ours: Connection | None = protocol if isinstance(protocol, Connection) else None
        self._outbox: Outbox | None = getattr(reactor, "outbox", None)
        self._fd = connected.fileno()
        self._recv: Any = connected.recv
        self._send: Any = connected.send
        self._peer = peer
        self._kind = kind  # of addresses
        self._pieces: list[bytes] = []
        self._begun = b""  # a piece of which `_at` bytes were sent
        self._at = 0
        self._state = _OPEN

    # -- what the reactor asks

    def fileno(self) -> int:
        """Return the descriptor, -1 when it is closed."""
        return self._fd

    def logPrefix(self) -> str:
        """Name the connection in Twisted's own logs."""
        return type(self.protocol).__name__

    def doRead(self) -> Any:
        """Read once and give it to the protocol; return why the connection ends, if it does."""
        if self._state == _ABORTING:
            return None
        try:
            data = self._recv(READ_BYTES)
        except BlockingIOError:
            return None
        except OSError:
            return CONNECTION_LOST
        if not data:
            return CONNECTION_DONE
        ours = self._ours
        try:
            if ours is not None:
                ours.dataReceived(data)
            else:
                self.protocol.dataReceived(data)
        except Exception:  # noqa: BLE001 - what the connection carries fails, and nothing else (X6)
            return None if end_what_broke(ours or self.protocol) else CONNECTION_LOST
        return None

    def doWrite(self) -> Any:
        """Send what waits; when all is sent, do what waited for that."""
        if self._state == _ABORTING:
            return None
        if self.unsent_bytes and not self._send_buffered():
            return CONNECTION_LOST
        if self.unsent_bytes:
            return None
        self.stopWriting()
        if self.producer is not None and (not self.streamingProducer or self.producerPaused):
            self.producerPaused = False
            try:
                self.producer.resumeProducing()
            except Exception:  # noqa: BLE001 - as in doRead
                return None if end_what_broke(self.protocol) else CONNECTION_LOST
        elif self._state == _CLOSING:
            return CONNECTION_DONE
        elif self._state == _HALF_CLOSING:
            self._state = _HALF_CLOSED
            self._shut(socket.SHUT_WR)
        return None

    def connectionLost(self, reason: Failure) -> None:
        """Close, by a reset when it was aborted, and tell the protocol."""
        if self._state == _LOST:
            return
        self._state = _LOST
        producer, self.producer = self.producer, None
        self.stopReading()
        self.stopWriting()
        if isinstance(reason.value, ConnectionAborted):
            self._reset()
        else:
            self._shut(socket.SHUT_RDWR)
        self.socket.close()
        self._fd = -1
        protocol, self.protocol, self._ours = self.protocol, None, None
        try:
            if producer is not None:
                producer.stopProducing()
            protocol.connectionLost(reason)
        except Exception:  # noqa: BLE001 - as in doRead
            end_what_broke(protocol)

    @property
    def is_refused(self) -> bool:
        """Whether a send was refused (EAGAIN), so that data waits for writability."""
        return bool(self._begun)

    @property
    def taken_bytes(self) -> int:
        """What the peer took of `sent_bytes`: what it has not acknowledged waits in the kernel."""
        try:
            waiting = ioctl(self._fd, TIOCOUTQ, bytes(4))
        except (OSError, ValueError):
            return self.sent_bytes  # it is closed
        return self.sent_bytes - int.from_bytes(waiting, sys.byteorder)

    # -- what a protocol asks

    def write(self, data: bytes) -> None:
        """Send `data` in this turn if nothing waits before it; buffer what is left."""
        if self._state >= _HALF_CLOSED or not data:
            return
        outbox, waiting = self._outbox, self.unsent_bytes
        self._pieces.append(data)
        self.unsent_bytes = waiting + len(data)
        if not waiting:
            if outbox is None or outbox.alone:
                self.send_now()
            else:
                outbox.written.append(self)
        if self.unsent_bytes > HIGH_WATER_BYTES and self.streamingProducer:
            self._pause_producer()

    def writeSequence(self, pieces: list[bytes]) -> None:
        """Write several pieces as one."""
        self.write(b"".join(pieces))

    def send_now(self) -> None:
        """Give the kernel what was written in this turn; leave the rest to the reactor."""
        if self._state >= _ABORTING or not self._pieces or self._begun:
            return
        pieces = self._pieces
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        sent = self._try(data)  # refused, or broken: the buffered path tells which
        self._pieces = []
        if sent == len(data):
            self.unsent_bytes = 0
            pulled = self.producer is not None and not self.streamingProducer
            if self.producerPaused or pulled or self._state != _OPEN:
                self.startWriting()  # its next turn resumes the producer, or closes
            return
        self._begun, self._at = data, max(sent, 0)
        self.unsent_bytes = len(data) - self._at
        self.startWriting()
        if self._ours is not None:
            self._ours.fellBehind()

    def loseConnection(self) -> None:
        """Close when everything is sent, and the producer is gone."""
        if self._state == _HALF_CLOSED:  # no write will come up any more
            self.stopReading()
            self.stopWriting()
            self.connectionLost(connectionDone)
        elif self._state < _CLOSING:
            self.stopReading()
            self.startWriting()
            self._state = _CLOSING

    def loseWriteConnection(self) -> None:
        """Half-close when everything is sent."""
        if self._state == _OPEN:
            self._state = _HALF_CLOSING
            self.startWriting()

    def abortConnection(self) -> None:
        """Close by a reset; the protocol is told in the next turn."""
        if self._state >= _ABORTING:
            return
        self._state = _ABORTING
        self.stopReading()
        self.stopWriting()
        self.reactor.callLater(0, self.connectionLost, _ABORTED)

    def registerProducer(self, producer: Any, streaming: bool) -> None:  # noqa: FBT001 - Twisted's
        """Take what `producer` writes at the pace of the peer."""
        if self.producer is not None:
            raise RuntimeError(f"{self.producer} was never unregistered")
        if self._state == _LOST:
            producer.stopProducing()
            return
        self.producer = producer
        self.streamingProducer = streaming
        if not streaming:
            producer.resumeProducing()

    def unregisterProducer(self) -> None:
        """Nothing more comes of the producer."""
        self.producer = None
        if self._state == _CLOSING:
            self.startWriting()

    def pauseProducing(self) -> None:
        """Read no more for now."""
        self.stopReading()

    def resumeProducing(self) -> None:
        """Read again."""
        if self._state < _CLOSING or self._state == _HALF_CLOSED:
            self.startReading()

    def stopProducing(self) -> None:
        """Close: nobody takes what is read."""
        self.loseConnection()

    def startReading(self) -> None:
        """Have the reactor call `doRead` when something came."""
        self.reactor.addReader(self)

    def stopReading(self) -> None:
        """Stop watching the socket for what came."""
        self.reactor.removeReader(self)

    def startWriting(self) -> None:
        """Have the reactor call `doWrite` when there is room."""
        self.reactor.addWriter(self)

    def stopWriting(self) -> None:
        """Stop watching the socket for room."""
        self.reactor.removeWriter(self)

    def getHandle(self) -> Any:
        """Return the socket."""
        return self.socket

    def getPeer(self) -> Any:
        """Return the other side's address, Twisted's value."""
        return self._kind("TCP", *self._peer)

    def getHost(self) -> Any:
        """Return this side's address, Twisted's value."""
        return self._kind("TCP", *self.socket.getsockname()[: len(self._peer)])

    def setTcpNoDelay(self, enabled: bool) -> None:  # noqa: FBT001 - Twisted's signature
        """Set TCP_NODELAY; a connection that is gone already has none."""
        try:
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, enabled)
        except OSError:
            return  # which a read will tell

    # -- the socket

    def _try(self, data: Any) -> int:
        """Send what the kernel takes of `data`: so many bytes, -1 when the connection is lost."""
        try:
            sent: int = self._send(data)
        except OSError as problem:
            return 0 if problem.errno in _NO_ROOM else -1
        self.sent_bytes += sent
        return sent

    def _send_buffered(self) -> bool:
        """Send of the piece under way, or else of all that waits; False when it is lost."""
        if not self._begun:
            pieces, self._pieces = self._pieces, []
            self._begun = pieces[0] if len(pieces) == 1 else b"".join(pieces)
            self._at = 0
        sent = self._try(memoryview(self._begun)[self._at : self._at + SEND_BYTES])
        if sent < 0:
            return False
        self._at += sent
        self.unsent_bytes -= sent
        if self._at == len(self._begun):
            self._begun, self._at = b"", 0
        return True

    def _pause_producer(self) -> None:
        if self.producer is not None:
            self.producerPaused = True
            self.producer.pauseProducing()

    def _shut(self, how: int) -> None:
        try:
            self.socket.shutdown(how)
        except OSError:
            return  # the peer was first

    def _reset(self) -> None:
        try:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        except OSError:
            return  # the peer was first


classImplements(Connection, IProtocol)
classImplements(Transport, ITransport, IReadWriteDescriptor, IConsumer, IPushProducer)
