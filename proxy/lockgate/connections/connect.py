"""Makes one connection to a backend: its name, the address policy, TCP, TLS.

A name is resolved, every address is held to the address policy, and the connection is made to the
very address that was checked, so that a name cannot change between check and use.

Where a name has several addresses they are tried as RFC 8305 (Happy Eyeballs) says: the families
take turns, each address gets a head start of 250 ms before the next one is tried beside it, and the
first connection that is up wins. The exchange's connect deadline is over all of it.
"""

from collections.abc import Callable
from functools import partial
from itertools import zip_longest
from typing import Any, Final, final

from OpenSSL import SSL
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import ClientFactory, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure

from lockgate.connections.endpoint import Endpoint
from lockgate.connections.failures import connect_failure_code, resolve_failure_code
from lockgate.connections.resolver import Resolver
from lockgate.connections.tls import StrictClient
from lockgate.connections.upstream import Peer, Upstream
from lockgate.errors.codes import Code
from lockgate.eventloop.sockets import connect
from lockgate.eventloop.tls_transport import TlsTransport
from lockgate.memo import BoundedMemo
from lockgate.policy.address import permitted
from lockgate.policy.spec.backends import Backend

HEAD_START_S: Final = 0.25
"""RFC 8305, section 5: the recommended Connection Attempt Delay."""
MOST_ADDRESSES: Final = 256
"""Of one backend, whose verdicts are remembered."""
GUARD_S: Final = 600.0
"""The exchange's connect deadline rules; this one keeps a transport from waiting for ever."""

_log = Logger("lockgate.connect")


def _nothing(*_: object) -> None:
    """Stand for a cancel that has nothing to cancel, and for a callback that is not called."""


