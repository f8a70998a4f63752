"""Shadow copies: sends a copy of a served request to the rule's other backends too.

Copies are made once the client has its response, of a sample, and bounded in number, bytes and
time; they go to the rule's own candidates of the same decision, which the one bound on sensitive
data made. The response to a copy is discarded, and nothing of it reaches the client, a breaker or
the retry budget: only a metric of its own. Its memory, and that of the body that it copies, is
charged to the memory budget.
"""

from functools import partial
from typing import Final

from twisted.logger import Logger

from lockgate.bodies.edits import edited
from lockgate.bodies.splices import splices
from lockgate.connections.timer_wheel import TimerWheel
from lockgate.exchange.machine import Exchange
from lockgate.policy.spec.backends import Backend
from lockgate.server.background_request import BackgroundRequest
from lockgate.server.metrics import Metrics
from lockgate.server.upstream_state import UpstreamState
from lockgate.server.upstreams import Upstreams

MAX_AT_ONCE: Final = 16
MAX_BODY_BYTES: Final = 1 << 20
MAX_RESPONSE_BYTES: Final = 8 << 20
SECONDS: Final = 60.0
_log = Logger("lockgate.shadow")


class Shadows:
    """Makes shadow copies and keeps those under way within their bounds."""

    def __init__(
        self, wheel: TimerWheel, state: UpstreamState, upstreams: Upstreams, metrics: Metrics
    ) -> None:
        self._wheel = wheel
        self._state = state
        self._upstreams = upstreams
        self._metrics = metrics
        self._running: dict[int, BackgroundRequest | None] = {}  # None while it begins
        self._number = 0

    def __len__(self) -> int:
        return len(self._running)

    def after(self, exchange: Exchange) -> None:
        """Copy the request of an exchange that is over, where its rule says so."""
        rule = exchange.request.route.reading.rule
        if rule is None or rule.route.strategy != "shadow" or exchange.outcome != "complete":
            return
        if self._state.jitter() * 100 >= rule.route.shadow_percent:
            return
        for backend in exchange.request.route.candidates:
            if backend.name in rule.route.backends[1:]:
                try:
                    self._copy(exchange, backend)
                except Exception:  # noqa: BLE001 - a copy must never fail a request
                    _log.failure("shadow copy to {backend}", backend=backend.name)

    def stop(self) -> None:
        """Give up every copy."""
        for background in list(self._running.values()):
            if background is not None:
                background.cancel()
        self._running.clear()

    def _copy(self, exchange: Exchange, backend: Backend) -> None:
        request = exchange.request
        ready = self._state.is_ready(backend, request)
        if not ready or len(self) >= MAX_AT_ONCE or request.received_bytes > MAX_BODY_BYTES:
            self._metrics.shadow(backend.name, "skipped")
            return
        edits, _ = splices(request.scan, backend.upstream_model, include_usage=request.scan.stream)
        body = b"".join(edited(b"".join(request.pieces()), edits))
        self._number += 1
        number = self._number
        data = self._upstreams.request_head(backend, len(body), request) + body
        charged = len(data) + request.received_bytes
        self._state.memory.charge(charged)
        self._running[number] = None
        try:
            background = BackgroundRequest(
                self._wheel,
                self._upstreams.pools[backend.name],
                data,
                seconds=SECONDS,
                max_bytes=MAX_RESPONSE_BYTES,
                done=partial(self._done, number, backend.name, charged),
                may_go=partial(self._state.allows, backend, request),
            )
        except Exception:
            self._end(number, charged)
            raise
        if number in self._running:  # it may be over already
            self._running[number] = background

    def _end(self, number: int, charged: int) -> None:
        if number in self._running:
            del self._running[number]
            self._state.memory.release(charged)

    def _done(self, number: int, name: str, charged: int, result: int | str) -> None:
        self._end(number, charged)
        answered = isinstance(result, int) and result < 400
        self._metrics.shadow(name, "answered" if answered else "failed")
