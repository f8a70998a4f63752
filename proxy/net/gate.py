"""What exchanges share: breakers, credentials, the policy in force, the retry budget.

The one implementation of `proxy.exchange.ports.Ports`. A candidate of an older decision is tried
only while the policy in force would still allow it.
"""

import random
from collections.abc import Callable
from typing import Any

from proxy.exchange.admitted import Admitted
from proxy.exchange.breaker import Breaker
from proxy.exchange.deadlines import Deadlines, resolve_deadlines
from proxy.exchange.ports import Settlement, Skipped
from proxy.exchange.retry_budget import RetryBudget
from proxy.govern.credentials import Credentials
from proxy.policy.backends import Backend
from proxy.policy.decide import Decider
from proxy.policy.decision import Route
from proxy.policy.loaded import LoadedPolicy


class Gate:
    """See the module's text. `now` is monotonic; `policy` and `decider` change at a reload."""

    def __init__(
        self,
        now: Callable[[], float],
        policy: LoadedPolicy,
        credentials: Credentials,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.now = now
        self.credentials = credentials
        self.jitter = jitter
        self.budget = RetryBudget()
        self.breakers: dict[str, Breaker] = {}
        self.adopt(policy)

    def adopt(self, policy: LoadedPolicy) -> None:
        """Put `policy` in force; breakers of backends that stay keep their state."""
        self.policy = policy
        self.decider = Decider(policy)
        self.retry_after_max_s = policy.spec.proxy.retry_after_max
        self._limits: dict[tuple[str | None, str, str], Deadlines] = {}
        quarantine_s = policy.spec.proxy.quarantine_duration
        kept = self.breakers
        self.breakers = {
            b.name: kept.get(b.name) or Breaker(quarantine_s, self.jitter)
            for b in policy.spec.backends
        }

    def admit(self, backend: Backend, request: Admitted) -> Any:
        """Return a permit, or why this candidate is not tried now."""
        if not self._still_allowed(backend, request):
            return Skipped(backend.name, "policy_changed")
        if self.credentials.is_missing(backend):
            return Skipped(backend.name, "credentials_missing")
        now = self.now()
        breaker = self.breakers[backend.name]
        permit = breaker.admit(now)
        if permit is None:
            return Skipped(backend.name, "breaker_open", breaker.retry_after(now))
        return permit

    def settle(self, backend: Backend, permit: Any, how: Settlement) -> None:
        """Give a permit back to the breaker it came from."""
        breaker = self.breakers.get(backend.name)
        if breaker is None:
            return
        if how == "succeeded":
            breaker.succeed(permit)
        elif how == "failed":
            breaker.fail(permit, self.now())
        else:
            breaker.release(permit)

    def deadlines(self, request: Admitted, backend: Backend) -> Deadlines:
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

    def _still_allowed(self, backend: Backend, request: Admitted) -> bool:
        if request.route.reading.policy_digest == self.policy.digest:
            return True
        again = self.decider.decide(request.scan.model, request.caller_headers)
        # the whole backend is compared: the same name with another address is another backend
        return isinstance(again, Route) and backend in again.candidates