@final
class Destination:
    """Where the connections of one backend go, and which addresses its policy lets it have.

    `tls` makes what makes TLS connections to a host. `refused` is called with an address that the
    policy forbids, and why.
    """

    def __init__(  # noqa: PLR0913 - a connection depends on this much
        self,
        reactor: Any,
        resolver: Resolver,
        backend: Backend,
        endpoint: Endpoint,
        private_ranges: tuple[str, ...],
        *,
        tls: Callable[[str], StrictClient],
        refused: Callable[[str, str], None],
    ) -> None:
        self.reactor = reactor
        self.resolver = resolver
        self.backend = backend
        self.endpoint = endpoint
        self.private_ranges = private_ranges
        self.tls = tls
        self.refused = refused
        self.peer: Final = Peer()
        self.is_tls: Final = endpoint.scheme == "https"
        self._reasons: BoundedMemo[str, str] = BoundedMemo(MOST_ADDRESSES)  # by address

    def is_current(self, upstream: Upstream) -> bool:
        """Whether a connection was made with the TLS files that a fresh one would be made with."""
        if upstream.secured_by is None:
            return True
        try:
            return upstream.secured_by is self.tls(self.endpoint.host)
        except (SSL.Error, ValueError):
            return False  # a fresh one says what is wrong with them

    def reason_against(self, address: str) -> str | None:
        """Return None when the policy lets this backend be at `address`, else why not."""
        reason = self._reasons.get(address)
        if reason is None:
            reason = permitted(address, self.backend, self.private_ranges) or ""
            self._reasons.keep(address, reason)
        return reason or None


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
            self._failed = _nothing  # an exchange that is over is referred to by no connection
            ready(self)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Before it was ready this is a failed dial; afterwards a lost connection."""
        if self._ready is not None:
            self._ready = None
            failed, self._failed = self._failed, _nothing
            failed(reason)
            return
        super().connectionLost(reason)


class _Factory(ClientFactory[Any]):
    noisy = False

    def __init__(self, protocol: Upstream, failed: Callable[[Failure], None]) -> None:
        self._protocol = protocol
        self._failed = failed

    def buildProtocol(self, addr: IAddress | None) -> Upstream:  # noqa: ARG002 - Twisted's signature
        return self._protocol

    def clientConnectionFailed(self, connector: Any, reason: Failure) -> None:  # noqa: ARG002
        self._failed(reason)


class ConnectAttempt:
    """Tries to get a fresh connection, and calls exactly one of three when it is over.

    `connected` gets the connection (and False: it was not used before), `failed` the code of
    the error that says why there is none. `broke` is called where an exception of
    ours, which is logged, ended the attempt: no failure of the backend's. `lost` will be called
    with the connection when that ends.
    """

    def __init__(
        self,
        destination: Destination,
        connected: Callable[[Upstream, bool], None],
        failed: Callable[[Code], None],
        broke: Callable[[], None],
        lost: Callable[[Upstream], None],
    ) -> None:
        self._destination = destination
        self._connected = connected
        self._failed = failed
        self._broke = broke
        self._lost = lost
        self._addresses: list[str] = []
        self._trying: dict[str, Callable[[], None]] = {}
        self._head_start: Any | None = None
        self._over = False

    def start(self) -> None:
        """Resolve the name; the rest follows."""
        self._step(self._resolve)

    def cancel(self) -> None:
        """Stop, whatever is going on; nothing is called any more."""
        self._end()
        self._stop_trying()

    def _step(self, step: Callable[..., None], *arguments: Any) -> None:
        """Take one step; an exception of ours in it ends the attempt.

        A reactor or a Deferred, which call most steps, would do nothing about it.
        """
        try:
            step(*arguments)
        except Exception:  # noqa: BLE001 - one request fails, the proxy goes on (X6)
            _log.failure("a connection could not be made")
            broke = self._broke
            self.cancel()
            broke()

    def _end(self) -> None:
        """Report nothing more, and refer to nobody: a name may be asked for a while yet."""
        self._over = True
        self._connected = self._failed = self._broke = _nothing

    def _stop_trying(self, winner: str = "") -> None:
        self._stop_head_start()
        trying, self._trying = self._trying, {}
        for address, disconnect in trying.items():
            if address != winner:
                disconnect()

    def _stop_head_start(self) -> None:
        if self._head_start is not None and self._head_start.active():
            self._head_start.cancel()

    # -- the name

    def _resolve(self) -> None:
        resolver, host = self._destination.resolver, self._destination.endpoint.host
        known = resolver.known(host)
        if known is not None:
            self._resolved(known)
        else:
            resolver.resolve(host).addCallbacks(
                partial(self._step, self._resolved), partial(self._step, self._unresolved)
            )

    def _unresolved(self, reason: Failure) -> None:
        code = resolve_failure_code(reason)
        if code != "upstream_dns":
            _log.failure("a name cannot be asked for", failure=reason)
        self._fail(code)

    def _resolved(self, addresses: list[str]) -> None:
        if self._over:
            return
        for address in addresses:
            reason = self._destination.reason_against(address)
            if reason is not None:
                self._destination.refused(address, reason)
                self._fail("upstream_address")
                return
        self._addresses = in_turns(addresses)
        self._next_address()

    # -- the addresses

    def _next_address(self) -> None:
        if self._over or not self._addresses:
            return
        address = self._addresses.pop(0)
        protocol = _Opening(
            partial(self._step, self._ready, address),
            partial(self._step, self._unreachable, address),
        )
        self._trying[address] = _nothing
        if self._addresses:
            self._head_start = self._destination.reactor.callLater(
                HEAD_START_S, self._step, self._next_address
            )
        is_tls = self._destination.is_tls
        disconnect = (self._connect_tls if is_tls else self._connect_tcp)(protocol, address)
        if address in self._trying:
            self._trying[address] = disconnect

    def _connect_tcp(self, protocol: _Opening, address: str) -> Callable[[], None]:
        factory = _Factory(protocol, protocol.connectionLost)
        port = self._destination.endpoint.port
        return connect(self._destination.reactor, address, port, factory, GUARD_S)

    def _connect_tls(self, protocol: _Opening, address: str) -> Callable[[], None]:
        destination = self._destination
        try:
            client = destination.tls(destination.endpoint.host)
            connection, checked_at = client.connection(destination.reactor.seconds())
        except (SSL.Error, ValueError) as problem:
            _log.error(
                "backend {name}: its TLS files cannot be used: {problem}",
                name=destination.backend.name,
                problem=problem,
            )
            self._stop_trying()
            self._fail("upstream_tls")
            return _nothing
        protocol.secured_by = client
        transport = protocol.transport = TlsTransport(
            destination.reactor, protocol, connection, checked_at, protocol.opened
        )
        transport.connect(address, destination.endpoint.port)
        return transport.abortConnection

    # -- the end

    def _ready(self, address: str, upstream: Upstream) -> None:
        if self._over:
            upstream.abort()
            return
        connected, broke = self._connected, self._broke
        self._end()
        self._stop_trying(winner=address)
        upstream.lost = self._lost
        upstream.checked_at = (
            upstream.transport.checked_at
            if upstream.secured_by is not None
            else self._destination.reactor.seconds()
        )
        upstream.peer = self._destination.peer
        try:
            connected(upstream, False)
        except Exception:  # noqa: BLE001 - as in _step
            _log.failure("a connection could not be used")
            upstream.abort()
            broke()

    def _unreachable(self, address: str, reason: Failure) -> None:
        self._trying.pop(address, None)
        if self._over:
            return
        if self._addresses:
            self._stop_head_start()
            self._next_address()
            return
        if self._trying:
            return  # another address may still answer
        self._fail(connect_failure_code(reason, over_tls=self._destination.is_tls))

    def _fail(self, code: Code) -> None:
        if not self._over:
            failed, broke = self._failed, self._broke
            self._end()
            try:
                failed(code)
            except Exception:  # noqa: BLE001 - as in _step
                _log.failure("a failed connection could not be reported")
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
