"""How a connection to a backend comes about: pool, names, address policy, TCP, TLS.

Local tier: idle connections are kept and used again. Cloud tier: a fresh one per request. A name is
resolved, every address is held to the address policy, and the connection is made to the very
address that was checked, so that a name cannot change between check and use.

Where a name has several addresses they are tried as RFC 8305 (Happy Eyeballs) says: the families
take turns, each address gets a head start of 250 ms before the next one is tried beside it, and the
first connection that stands wins. The exchange's connect deadline is over all of it.
"""

from collections.abc import Callable
from functools import partial
from itertools import zip_longest
from typing import Any, Final

from OpenSSL import SSL
from twisted.internet.error import ConnectionDone, DNSLookupError
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import ClientFactory, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure

from lockgate.connections.endpoint import Endpoint
from lockgate.connections.failures import dial_failure_code
from lockgate.connections.resolver import Resolver
from lockgate.connections.tls import StrictClient
from lockgate.connections.upstream import Peer, Upstream
from lockgate.errors.codes import Code
from lockgate.eventloop.sockets import connect
from lockgate.eventloop.tls_transport import TlsTransport
from lockgate.policy.address import permitted
from lockgate.policy.spec.backends import Backend

HEAD_START_S: Final = 0.25
"""RFC 8305, section 5: the recommended Connection Attempt Delay."""
IDLE_S: Final = 10.0
"""Shorter than the keep-alive of the common servers, so that we close first."""
MOST_ADDRESSES: Final = 256
"""Of one backend, whose verdicts are remembered."""

_log = Logger("lockgate.dialler")


def _nothing(*_: object) -> None:
    """Stand for a cancel that has nothing to cancel, and for who is not told any more."""


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
        self.opened()

    def opened(self) -> None:
        """It can carry a request: TCP is up, and TLS where it is spoken."""
        ready, self._ready = self._ready, None
        if ready is not None:
            self._failed = _nothing  # an exchange that is over is held by no connection
            ready(self)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Before it was ready this is a failed dial; afterwards a lost connection."""
        if self._ready is not None:
            self._ready = None
            failed, self._failed = self._failed, _nothing
            failed(reason)
            return
        super().connectionLost(reason)


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
    """One attempt to get a fresh connection; `cancel` ends it at any point, silently.

    An exception in any of its steps, most of which a reactor or a Deferred calls, ends it too:
    `broke` is called then.
    """

    def __init__(
        self,
        pool: "ConnectionPool",
        connected: Callable[[Upstream, bool], None],
        failed: Callable[[Code], None],
        broke: Callable[[], None],
    ) -> None:
        self.pool = pool
        self._connected = connected
        self._failed = failed
        self._broke = broke
        self._addresses: list[str] = []
        self._trying: dict[str, Callable[[], None]] = {}
        self._head_start: Any | None = None
        self._over = False

    def start(self) -> None:
        """Resolve the name; the rest follows."""
        self._step(self._resolve)

    def _step(self, step: Callable[..., None], *arguments: Any) -> None:
        """Take one step; a fault of ours in it ends the attempt, and is no backend's failure."""
        try:
            step(*arguments)
        except Exception:  # noqa: BLE001 - one request fails, the proxy goes on (X6)
            _log.failure("a connection could not be made")
            broke = self._broke
            self.cancel()
            broke()

    def _resolve(self) -> None:
        names, host = self.pool.names, self.pool.endpoint.host
        known = names.known(host)
        if known is not None:
            self._resolved(known)
        else:
            names.resolve(host).addCallbacks(
                partial(self._step, self._resolved), partial(self._step, self._unresolved)
            )

    def cancel(self) -> None:
        """Stop, whatever is going on."""
        self._end()
        self._stop_trying()

    def _end(self) -> None:
        """Report nothing more, and hold on to nobody: a name may be asked for a while yet."""
        self._over = True
        self._connected = self._failed = self._broke = _nothing

    def _stop_trying(self, winner: str = "") -> None:
        if self._head_start is not None and self._head_start.active():
            self._head_start.cancel()
        trying, self._trying = self._trying, {}
        for address, disconnect in trying.items():
            if address != winner:
                disconnect()

    def _unresolved(self, reason: Failure) -> None:
        if reason.check(DNSLookupError) is None:
            _log.failure("a name cannot be asked for", failure=reason)
            self._fail("proxy_capacity")
            return
        self._fail("upstream_dns")

    def _resolved(self, addresses: list[str]) -> None:
        if self._over:
            return
        pool = self.pool
        for address in addresses:
            reason = pool.reason_against(address)
            if reason is not None:
                pool.refused(address, reason)
                self._fail("upstream_address")
                return
        self._addresses = in_turns(addresses)
        self._next_address()

    def _next_address(self) -> None:
        if self._over or not self._addresses:
            return
        pool = self.pool
        address = self._addresses.pop(0)
        protocol = _Opening(
            partial(self._step, self._ready, address),
            partial(self._step, self._unreachable, address),
        )
        self._trying[address] = _nothing
        if self._addresses:
            self._head_start = pool.reactor.callLater(HEAD_START_S, self._step, self._next_address)
        is_tls = pool.endpoint.scheme == "https"
        disconnect = (self._over_tls if is_tls else self._plainly)(protocol, address)
        if address in self._trying:
            self._trying[address] = disconnect

    def _plainly(self, protocol: _Opening, address: str) -> Callable[[], None]:
        pool = self.pool
        factory = _Factory(protocol, protocol.connectionLost)
        # the exchange's connect deadline rules; this one only keeps the transport from waiting on
        return connect(pool.reactor, address, pool.endpoint.port, factory, 600.0)

    def _over_tls(self, protocol: _Opening, address: str) -> Callable[[], None]:
        pool = self.pool
        try:
            client = pool.tls(pool.endpoint.host)
            connection, checked_at = client.connection(pool.reactor.seconds())
        except (SSL.Error, ValueError) as problem:
            _log.error(
                "backend {name}: its TLS files are no good: {problem}",
                name=pool.backend.name,
                problem=problem,
            )
            self._stop_trying()
            self._fail("upstream_tls")
            return _nothing
        protocol.secured_by = client
        transport = protocol.transport = TlsTransport(
            pool.reactor, protocol, connection, checked_at, protocol.opened
        )
        transport.connect(address, pool.endpoint.port)
        return transport.abortConnection

    def _ready(self, address: str, upstream: Upstream) -> None:
        if self._over:
            upstream.abort()
            return
        connected, broke = self._connected, self._broke
        self._end()
        self._stop_trying(winner=address)
        upstream.lost = self.pool.forget
        upstream.peer = self.pool.peer
        try:
            connected(upstream, False)
        except Exception:  # noqa: BLE001 - as in _step
            _log.failure("a connection is not taken")
            upstream.abort()
            broke()

    def _unreachable(self, address: str, reason: Failure) -> None:
        self._trying.pop(address, None)
        if self._over:
            return
        if self._addresses:
            if self._head_start is not None and self._head_start.active():
                self._head_start.cancel()
            self._next_address()
            return
        if self._trying:
            return  # another address may still answer
        clean = reason.check(ConnectionDone) is not None
        tls = self.pool.endpoint.scheme == "https"
        self._fail("upstream_tls" if clean and tls else dial_failure_code(reason))

    def _fail(self, code: Code) -> None:
        if not self._over:
            failed, broke = self._failed, self._broke
            self._end()
            try:
                failed(code)
            except Exception:  # noqa: BLE001 - as in _step
                _log.failure("a failed connection is not taken note of")
                broke()


