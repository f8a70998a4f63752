"""TLS towards callers: Twisted's, with an end that no caller can take for a clean one.

Facts: close_notify says that all was sent (RFC 8446, section 6.1), and to a caller of HTTP/1.0 it
is the end of the answer (RFC 9112, sections 6.3 and 9.8). Twisted's `abortConnection` writes one
before its reset. What callers are written leaves with the turn (`eventloop.outbox`), so that
nothing is gathered here once more.
"""

from typing import Any

from twisted.internet.interfaces import IAddress
from twisted.protocols.tls import TLSMemoryBIOFactory, TLSMemoryBIOProtocol


class ClientTls(TLSMemoryBIOProtocol):
    """One caller's connection."""

    def cut(self) -> None:
        """Send what was written, then end beneath TLS: no close_notify says that it was whole."""
        self._aborted = True
        self.disconnecting = True
        self.transport.loseConnection()

    def abortConnection(self) -> None:
        """Reset, beneath TLS too."""
        self._aborted = True
        self.disconnecting = True
        self.transport.abortConnection()


class ClientTlsFactory(TLSMemoryBIOFactory):
    """Wraps the connections of a factory that may refuse to make one."""

    protocol = ClientTls
    noisy = False

    def buildProtocol(self, addr: IAddress | None) -> Any:
        """Return a connection; None closes it."""
        wrapped = self.wrappedFactory.buildProtocol(addr)
        return None if wrapped is None else self.protocol(self, wrapped)
