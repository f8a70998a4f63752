"""The connections of one backend: idle ones are used again, fresh ones are made where none is.

Local tier: idle connections are kept for ten seconds. Cloud tier: a fresh one per request, so that
no response can be another request's, whatever a server does with framing. Where a cloud backend
says `keepConnections` (docs/adr/0014) one is kept as well, until five minutes after its certificate
was checked, and only while the backend's TLS files stay the same; a health check or a shadow copy
makes one of its own.
"""

from collections.abc import Callable
from typing import Final, final

from lockgate.connections.connect import ConnectAttempt, Destination
from lockgate.connections.upstream import Upstream
from lockgate.errors.codes import Code

IDLE_S: Final = 10.0
"""Shorter than the keep-alive of the common servers, so that we close first."""
CLOUD_AGE_S: Final = 300.0
"""The bound of resumed sessions too: no request rests on an older check of a certificate."""


def _nothing() -> None:
    """Cancel what is done already."""


@final
class ConnectionPool:
    """Keeps the idle connections to `destination`, and makes fresh ones."""

    def __init__(self, destination: Destination) -> None:
        self.destination: Final = destination
        self.backend: Final = destination.backend
        self.endpoint: Final = destination.endpoint
        self.peer: Final = destination.peer
        self._reactor: Final = destination.reactor
        self._is_cloud: Final = destination.backend.tier == "cloud"
        self._keeps = not self._is_cloud or destination.backend.keep_connections
        self._idle: list[Upstream] = []

    def dial(
        self,
        connected: Callable[[Upstream, bool], None],
        failed: Callable[[Code], None],
        broke: Callable[[], None],
    ) -> Callable[[], None]:
        """Get a connection, at once when a local one is idle; return what cancels the attempt.

        What is called when: `lockgate.connections.connect.ConnectAttempt`.
        """
        upstream = None if self._is_cloud else self.kept()
        if upstream is None:
            attempt = ConnectAttempt(self.destination, connected, failed, broke, self.forget)
            attempt.start()
            return attempt.cancel
        try:
            connected(upstream, True)
        except Exception:
            upstream.abort()
            raise
        return _nothing

    def kept(self) -> Upstream | None:
        """Return an idle connection, None where there is none."""
        while self._idle:
            upstream = self._idle.pop()
            now = self._reactor.seconds()
            if upstream.idle_since + IDLE_S > now and not (
                self._is_cloud and self._is_old(upstream, now)
            ):
                return upstream
            upstream.abort()
        return None

    def _is_old(self, upstream: Upstream, now: float) -> bool:
        """Whether a cloud connection rests on a check that is too old, or on other files."""
        too_old = upstream.checked_at + CLOUD_AGE_S <= now
        return too_old or not self.destination.is_current(upstream)

    @property
    def idle(self) -> int:
        """How many connections are kept and carry no request."""
        return len(self._idle)

    def release(self, upstream: Upstream) -> None:
        """Take back a connection whose response is complete."""
        try:
            self._take_back(upstream)
        except Exception:
            upstream.abort()
            raise

    def _take_back(self, upstream: Upstream) -> None:
        if upstream.secured_by is not None:
            upstream.secured_by.keep(upstream.transport.connection, upstream.transport.checked_at)
        if upstream.release() and self._keeps:
            upstream.idle_since = self._reactor.seconds()
            self._idle.append(upstream)
        else:
            upstream.abort()

    def forget(self, upstream: Upstream) -> None:
        """Keep a connection no longer: it was lost."""
        if upstream in self._idle:
            self._idle.remove(upstream)

    def sweep(self) -> None:
        """Close connections that were idle for too long."""
        limit = self._reactor.seconds() - IDLE_S
        for upstream in [u for u in self._idle if u.idle_since < limit]:
            upstream.abort()

    def close(self) -> None:
        """Close every idle connection, and keep none from now on."""
        self._keeps = False
        for upstream in list(self._idle):
            upstream.abort()
