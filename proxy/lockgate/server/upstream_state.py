"""What exchanges share: breakers, credentials, the policy in force, the retry budget.

The one implementation of `lockgate.exchange.ports.Ports`. A candidate of an older decision is tried
only while the policy in force would still allow it.
"""

import random
from collections.abc import Callable
from typing import Any, Final

from lockgate.connections.credentials import Credentials
from lockgate.connections.endpoint import base_url
from lockgate.connections.upstream import Peer
from lockgate.exchange.attempts import Attempt, Settlement, Skipped
from lockgate.exchange.breaker import Breaker, Closed, Opened
from lockgate.exchange.deadlines import Deadlines, resolve_deadlines
from lockgate.exchange.latency import Latency
from lockgate.exchange.memory import MemoryBudget
from lockgate.exchange.order import Orders
from lockgate.exchange.ports import Ports
from lockgate.exchange.request import RoutedRequest
from lockgate.exchange.retry_budget import RetryBudget
from lockgate.exchange.tally import Blame
from lockgate.policy.deciding.decide import Decider
from lockgate.policy.deciding.decision import Route
from lockgate.policy.loaded import LoadedPolicy
from lockgate.policy.spec.backends import Backend
from lockgate.server.breaker_log import BreakerLog

OUTLIER: Final = 3.0
"""So many times the median of the others: a difference that no noise makes."""


