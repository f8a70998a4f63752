"""Where connections come from: accepted from a listening port, or made to an address.

Twisted accepts and connects; a connection that is up is a `transport.Transport`.
"""

import socket
from collections.abc import Callable
from typing import Any

from twisted.internet import tcp
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import IProtocolFactory, IReactorTCP
from twisted.internet.protocol import ClientFactory

from lockgate.eventloop.transport import Transport

BACKLOG = 1024
NOT_SENT_BYTES = 128 * 1024
"""The kernel takes no more of a connection beyond what is on its way (TCP_NOTSENT_LOWAT, Linux
commit c9bee3b7fdec): else it takes megabytes that a peer does not read, outside of every budget."""
_NOT_SENT = getattr(socket, "TCP_NOTSENT_LOWAT", None)
MOST_ACCEPTS = 8
"""In one turn of the reactor; as many descriptors are kept back (`server.process_limits`)."""


def _accepted(
    connected: socket.socket, protocol: Any, peer: Any, _port: Any, _number: int, reactor: Any
) -> Transport:
    """Return the transport of a connection that was accepted."""
    _bound(connected)
    transport = Transport(reactor, connected, protocol, peer, _kind_of(peer))
    transport.startReading()
    return transport


def _bound(connected: socket.socket) -> None:
    """Let the kernel hold little of what the peer does not read, where it can be told so."""
    if _NOT_SENT is not None:
        try:
            connected.setsockopt(socket.IPPROTO_TCP, _NOT_SENT, NOT_SENT_BYTES)
        except OSError:
            return  # it is gone, which a read will tell


def _kind_of(peer: tuple[object, ...]) -> type[IPv4Address] | type[IPv6Address]:
    return IPv4Address if len(peer) == 2 else IPv6Address


class ListeningPort(tcp.Port):
    """A listening port whose connections write through."""

    transport = staticmethod(_accepted)  # type: ignore[assignment] # a function makes one as well
    shared = False
    """Whether other processes listen on the same port (SO_REUSEPORT, socket(7))."""

    @property
    def number(self) -> int:
        """The number of the port that it listens on."""
        return int(self.getHost().port)  # type: ignore[no-untyped-call] # Twisted has no types for it

    def stop(self) -> None:
        """Accept no more connections."""
        self.stopListening()  # type: ignore[no-untyped-call] # Twisted has no types for it

    def doRead(self) -> None:
        """Accept a few: each may have to close an idle connection first, which takes a turn."""
        self.numberAccepts = MOST_ACCEPTS
        super().doRead()  # type: ignore[no-untyped-call] # Twisted has no types for it

    def createInternetSocket(self) -> socket.socket:
        """Return a socket that may be one of several on the port."""
        created: socket.socket = super().createInternetSocket()  # type: ignore[no-untyped-call] # Twisted has no types for it
        if self.shared:
            created.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        return created

    def _logConnectionLostMsg(self) -> None:
        """Log nothing: a drain is logged by `lockgate.server.lifecycle`."""


def _nothing() -> None:
    """Ignore an event that came after the socket was handed to a `Transport`."""


class _Connecting(tcp.Client):
    """A connection being made; once it is up a `Transport` takes its socket over."""

    def _connectDone(self) -> None:
        connected, connector = self.socket, self.connector
        peer = self.realAddress
        address = self.getPeer()  # type: ignore[no-untyped-call] # Twisted has no types for it
        protocol = connector.buildProtocol(address)
        del self.socket, self.fileno, self.connector
        _bound(connected)
        # this turn may have one more event for us
        self.doRead = self.doWrite = _nothing  # type: ignore[method-assign]
        transport = Transport(self.reactor, connected, protocol, peer, _kind_of(peer))
        connector.transport = transport
        transport.startReading()
        protocol.makeConnection(transport)


class Connector(tcp.Connector):
    """Connects with a transport that writes through."""

    def _makeTransport(self) -> tcp.Client:
        return _Connecting(  # type: ignore[no-untyped-call] # Twisted has no types for it
            self.host, self.port, self.bindAddress, self, self.reactor
        )


def listen(
    reactor: IReactorTCP,
    port: int,
    factory: IProtocolFactory,
    interface: str,
    *,
    shared: bool = False,
) -> ListeningPort:
    """Listen like ``reactor.listenTCP``; OSError-derived CannotListenError when it cannot."""
    listening = ListeningPort(port, factory, BACKLOG, interface, reactor)
    listening.shared = shared
    listening.startListening()
    return listening


def connect(
    reactor: IReactorTCP, host: str, port: int, factory: ClientFactory[Any], timeout_s: float
) -> Callable[[], None]:
    """Connect like ``reactor.connectTCP`` to a literal address; return what cancels it."""
    connector = Connector(host, port, factory, timeout_s, None, reactor)
    connector.connect()
    return connector.disconnect
