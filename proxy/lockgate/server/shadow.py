"""Shadow copies: what a caller was answered is asked of a rule's other backends too, and discarded.

Copies are made after the answer is over, of a sample, and bounded in number, bytes and time; they
go to the rule's own candidates of the very decision, which the one bound on sensitive data made.
Nothing of a copy reaches the caller, a breaker or the retry budget: only a metric of its own. What
it holds, the body it is a copy of included, is in the memory budget.
"""

from functools import partial
from typing import TYPE_CHECKING, Final

from twisted.logger import Logger

from lockgate.bodies.splices import splices
from lockgate.exchange.commands import SendUp
from lockgate.exchange.machine import Exchange
from lockgate.policy.spec.backends import Backend
from lockgate.server.background_request import BackgroundRequest

if TYPE_CHECKING:
    from lockgate.server.router import RequestRouter

MAX_AT_ONCE: Final = 16
MAX_BODY_BYTES: Final = 1 << 20
MAX_RESPONSE_BYTES: Final = 8 << 20
SECONDS: Final = 60.0
_log = Logger("lockgate.shadow")


class Shadows:
    """The copies under way."""

    def __init__(self, router: "RequestRouter") -> None:
        self._router = router
        self._running: dict[int, BackgroundRequest | None] = {}  # None while it begins
        self._number = 0

    def __len__(self) -> int:
        return len(self._running)

    def after(self, exchange: Exchange) -> None:
        """Copy what an exchange was asked, where its rule says so."""
        rule = exchange.request.route.reading.rule
        if rule is None or rule.route.strategy != "shadow" or exchange.outcome != "complete":
            return
        if self._router.upstream_state.jitter() * 100 >= rule.route.shadow_percent:
            return
        for backend in exchange.request.route.candidates:
            if backend.name in rule.route.backends[1:]:
                try:
                    self._copy(exchange, backend)
                except Exception:  # noqa: BLE001 - a copy must never fail a caller
                    _log.failure("shadow copy to {backend}", backend=backend.name)

    def stop(self) -> None:
        """Give up every copy."""
        for background in list(self._running.values()):
            if background is not None:
                background.cancel()
        self._running.clear()

    def _copy(self, exchange: Exchange, backend: Backend) -> None:
        router, request = self._router, exchange.request
        ready = router.upstream_state.is_ready(backend, request)
        if not ready or len(self) >= MAX_AT_ONCE or request.received_bytes > MAX_BODY_BYTES:
            router.recorder.metrics.shadow(backend.name, "skipped")
            return
        edits, _ = splices(request.scan, backend.upstream_model, include_usage=request.scan.stream)
        body = SendUp(backend, b"".join(request.pieces()), edits).body
        self._number += 1
        number = self._number
        data = router.request_head(backend, len(body), request) + body
        held = len(data) + request.received_bytes
        router.memory.book(held)
        self._running[number] = None
        try:
            background = BackgroundRequest(
                router.wheel,
                router.pools[backend.name],
                data,
                seconds=SECONDS,
                max_bytes=MAX_RESPONSE_BYTES,
                done=partial(self._done, number, backend.name, held),
                may_go=partial(router.upstream_state.allows, backend, request),
            )
        except Exception:
            self._end(number, held)
            raise
        if number in self._running:  # it may be over already
            self._running[number] = background

    def _end(self, number: int, held: int) -> None:
        if number in self._running:
            del self._running[number]
            self._router.memory.give(held)

    def _done(self, number: int, name: str, held: int, result: int | str) -> None:
        self._end(number, held)
        answered = isinstance(result, int) and result < 400
        self._router.recorder.metrics.shadow(name, "answered" if answered else "failed")