def in_turns(addresses: list[str]) -> list[str]:
    """Return the addresses with their families taking turns, the first one's first."""
    if len(addresses) < 2:
        return addresses
    is_six = ":" in addresses[0]
    first = [address for address in addresses if (":" in address) == is_six]
    second = [address for address in addresses if (":" in address) != is_six]
    pairs = zip_longest(first, second)
    return [address for pair in pairs for address in pair if address is not None]


class ConnectionPool:
    """The connections of one backend.

    `tls` makes what makes TLS connections to a host. `refused` is told of addresses that the policy
    forbids.
    """

    def __init__(  # noqa: PLR0913 - a backend's connections have this many sides
        self,
        reactor: Any,
        names: Resolver,
        backend: Backend,
        endpoint: Endpoint,
        private_ranges: tuple[str, ...],
        *,
        tls: Callable[[str], StrictClient],
        refused: Callable[[str, str], None],
    ) -> None:
        self.reactor = reactor
        self.names = names
        self.tls = tls
        self.backend = backend
        self.endpoint = endpoint
        self.private_ranges = private_ranges
        self.refused = refused
        self.peer: Final = Peer()
        self._idle: list[Upstream] = []
        self._closed = False
        self._reasons: dict[str, str | None] = {}  # by address, for this backend's policy

    def dial(
        self,
        connected: Callable[[Upstream, bool], None],
        failed: Callable[[Code], None],
        broke: Callable[[], None],
    ) -> Callable[[], None]:
        """Get a connection, at once when one is idle; return what cancels the attempt.

        `broke` is called once where a fault of ours, which is logged, ends the attempt.
        """
        upstream = self.kept()
        if upstream is None:
            attempt = Dial(self, connected, failed, broke)
            attempt.start()
            return attempt.cancel
        try:
            connected(upstream, True)
        except Exception:
            upstream.abort()
            raise
        return _nothing

    def kept(self) -> Upstream | None:
        """Return a connection that rests, if there is one."""
        while self._idle:
            upstream = self._idle.pop()
            if upstream.idle_since + IDLE_S > self.reactor.seconds():
                return upstream
            upstream.abort()
        return None

    def reason_against(self, address: str) -> str | None:
        """Return None when the policy lets this backend be at `address`, else why not."""
        try:
            return self._reasons[address]
        except KeyError:
            if len(self._reasons) >= MOST_ADDRESSES:
                self._reasons.clear()
            found = permitted(address, self.backend, self.private_ranges)
            self._reasons[address] = found
            return found

    @property
    def idle(self) -> int:
        """How many connections rest."""
        return len(self._idle)

    def release(self, upstream: Upstream) -> None:
        """Take back a connection whose answer is whole."""
        try:
            self._take_back(upstream)
        except Exception:
            upstream.abort()
            raise

    def _take_back(self, upstream: Upstream) -> None:
        if upstream.secured_by is not None:
            upstream.secured_by.keep(upstream.transport.connection, upstream.transport.checked_at)
        if upstream.release() and self.backend.tier == "local" and not self._closed:
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
        """Close every idle connection, and keep none that comes back."""
        self._closed = True
        for upstream in list(self._idle):
            upstream.abort()
