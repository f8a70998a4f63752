"""A breaker per backend: closed, open until a moment, or half-open with exactly one permit.

It opens after five counted failures in a row; the open time starts at a quarter of the quarantine,
doubles with each failed probe and never exceeds the quarantine; jitter only shortens it. Half-open
is a semaphore: one permit, handed back by `succeed`, `fail` or `release`.

A permit remembers the breaker's epoch, which changes with each change of state: the late verdict of
a request from before counts for nothing.
"""

from collections.abc import Callable
from typing import ClassVar, Final, final

from attrs import frozen

from proxy.exchange.value import Value

THRESHOLD: Final = 5
FIRST_SHARE: Final = 0.25
JITTER_SHARE: Final = 0.2


@frozen
class Closed:
    """Requests pass; `failures` counted ones came in a row."""

    failures: int = 0


@frozen
class Open:
    """No request passes before `until` (monotonic seconds); it was opened for `period_s`."""

    until: float
    period_s: float


@frozen
class HalfOpen:
    """One probe decides; `permits` is 1 until it is taken."""

    permits: int
    period_s: float


State = Closed | Open | HalfOpen


@final
class Permit(Value):
    """The right to try once. `probe` permits are the half-open one."""

    __match_args__: ClassVar = ("epoch", "probe")

    def __init__(self, epoch: int, *, probe: bool = False) -> None:
        self.epoch: Final = epoch
        self.probe: Final = probe


_CLOSED: Final = Closed()


class Breaker:
    """The breaker of one backend. `jitter` gives numbers in [0, 1); times are monotonic seconds."""

    __slots__ = ("_epoch", "_jitter", "_permit", "quarantine_s", "state")

    def __init__(self, quarantine_s: float, jitter: Callable[[], float]) -> None:
        self.state: State = _CLOSED
        self.quarantine_s = quarantine_s
        self._jitter = jitter
        self._epoch = 0
        self._permit = Permit(0)

    def admit(self, now: float) -> Permit | None:
        """Return a permit, None while the backend rests or its probe is out."""
        state = self.state
        if isinstance(state, Closed):
            return self._permit
        if isinstance(state, Open):
            if now < state.until:
                return None
            state = HalfOpen(1, state.period_s)
        if state.permits == 0:
            self.state = state
            return None
        self._change(HalfOpen(0, state.period_s))
        return Permit(self._epoch, probe=True)

    def commit(self, permit: Permit) -> Permit:
        """The attempt began to answer as it should: a good probe ends here, not with its stream.

        Returns the permit to hold until the attempt's end, which has a verdict of its own.
        """
        if permit.probe and permit.epoch == self._epoch:
            self._change(_CLOSED)
            return self._permit
        return permit

    def succeed(self, permit: Permit) -> None:
        """The attempt was answered as it should be."""
        if permit.epoch != self._epoch:
            return
        if permit.probe:
            self._change(_CLOSED)
        elif self.state is not _CLOSED:
            self.state = _CLOSED

    def fail(self, permit: Permit, now: float) -> None:
        """The attempt failed by the backend's fault."""
        if permit.epoch != self._epoch:
            return
        state = self.state
        if isinstance(state, HalfOpen):
            self._open(now, state.period_s * 2)
        elif isinstance(state, Closed):
            failures = state.failures + 1
            if failures >= THRESHOLD:
                self._open(now, self.quarantine_s * FIRST_SHARE)
            else:
                self.state = Closed(failures)

    def release(self, permit: Permit) -> None:
        """The attempt ended without a verdict on the backend."""
        if permit.probe and permit.epoch == self._epoch and isinstance(self.state, HalfOpen):
            self._change(HalfOpen(1, self.state.period_s))

    def retry_after(self, now: float) -> float:
        """Return the seconds until a probe may be tried; 0 when one may be now."""
        state = self.state
        return max(0.0, state.until - now) if isinstance(state, Open) else 0.0

    def _open(self, now: float, period_s: float) -> None:
        period = min(period_s, self.quarantine_s)
        shortened = period * (1 - JITTER_SHARE * self._jitter())
        self._change(Open(now + shortened, period))

    def _change(self, state: State) -> None:
        self.state = state
        self._epoch += 1
        self._permit = Permit(self._epoch)
