"""Active health checks: two failed probes in a row take a backend out, one good one puts it back.

A probe is a GET for the check's path at the backend's own server, with the backend's own key; any
2xx within the check's time-out is good. While every candidate is out, callers get 503 with the time
to the next probe in Retry-After.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

from lockgate.connections.pool import ConnectionPool
from lockgate.connections.timer_wheel import Timer, TimerWheel
from lockgate.policy.spec.backends import Backend, HealthCheck
from lockgate.server.background_request import BackgroundRequest

FAILURES: Final = 2
MAX_RESPONSE_BYTES: Final = 64 * 1024
Tell = Callable[[str, str | None], None]
"""Told of a backend's name, and of what its check finds wrong: None when that is nothing."""


class Health:
    """The checks of one policy. `out` maps backends that are out to the time of the next probe."""

    def __init__(
        self,
        wheel: TimerWheel,
        out: dict[str, float],
        probe_bytes: Callable[[Backend, str], bytes],
    ) -> None:
        self._wheel = wheel
        self._out = out
        self._probe_bytes = probe_bytes
        self._checks: dict[str, _Check] = {}
        self.tell: Tell = _to_nobody

    def adopt(self, pools: Mapping[str, ConnectionPool]) -> None:
        """Check the backends of a policy; one that stays the same keeps its state."""
        kept: dict[str, _Check] = {}
        for name, pool in pools.items():
            check = pool.backend.health_check
            held = self._checks.get(name)
            if held is not None and held.pool is pool:
                kept[name] = held
            elif check is not None:
                kept[name] = _Check(self, pool, check)
        for name, held in self._checks.items():
            if kept.get(name) is not held:
                held.stop()
                self._out.pop(name, None)
        self._checks = kept

    def stop(self) -> None:
        """End every check."""
        self.adopt({})

    def states(self) -> dict[str, float]:
        """Return 1 for each checked backend that is in, 0 for one that is out."""
        return {name: float(name not in self._out) for name in self._checks}


class _Check:
    def __init__(self, health: Health, pool: ConnectionPool, check: HealthCheck) -> None:
        self.pool = pool
        self._health = health
        self._check = check
        self._failures = 0
        self._background: BackgroundRequest | None = None
        self._timer = Timer(health._wheel, self._probe)
        self._timer.arm(0.0)

    def stop(self) -> None:
        self._timer.cancel()
        if self._background is not None:
            self._background.cancel()

    def _probe(self) -> None:
        backend = self.pool.backend
        self._timer.arm(float(self._check.interval_seconds))
        self._background = BackgroundRequest(
            self._health._wheel,
            self.pool,
            self._health._probe_bytes(backend, self._check.path),
            seconds=float(self._check.timeout_seconds),
            max_bytes=MAX_RESPONSE_BYTES,
            done=partial(self._probed, backend.name),
        )

    def _probed(self, name: str, result: int | str) -> None:
        self._background = None
        out = self._health._out
        if isinstance(result, int) and 200 <= result < 300:
            self._failures = 0
            out.pop(name, None)
            self._health.tell(name, None)
            return
        self._failures += 1
        if self._failures < FAILURES:
            return
        out[name] = self._health._wheel.now() + self._check.interval_seconds
        found = f"answers {result}" if isinstance(result, int) else f"ends with {result}"
        path = self._check.path
        self._health.tell(name, f"is out: GET {path} {found}; see that server, and healthCheck")


def _to_nobody(name: str, problem: str | None) -> None:
    """Nobody listens."""
