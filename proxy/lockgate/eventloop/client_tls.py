"""TLS towards clients: Twisted's, with an end that no client can take for a clean one.

Facts: close_notify says that all was sent (RFC 8446, section 6.1), and to a client of HTTP/1.0 it
is the end of the response (RFC 9112, sections 6.3 and 9.8). Twisted's `abortConnection` writes one
before its reset. What is written leaves at the end of the reactor's turn (`eventloop.outbox`), so
that nothing is gathered here once more.
"""

from typing import Any

from twisted.internet.interfaces import IAddress
from twisted.protocols.tls import TLSMemoryBIOFactory, TLSMemoryBIOProtocol


class ClientTls(TLSMemoryBIOProtocol):
    """One client's connection over TLS."""

    transport: Any  # Twisted's interfaces have methods without self

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
        if wrapped is None:
            return None
        return self.protocol(self, wrapped)  # type: ignore[no-untyped-call] # Twisted has no types for it
