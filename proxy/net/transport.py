"""TCP transports that try the socket first and buffer only what the kernel does not take.

Stock Twisted buffers every write and sends it on the next turn of the reactor, one more epoll
round for each answer; on this data path that turn is a quarter of the time a request takes.
"""

from collections.abc import Callable
from typing import Any

from twisted.internet import tcp
from twisted.internet.abstract import FileDescriptor
from twisted.internet.interfaces import IReactorTCP
from twisted.internet.protocol import ClientFactory, ServerFactory


class _WriteThrough(FileDescriptor):
    """Mixed in before Twisted's own transports; their buffers keep what could not be sent."""

    socket: Any

    def write(self, data: bytes) -> None:
        """Send `data` now if nothing waits before it; buffer what is left."""
        if self.connected and not self.dataBuffer and not self._tempDataBuffer:
            try:
                sent = self.socket.send(data)
            except OSError:
                sent = 0  # full, or broken: the buffered path tells which
            if sent == len(data):
                return
            data = data[sent:]
        FileDescriptor.write(self, data)

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

    def _logConnectionLostMsg(self) -> None:
        """Say nothing: the service logs its own stop."""


class Connector(tcp.Connector):
    """Connects with a transport that writes through."""

    def _makeTransport(self) -> tcp.Client:
        return ClientTransport(self.host, self.port, self.bindAddress, self, self.reactor)


def listen(
    reactor: IReactorTCP, port: int, factory: ServerFactory, interface: str, backlog: int = 1024
) -> ListeningPort:
    """Listen like ``reactor.listenTCP``; OSError-derived CannotListenError when it cannot."""
    listening = ListeningPort(port, factory, backlog, interface, reactor)
    listening.startListening()
    return listening


def connect(
    reactor: IReactorTCP, host: str, port: int, factory: ClientFactory, timeout_s: float
) -> Callable[[], None]:
    """Connect like ``reactor.connectTCP`` to a literal address; return what cancels it."""
    connector = Connector(host, port, factory, timeout_s, None, reactor)
    connector.connect()
    return connector.disconnect