class UpstreamState(Ports):
    """What every exchange shares. `now` is monotonic; `policy` and `decider` change at a reload."""

    def __init__(
        self,
        now: Callable[[], float],
        policy: LoadedPolicy,
        credentials: Credentials,
        memory: MemoryBudget,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._now = now
        self.credentials = credentials
        self.memory = memory
        self._jitter = jitter
        self.budget = RetryBudget()
        self.breakers: dict[str, Breaker] = {}
        self.latencies: dict[str, Latency] = {}
        self.unhealthy: dict[str, float] = {}
        """Backends whose health check fails, with the monotonic second of their next one."""
        self.peers: dict[str, Peer] = {}
        self.permits_out = 0
        self.failures_counted: dict[str, int] = {}
        self.log = BreakerLog(now)
        self.policy = policy
        self.adopt(policy)

    def adopt(self, policy: LoadedPolicy) -> None:
        """Put `policy` in force; breakers of backends that stay where they are keep their state."""
        moved = self._moved(policy)
        self.policy = policy
        self._digest = policy.digest
        self._keyless = _keyless(policy)
        self.decider = Decider(policy)
        self.retry_after_max_s = policy.spec.proxy.retry_after_max
        self.max_event_bytes = policy.spec.proxy.max_event_bytes
        self._without_usage: set[str] = set()
        self._limits: dict[tuple[str | None, str, str], Deadlines] = {}
        quarantine_s = policy.spec.proxy.quarantine_duration
        names = [b.name for b in policy.spec.backends]
        self.latencies = {name: self.latencies.get(name) or Latency() for name in names}
        self.orders = Orders(self._jitter, self.latencies)
        kept = self.breakers
        self.breakers = {
            b.name: kept.get(b.name) or Breaker(quarantine_s, self._jitter)
            for b in policy.spec.backends
        }
        for name, breaker in self.breakers.items():
            breaker.quarantine_s = quarantine_s
            if name in moved and not isinstance(breaker.state, Closed):
                self.log.closed(name, "since the policy now says another address")
            if name in moved:
                breaker.close()
        self.log.forget(set(names))

    def _moved(self, policy: LoadedPolicy) -> set[str]:
        """Return the backends that `policy` has at another place than the policy in force."""
        old = {b.name: base_url(b) for b in self.policy.spec.backends}
        return {b.name for b in policy.spec.backends if old.get(b.name, base_url(b)) != base_url(b)}

    def now(self) -> float:
        """Return monotonic seconds."""
        return self._now()

    def jitter(self) -> float:
        """Return a number in [0, 1)."""
        return self._jitter()

    def order(self, request: RoutedRequest) -> tuple[Backend, ...]:
        """Return the candidates in the order of the rule's strategy."""
        route = request.route
        return route.candidates if route.is_in_order else self.orders.of(route, self.now())

    def saw_first_token(self, backend: Backend, seconds: float) -> None:
        """Take one time to first token."""
        latency = self.latencies.get(backend.name)
        if latency is not None:
            latency.saw(self.now(), seconds)

    def outliers(self, now: float) -> dict[str, float]:
        """Return 1 for each backend that is far slower than the others of its tier, else 0."""
        backends = self.policy.spec.backends
        medians = {b.name: self.latencies[b.name].median(now) for b in backends}
        marks = {}
        for backend in backends:
            others = [
                medians[b.name] for b in backends if b.tier == backend.tier and b is not backend
            ]
            known = sorted(median for median in others if median is not None)
            p95_s = self.latencies[backend.name].p95(now)
            slow = bool(known) and p95_s is not None and p95_s > OUTLIER * known[len(known) // 2]
            marks[backend.name] = float(slow)
        return marks

    def allows(self, backend: Backend, request: RoutedRequest) -> bool:
        """Whether the policy in force lets the request go to `backend`."""
        if request.route.reading.policy_digest == self._digest:
            return True
        again = self.decider.decide(request.scan.model, request.client_headers)
        # the whole backend is compared: the same name with another address is another backend
        return isinstance(again, Route) and backend in again.candidates

    def admit(self, backend: Backend, request: RoutedRequest) -> Any:
        """Return a permit, or why this candidate is not tried now."""
        name: str = backend.name
        if not self.allows(backend, request):
            return Skipped(name, "policy_changed")
        if name not in self._keyless and self.credentials.is_missing(backend):
            return Skipped(name, "credentials_missing")
        now = self.now()
        breaker = self.breakers[name]
        if name in self.unhealthy:
            wait_s = max(0.0, self.unhealthy[name] - now)
            return Skipped(name, "unhealthy", wait_s)
        if isinstance(breaker.state, Closed):
            permit = breaker.admit(now)
        elif request.whole:
            permit = breaker.admit(now, request.client, request.fingerprint())
        else:  # its verdict would be as far off as its client likes: no probe
            permit = None
        if permit is None:
            return Skipped(name, "breaker_open", breaker.retry_after(now))
        self.permits_out += 1
        return permit

    def may_begin(self, route: Route) -> bool:
        """Whether a request may begin before its body is whole: some candidate needs no probe."""
        return any(isinstance(self.breakers[b.name].state, Closed) for b in route.candidates)

    def takes_chunked(self, backend: Backend) -> bool:
        """Whether a body may go to `backend` in the chunked coding: it answers with HTTP/1.1."""
        peer = self.peers.get(backend.name)
        return peer is not None and peer.takes_chunked

    def wants_length(self, backend: Backend) -> None:
        """Remember that `backend` refuses a body without a length."""
        peer = self.peers.get(backend.name)
        if peer is not None:
            peer.wants_length = True

    def is_ready(self, backend: Backend, request: RoutedRequest) -> bool:
        """Whether a copy may go to `backend` now: it is healthy and its breaker closed."""
        return (
            self.allows(backend, request)
            and backend.name not in self.unhealthy
            and isinstance(self.breakers[backend.name].state, Closed)
            and not self.credentials.is_missing(backend)
        )

    def commit(self, attempt: Attempt, request: RoutedRequest) -> None:
        """The attempt answers: a probe ends there, and the attempt holds an ordinary permit."""
        breaker = self.breakers.get(attempt.name)
        if breaker is None:
            return
        permit = breaker.commit(attempt.permit, request.client, self.now())
        if permit is not attempt.permit:
            attempt.permit = permit
            self._closed(attempt)

    def settle(self, attempt: Attempt, how: Settlement, request: RoutedRequest) -> None:
        """Give a permit back to the breaker it came from."""
        self.permits_out -= 1
        breaker = self.breakers.get(attempt.name)
        if breaker is None:
            return
        if how == "succeeded":
            if breaker.succeed(attempt.permit, request.client, attempt.ended_s):
                self._closed(attempt)
        elif how == "failed":
            self._failed(breaker, attempt, request)
        else:
            breaker.release(attempt.permit)

    def _failed(self, breaker: Breaker, attempt: Attempt, request: RoutedRequest) -> None:
        name, code, status = attempt.backend.name, attempt.outcome, attempt.status
        assert code  # an attempt that failed has ended
        # Python keys its hash with a secret of this process
        asked = request.fingerprint() if request.whole else 0
        blame = Blame(request.client, asked, code, status)
        verdict = breaker.fail(attempt.permit, blame, attempt.ended_s)
        if verdict is not False:
            self.failures_counted[name] = self.failures_counted.get(name, 0) + 1
        if isinstance(verdict, Opened):
            attempt.opened = verdict
            self.log.opened(name, verdict)

    def _closed(self, attempt: Attempt) -> None:
        attempt.closed = True
        self.log.closed(attempt.backend.name)

    def deadlines(self, request: RoutedRequest, backend: Backend) -> Deadlines:
        """Return the deadlines in force for an attempt."""
        reading = request.route.reading
        key = (reading.rule_name, backend.name, reading.policy_digest)
        limits = self._limits.get(key)
        if limits is None:
            limits = resolve_deadlines(reading.rule, backend, self.policy.spec.proxy)
            self._limits[key] = limits
        return limits

    def may_repeat(self) -> bool:
        """Take one repeat from the budget."""
        return self.budget.take(self.now())

    def asks_usage(self, backend: Backend) -> bool:
        """Whether a stream may be asked for its usage where the client says nothing about it."""
        if backend.stream_usage == "auto":
            return not self._without_usage or backend.name not in self._without_usage
        return backend.stream_usage

    def refuses_usage(self, backend: Backend) -> None:
        """`backend` knows no `stream_options`: it is not asked again under this policy."""
        self._without_usage.add(backend.name)


def _keyless(policy: LoadedPolicy) -> frozenset[str]:
    """Return the backends that name no Secret: none of theirs can be missing."""
    return frozenset(
        b.name
        for b in policy.spec.backends
        if b.tls is None and (b.external is None or b.external.credentials_secret_ref is None)
    )
