"""What Twisted asks of a protocol, without its base class, which mypyc cannot compile."""

from typing import Any

from twisted.internet.interfaces import IProtocol
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from zope.interface import classImplements


class Connection:
    """One side of a connection; `transport` is there from `connectionMade` on."""

    def __init__(self) -> None:
        self.transport: Any = None

    def makeConnection(self, transport: Any) -> None:
        """Twisted has a transport for this connection."""
        self.transport = transport
        self.connectionMade()

    def connectionMade(self) -> None:
        """The connection stands."""

    def dataReceived(self, data: bytes) -> None:
        """Bytes came."""

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The connection is gone."""


classImplements(Connection, IProtocol)
