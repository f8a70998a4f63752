"""Shadow copies: what a caller was answered is asked of a rule's other backends too, and discarded.

Copies are made after the answer is over, of a sample, and bounded in number, bytes and time; they
go to the rule's own candidates of the very decision, which the one bound on sensitive data made.
Nothing of a copy reaches the caller, a breaker or the retry budget: only a metric of its own. What
it holds, the body it is a copy of included, is in the memory budget.
"""

from functools import partial
from typing import TYPE_CHECKING, Final

from twisted.logger import Logger

from proxy.exchange.body import splices
from proxy.exchange.commands import SendUp
from proxy.exchange.machine import Exchange
from proxy.net.errand import Errand
from proxy.policy.backends import Backend

if TYPE_CHECKING:
    from proxy.net.desk import Desk

MAX_AT_ONCE: Final = 16
MAX_BODY_BYTES: Final = 1 << 20
MAX_ANSWER_BYTES: Final = 8 << 20
SECONDS: Final = 60.0
_log = Logger("lockgate.shadow")


class Shadows:
    """The copies under way."""

    def __init__(self, desk: "Desk") -> None:
        self._desk = desk
        self._running: dict[int, Errand | None] = {}  # None while it begins
        self._number = 0

    def __len__(self) -> int:
        return len(self._running)

    def after(self, exchange: Exchange) -> None:
        """Copy what an exchange was asked, where its rule says so."""
        rule = exchange.request.route.reading.rule
        if rule is None or rule.route.strategy != "shadow" or exchange.outcome != "complete":
            return
        if self._desk.gate.jitter() * 100 >= rule.route.shadow_percent:
            return
        for backend in exchange.request.route.candidates:
            if backend.name in rule.route.backends[1:]:
                try:
                    self._copy(exchange, backend)
                except Exception:  # noqa: BLE001 - a copy must never fail a caller
                    _log.failure("shadow copy to {backend}", backend=backend.name)

    def stop(self) -> None:
        """Give up every copy."""
        for errand in list(self._running.values()):
            if errand is not None:
                errand.cancel()
        self._running.clear()

    def _copy(self, exchange: Exchange, backend: Backend) -> None:
        desk, request = self._desk, exchange.request
        ready = desk.gate.is_ready(backend, request)
        if not ready or len(self) >= MAX_AT_ONCE or request.received_bytes > MAX_BODY_BYTES:
            desk.recorder.metrics.shadow(backend.name, "skipped")
            return
        edits, _ = splices(request.scan, backend.upstream_model, include_usage=request.scan.stream)
        body = SendUp(backend, b"".join(request.pieces()), edits).body
        self._number += 1
        number = self._number
        data = desk.request_head(backend, len(body), request) + body
        held = len(data) + request.received_bytes
        desk.memory.book(held)
        self._running[number] = None
        try:
            errand = Errand(
                desk.wheel,
                desk.diallers[backend.name],
                data,
                seconds=SECONDS,
                max_bytes=MAX_ANSWER_BYTES,
                done=partial(self._done, number, backend.name, held),
                may_go=partial(desk.gate.allows, backend, request),
            )
        except Exception:
            self._end(number, held)
            raise
        if number in self._running:  # it may be over already
            self._running[number] = errand

    def _end(self, number: int, held: int) -> None:
        if number in self._running:
            del self._running[number]
            self._desk.memory.give(held)

    def _done(self, number: int, name: str, held: int, result: int | str) -> None:
        self._end(number, held)
        answered = isinstance(result, int) and result < 400
        self._desk.recorder.metrics.shadow(name, "answered" if answered else "failed")
