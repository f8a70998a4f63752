"""How a connection to a backend comes about: pool, names, address policy, TCP, TLS.

Local tier: idle connections are kept and used again. Cloud tier: a fresh one per request. A name is
resolved, every address is held to the address policy, and the connection is made to the very
address that was checked, so that a name cannot change between check and use.
"""

from collections.abc import Callable
from typing import Any, Final

from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IAddress, IHandshakeListener
from twisted.internet.protocol import ClientFactory, connectionDone
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from zope.interface import classImplements

from proxy.net.addresses import permitted
from proxy.net.failures import dial_failure_code
from proxy.net.resolve import Endpoint, resolve
from proxy.net.tls import client_tls
from proxy.net.transport import connect
from proxy.net.upstream import Upstream
from proxy.policy.backends import Backend

IDLE_S: Final = 10.0
"""Shorter than the keep-alive of the common servers, so that we close first."""


def _nothing() -> None:
    """Stand for a cancel that has nothing to cancel."""


class _Opening(Upstream):
    """An upstream that reports once when it can carry a request, or why it cannot."""

    def __init__(
        self, ready: Callable[[Upstream], None], failed: Callable[[Failure], None]
    ) -> None:
        super().__init__()
        self._ready: Callable[[Upstream], None] | None = ready
        self._failed = failed

    def connectionMade(self) -> None:
        """TCP is up."""
        self.transport.setTcpNoDelay(True)
        self._opened()

    def _opened(self) -> None:
        ready, self._ready = self._ready, None
        if ready is not None:
            ready(self)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Before it was ready this is a failed dial; afterwards a lost connection."""
        if self._ready is not None:
            self._ready = None
            self._failed(reason)
            return
        super().connectionLost(reason)


class _OpeningTls(_Opening):
    """The same over TLS: ready only when the handshake and the name check are done."""

    def connectionMade(self) -> None:
        """TCP is up; the handshake runs."""
        self.transport.setTcpNoDelay(True)

    def handshakeCompleted(self) -> None:
        """The peer is who it should be."""
        self._opened()


classImplements(_OpeningTls, IHandshakeListener)


class _Factory(ClientFactory):
    noisy = False

    def __init__(self, protocol: Upstream, failed: Callable[[Failure], None]) -> None:
        self._protocol = protocol
        self._failed = failed

    def buildProtocol(self, addr: IAddress) -> Upstream:  # noqa: ARG002 - Twisted's signature
        return self._protocol

    def clientConnectionFailed(self, connector: Any, reason: Failure) -> None:  # noqa: ARG002
        self._failed(reason)


class Dial:
    """One attempt to get a fresh connection; `cancel` ends it at any point, silently."""

    def __init__(
        self,
        dialler: "Dialler",
        connected: Callable[[Upstream, bool], None],
        failed: Callable[[str], None],
    ) -> None:
        self.dialler = dialler
        self.connected = connected
        self.failed = failed
        self._addresses: list[str] = []
        self._disconnect: Callable[[], None] = _nothing
        self._cancelled = False

    def start(self) -> None:
        """Resolve the name; the rest follows."""
        dialler = self.dialler
        resolving = resolve(dialler.reactor, dialler.endpoint)
        resolving.addCallbacks(self._resolved, self._unresolved)

    def cancel(self) -> None:
        """Stop, whatever is going on."""
        self._cancelled = True
        self._disconnect()

    def _unresolved(self, _: Failure) -> None:
        self._fail("upstream_dns")

    def _resolved(self, addresses: list[str]) -> None:
        if self._cancelled:
            return
        dialler = self.dialler
        for address in addresses:
            reason = permitted(address, dialler.backend, dialler.private_ranges)
            if reason is not None:
                dialler.refused(address, reason)
                self._fail("upstream_address")
                return
        self._addresses = list(addresses)
        self._next_address()

    def _next_address(self) -> None:
        dialler = self.dialler
        address = self._addresses.pop(0)
        endpoint = dialler.endpoint
        if endpoint.scheme == "https":
            protocol: _Opening = _OpeningTls(self._ready, self._unreachable)
            inner = _Factory(protocol, self._unreachable)
            factory: Any = TLSMemoryBIOFactory(client_tls(endpoint.host), True, inner)
        else:
            protocol = _Opening(self._ready, self._unreachable)
            factory = _Factory(protocol, self._unreachable)
        factory.noisy = False
        # the exchange's connect deadline rules; this one only keeps the transport from waiting on
        self._disconnect = connect(dialler.reactor, address, endpoint.port, factory, 600.0)

    def _ready(self, upstream: Upstream) -> None:
        if self._cancelled:
            upstream.abort()
            return
        upstream.lost = self.dialler.forget
        self.connected(upstream, False)

    def _unreachable(self, reason: Failure) -> None:
        if self._cancelled:
            return
        if self._addresses:
            self._next_address()
            return
        clean = reason.check(ConnectionDone) is not None
        tls = self.dialler.endpoint.scheme == "https"
        self._fail("upstream_tls" if clean and tls else dial_failure_code(reason))

    def _fail(self, code: str) -> None:
        if not self._cancelled:
            self._cancelled = True
            self.failed(code)


class Dialler:
    """The connections of one backend. `refused` is told of addresses the policy forbids."""

    def __init__(
        self,
        reactor: Any,
        backend: Backend,
        endpoint: Endpoint,
        private_ranges: tuple[str, ...],
        refused: Callable[[str, str], None],
    ) -> None:
        self.reactor = reactor
        self.backend = backend
        self.endpoint = endpoint
        self.private_ranges = private_ranges
        self.refused = refused
        self._idle: list[Upstream] = []

    def dial(
        self, connected: Callable[[Upstream, bool], None], failed: Callable[[str], None]
    ) -> Callable[[], None]:
        """Get a connection, at once when one is idle; return what cancels the attempt."""
        now = self.reactor.seconds()
        while self._idle:
            upstream = self._idle.pop()
            if upstream.idle_since + IDLE_S > now:
                connected(upstream, True)
                return _nothing
            upstream.abort()
        attempt = Dial(self, connected, failed)
        attempt.start()
        return attempt.cancel

    def release(self, upstream: Upstream) -> None:
        """Take back a connection whose answer is whole."""
        if upstream.release() and self.backend.tier == "local":
            upstream.idle_since = self.reactor.seconds()
            self._idle.append(upstream)
        else:
            upstream.abort()

    def forget(self, upstream: Upstream) -> None:
        """A connection was lost."""
        if upstream in self._idle:
            self._idle.remove(upstream)

    def sweep(self) -> None:
        """Close connections that were idle too long."""
        limit = self.reactor.seconds() - IDLE_S
        for upstream in [u for u in self._idle if u.idle_since < limit]:
            upstream.abort()

    def close(self) -> None:
        """Close every idle connection."""
        for upstream in list(self._idle):
            upstream.abort()
