"""TCP transports that hand their bytes to the kernel in the turn of the reactor that made them.

Stock Twisted buffers every write and sends it in the next turn, one more epoll round for each
answer; on this data path that round is a quarter of the time a request takes. Here a write is sent
at the end of the same turn (under `proxy.net.reactor`, together with the other connections' writes,
so that a sleeping peer is woken once and not once per write) or at once (under any other reactor).
What the kernel does not take stays in Twisted's own buffers.
"""

import socket
import sys
from collections.abc import Callable
from fcntl import ioctl
from termios import TIOCOUTQ
from typing import Any

from twisted.internet import tcp
from twisted.internet.abstract import FileDescriptor
from twisted.internet.interfaces import IReactorTCP
from twisted.internet.protocol import ClientFactory, ServerFactory

BACKLOG = 1024
MOST_ACCEPTS = 8
"""In one turn of the reactor; as many descriptors are kept back (`proxy.net.limits`)."""


class _WriteThrough(FileDescriptor):
    """Mixed in before Twisted's own transports; their buffers keep what could not be sent."""

    socket: Any
    sent_bytes = 0
    """What the kernel took since the connection began; under TLS its records, which wrap it."""

    def writeSomeData(self, data: bytes) -> Any:
        """Count what the buffered path sends."""
        sent = super().writeSomeData(data)
        if isinstance(sent, int) and sent > 0:
            self.sent_bytes += sent
        return sent

    def write(self, data: bytes) -> None:
        """Send `data` in this turn if nothing waits before it; buffer what is left."""
        outbox = getattr(self.reactor, "outbox", None)
        waiting = self.dataBuffer or self._tempDataBuffer
        if outbox is None or waiting or not self.connected:
            FileDescriptor.write(self, data)
            if outbox is None and not waiting:
                self.send_now()
            return
        self._tempDataBuffer.append(data)
        self._tempDataLen += len(data)
        if self.reactor.alone:
            self.send_now()
        else:
            outbox.append(self)
        self._maybePauseProducer()

    def send_now(self) -> None:
        """Give the kernel what was written in this turn; leave the rest to the reactor."""
        if not self.connected or self.dataBuffer or not self._tempDataBuffer:
            return
        pieces = self._tempDataBuffer
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        try:
            sent = self.socket.send(data)
        except OSError:
            sent = 0  # full, or broken: the buffered path tells which
        self.sent_bytes += sent
        if sent == len(data):
            self._tempDataBuffer = []
            self._tempDataLen = 0
            pulled = self.producer is not None and not self.streamingProducer
            if self.producerPaused or pulled or self.disconnecting:
                self.startWriting()  # its next turn resumes the producer, or closes
            return
        self._tempDataBuffer = [data[sent:]]
        self._tempDataLen = len(data) - sent
        self.startWriting()

    @property
    def taken_bytes(self) -> int:
        """What the peer took of `sent_bytes`: what it has not acknowledged waits in the kernel."""
        try:
            waiting = ioctl(self.fileno(), TIOCOUTQ, bytes(4))
        except (OSError, ValueError):
            return self.sent_bytes  # it is closed
        return self.sent_bytes - int.from_bytes(waiting, sys.byteorder)

    @property
    def unsent_bytes(self) -> int:
        """How much the peer has not taken yet."""
        return len(self.dataBuffer) - self.offset + self._tempDataLen


class ServerTransport(_WriteThrough, tcp.Server):
    """A caller's connection."""


class ClientTransport(_WriteThrough, tcp.Client):
    """A connection to an upstream."""


class ListeningPort(tcp.Port):
    """A listening port whose connections write through."""

    transport = ServerTransport
    shared = False
    """Whether other processes listen on the same port (SO_REUSEPORT, socket(7))."""

    def doRead(self) -> None:
        """Accept a few: each may have to close another one first, which takes a turn."""
        self.numberAccepts = MOST_ACCEPTS
        super().doRead()

    def createInternetSocket(self) -> socket.socket:
        """Return a socket that may be one of several on the port."""
        created: socket.socket = super().createInternetSocket()
        if self.shared:
            created.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        return created

    def _logConnectionLostMsg(self) -> None:
        """Say nothing: the service logs its own stop."""


class Connector(tcp.Connector):
    """Connects with a transport that writes through."""

    def _makeTransport(self) -> tcp.Client:
        return ClientTransport(self.host, self.port, self.bindAddress, self, self.reactor)


def listen(
    reactor: IReactorTCP, port: int, factory: ServerFactory, interface: str, *, shared: bool = False
) -> ListeningPort:
    """Listen like ``reactor.listenTCP``; OSError-derived CannotListenError when it cannot."""
    listening = ListeningPort(port, factory, BACKLOG, interface, reactor)
    listening.shared = shared
    listening.startListening()
    return listening


def connect(
    reactor: IReactorTCP, host: str, port: int, factory: ClientFactory, timeout_s: float
) -> Callable[[], None]:
    """Connect like ``reactor.connectTCP`` to a literal address; return what cancels it."""
    connector = Connector(host, port, factory, timeout_s, None, reactor)
    connector.connect()
    return connector.disconnect
