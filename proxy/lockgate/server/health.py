"""Active health checks: two failed probes in a row take a backend out, one good one puts it back.

A probe is a GET for the check's path at the backend's own server, with the backend's own key; any
2xx within the check's time-out is good. While every candidate is out, clients get 503 with the time
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
Report = Callable[[str, str | None], None]
"""Called with a backend's name and what its check found wrong: None when that is nothing."""


class Health:
    """Runs the health checks of the policy in force.

    `out` maps the backends that are out to the time of the next probe. `probe` makes the request
    for a backend and a path. `report` is called with the result of each check.
    """

    def __init__(
        self, wheel: TimerWheel, out: dict[str, float], probe: Callable[[Backend, str], bytes]
    ) -> None:
        self.wheel = wheel
        self.out = out
        self.probe = probe
        self.report: Report = _to_nobody
        self._checks: dict[str, _Check] = {}

    def adopt(self, pools: Mapping[str, ConnectionPool]) -> None:
        """Check the backends of a policy; one that stays the same keeps its state."""
        checks: dict[str, _Check] = {}
        for name, pool in pools.items():
            health_check = pool.backend.health_check
            running = self._checks.get(name)
            if running is not None and running.pool is pool:
                checks[name] = running
            elif health_check is not None:
                checks[name] = _Check(self, pool, health_check)
        for name, check in self._checks.items():
            if checks.get(name) is not check:
                check.stop()
                self.out.pop(name, None)
        self._checks = checks

    def stop(self) -> None:
        """End every check."""
        self.adopt({})

    def states(self) -> dict[str, float]:
        """Return 1 for each checked backend that is in, 0 for one that is out."""
        return {name: float(name not in self.out) for name in self._checks}


class _Check:
    """Probes one backend again and again."""

    def __init__(self, health: Health, pool: ConnectionPool, check: HealthCheck) -> None:
        self.pool = pool
        self._health = health
        self._check = check
        self._failures = 0
        self._background: BackgroundRequest | None = None
        self._timer = Timer(health.wheel, self._probe)
        self._timer.arm(0.0)

    def stop(self) -> None:
        self._timer.cancel()
        if self._background is not None:
            self._background.cancel()

    def _probe(self) -> None:
        backend = self.pool.backend
        self._timer.arm(float(self._check.interval_seconds))
        self._background = BackgroundRequest(
            self._health.wheel,
            self.pool,
            self._health.probe(backend, self._check.path),
            seconds=float(self._check.timeout_seconds),
            max_bytes=MAX_RESPONSE_BYTES,
            done=partial(self._probed, backend.name),
        )

    def _probed(self, name: str, result: int | str) -> None:
        self._background = None
        health = self._health
        if isinstance(result, int) and 200 <= result < 300:
            self._failures = 0
            health.out.pop(name, None)
            health.report(name, None)
            return
        self._failures += 1
        if self._failures < FAILURES:
            return
        health.out[name] = health.wheel.now() + self._check.interval_seconds
        how = f"answers {result}" if isinstance(result, int) else f"ends with {result}"
        path = self._check.path
        health.report(name, f"is out: GET {path} {how}; look at that server, and at healthCheck")


def _to_nobody(name: str, problem: str | None) -> None:
    """Report to nobody."""
