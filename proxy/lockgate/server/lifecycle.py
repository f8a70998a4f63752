"""The life of a proxy: listen, reload, drain, stop.

SIGTERM: readiness off, still accepting for the drain delay with ``Connection: close``; then no more
connections; running responses finish within the grace; the rest get the error event. A second
SIGTERM ends at once. SIGHUP and a changed policy file: loaded whole, or refused and the old one
kept. The file is looked at once a second.
"""

from collections.abc import Callable
from typing import Any, Final

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.protocol import ServerFactory
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from lockgate.connections.client import ClientConnection
from lockgate.connections.limiter import client_of
from lockgate.eventloop.client_tls import ClientTlsFactory
from lockgate.eventloop.sockets import ListeningPort, listen
from lockgate.policy.loaded import LoadedPolicy
from lockgate.policy.reading.problem import PolicyRefusedError
from lockgate.server.certificate import Certificate
from lockgate.server.metrics import Metrics
from lockgate.server.policy_file import PolicyFile
from lockgate.server.router import RequestRouter

LOOK_S: Final = 1.0
_log = Logger("lockgate.lifecycle")


class ClientConnectionFactory(ServerFactory[Any]):
    """Makes a `ClientConnection` for each connection of a client's."""

    noisy = False

    def __init__(self, router: RequestRouter) -> None:
        self._router = router

    def buildProtocol(self, addr: Any) -> ClientConnection | None:
        """Return the connection's protocol; None closes it, where there is no room."""
        if not self._router.connections.make_room(client_of(getattr(addr, "host", ""))):
            return None
        return ClientConnection(self._router)


@define(eq=False)
class Lifecycle:
    """Runs one proxy's listener, reloads and drain. `stopped` fires when it has drained."""

    reactor: Any
    router: RequestRouter
    metrics: Metrics
    policy_file: PolicyFile
    drain_delay_s: float
    drain_grace_s: float
    check: Callable[[LoadedPolicy], None]
    certificate: Certificate | None = None
    shared: bool = False
    adopted: Callable[[LoadedPolicy], None] = lambda _: None
    """Called with each policy that was loaded again: some fields are no part of its digest."""
    look: Callable[[], None] = lambda: None
    """Called each second."""
    stopped: Deferred[None] = field(factory=Deferred)
    _ports: list[ListeningPort] = field(factory=list)
    _looking: LoopingCall | None = None
    _sweep: LoopingCall | None = None
    _closing_in: Any = None

    def start(self, host: str, port: int) -> int:
        """Listen and watch the policy file; return the port in use."""
        factory: Any = ClientConnectionFactory(self.router)
        if self.certificate is not None:
            creator: Any = self.certificate.creator  # an interface of Twisted's, by @implementer
            factory = ClientTlsFactory(creator, False, factory)
        listening = listen(self.reactor, port, factory, host, shared=self.shared)
        self._ports.append(listening)
        self._looking = self._every(LOOK_S, self._look_around)
        self._sweep = self._every(LOOK_S, self._sweep_idle)
        return listening.number

    def _every(self, seconds: float, work: Callable[[], None]) -> LoopingCall:
        def guarded() -> None:
            try:
                work()
            except Exception:  # noqa: BLE001 - it would never be called again
                _log.failure("a recurring task failed")

        loop = LoopingCall(guarded)
        loop.clock = self.reactor
        loop.start(seconds, now=False)
        return loop

    # -- reload

    def reload(self) -> bool:
        """Read the policy file again; return whether its policy is now in force."""
        try:
            policy = self.policy_file.load(self.check)
        except (OSError, PolicyRefusedError) as problem:
            self.refused(problem)
            return False
        if policy.digest != self.router.upstream_state.policy.digest:
            self.router.adopt(policy)
            self.metrics.policy(policy.digest)
        self.adopted(policy)
        self.metrics.reloaded("adopted")
        _log.info("policy {digest} in force", digest=policy.digest)
        return True

    def refused(self, problem: Exception) -> None:
        """Log that the file does not load, and that the policy in force is kept."""
        self.metrics.reloaded("refused")
        name = str(self.policy_file.path)
        _log.error("policy kept: {name} does not load: {problem}", name=name, problem=problem)

    def _look_around(self) -> None:
        if self.certificate is not None:
            self.certificate.look()
        if self.policy_file.has_changed():
            self.reload()
        self.look()

    def _sweep_idle(self) -> None:
        self.router.upstreams.sweep()

    # -- drain

    def drain(self) -> None:
        """Begin to stop; a second call stops at once."""
        if self.router.draining:
            self._finish()
            return
        _log.info("draining: no new connections after {seconds} s", seconds=self.drain_delay_s)
        self.router.draining = True
        self._closing_in = self.reactor.callLater(self.drain_delay_s, self._stop_accepting)

    def _stop_accepting(self) -> None:
        for port in self._ports:
            port.stop()
        self._ports = []
        self.router.stopping = True
        for connection in list(self.router.connections):
            connection.close_if_idle()
        self._closing_in = self.reactor.callLater(self.drain_grace_s, self._interrupt)
        self._wait = self._every(0.05, self._finish_when_empty)

    def _finish_when_empty(self) -> None:
        if not self.router.connections:
            self._finish()

    def _interrupt(self) -> None:
        self.router.interrupt()
        self._closing_in = self.reactor.callLater(1.0, self._finish)

    def _finish(self) -> None:
        for loop in (self._looking, self._sweep, self._wait):
            if loop is not None and loop.running:
                loop.stop()
        if self._closing_in is not None and self._closing_in.active():
            self._closing_in.cancel()
        for port in self._ports:
            port.stop()
        self.router.interrupt()
        for connection in list(self.router.connections):
            connection.transport.abortConnection()
        self.router.close()
        if not self.stopped.called:
            self.stopped.callback(None)

    _wait: LoopingCall | None = None
