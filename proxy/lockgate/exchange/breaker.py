"""A breaker per backend: closed, open until a moment, or half-open with exactly one permit.

`lockgate.exchange.tally` says when it opens. The open time starts at a quarter of the quarantine,
doubles with each failed probe and never exceeds the quarantine; jitter only shortens it. Half-open
is a semaphore: one permit, handed back by `commit`, `succeed`, `fail` or `release`.

A breaker that one client's requests alone have opened, or those with one body, is shut to these:
any other may probe at once, and takes the permit over from a probe of theirs.

A permit remembers the breaker's epoch, which changes with each change of state: the late verdict of
a request from before counts for nothing.
"""

from collections.abc import Callable
from typing import ClassVar, Final, final

from attrs import frozen

from lockgate.exchange.tally import Blame, Suspect, Tally
from lockgate.value import Value

FIRST_SHARE: Final = 0.25
JITTER_SHARE: Final = 0.2


@frozen
class Closed:
    """Requests pass."""


@frozen
class Open:
    """No request passes before `until` (monotonic seconds); it was opened for `period_s`.

    `suspect`: whose requests opened it and to whom it is shut; None: to everybody.
    """

    until: float
    period_s: float
    suspect: Suspect | None = None


@frozen
class HalfOpen:
    """One probe decides; `permits` is 1 until it is taken. The rest is as it was open."""

    permits: int
    until: float
    period_s: float
    suspect: Suspect | None = None


State = Closed | Open | HalfOpen


@frozen
class Opened:
    """That a breaker opened for `seconds`, after which failures: words and how often each.

    `suspect`: whose requests alone they were.
    """

    seconds: float
    failures: dict[str, int]
    suspect: Suspect | None = None

    @property
    def shut_to(self) -> str:
        """To whom it is shut."""
        if self.suspect is None:
            return "everybody"
        return "one caller" if self.suspect.body is None else "one body"


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

    __slots__ = (
        "_by_another",
        "_epoch",
        "_jitter",
        "_permit",
        "_tally",
        "_well",
        "_well_at",
        "quarantine_s",
        "state",
    )

    def __init__(self, quarantine_s: float, jitter: Callable[[], float]) -> None:
        self.state: State = _CLOSED
        self.quarantine_s = quarantine_s
        self._jitter = jitter
        self._epoch = 0
        self._permit = Permit(0)
        self._by_another = False  # the probe is not of the suspect's
        self._tally = Tally()
        self._well = ""  # who was served last, and when
        self._well_at = 0.0

    def admit(self, now: float, client: str = "", body: int = 0) -> Permit | None:
        """Return a permit, None while the backend rests or its probe is out.

        `body` is a hash of what is asked; it matters only while the breaker is not closed.
        """
        state = self.state
        if isinstance(state, Closed):
            return self._permit
        suspect = state.suspect
        is_another = suspect is not None and suspect.is_another(client, body)
        if isinstance(state, HalfOpen) and state.permits == 0:
            if not is_another or self._by_another:
                return None
        elif now < state.until and not is_another:
            return None
        self._by_another = is_another
        self._change(HalfOpen(0, state.until, state.period_s, suspect))
        return Permit(self._epoch, probe=True)

    def commit(self, permit: Permit, client: str, now: float) -> Permit:
        """The attempt began to answer as it should: a good probe ends here, not with its stream.

        Returns the permit to hold until the attempt's end, which has a verdict of its own.
        """
        if not permit.probe or permit.epoch != self._epoch:
            return permit
        self.succeed(permit, client, now)
        return self._permit

    def succeed(self, permit: Permit, client: str, now: float) -> bool:
        """The attempt was answered as it should be. Returns whether that closed the breaker."""
        if permit.epoch != self._epoch:
            return False
        self._well, self._well_at = client, now
        if permit.probe:
            if self._by_another:
                self._tally.acquit(client, now, self.quarantine_s)
            else:
                self._tally.clear()
            self._change(_CLOSED)
            return True
        if self._tally.failures:
            self._tally.saw_good(client, now, self.quarantine_s)
        return False

    def fail(self, permit: Permit, blame: Blame, now: float) -> Opened | bool:
        """The attempt failed by the backend's fault.

        Returns what that opened, else whether it was news: a failure that counts.
        """
        if permit.epoch != self._epoch:
            return True
        state = self.state
        if isinstance(state, HalfOpen):
            return self._failed_again(state, blame, now)
        tally = self._tally
        well = self._well if now - self._well_at < 2 * self.quarantine_s else ""
        is_news = tally.saw_failure(blame, now, self.quarantine_s, well)
        if not is_news or not tally.condemns():
            return is_news
        failures, suspect = tally.reasons(), tally.suspect
        return self._open(now, self.quarantine_s * FIRST_SHARE, suspect, failures)

    def _failed_again(self, state: HalfOpen, blame: Blame, now: float) -> Opened:
        failures = {blame.reason: 1}
        if now < state.until:  # another fails too: it is shut to all, and for no longer
            self._change(Open(state.until, state.period_s))
            return Opened(state.until - now, failures)
        suspect = None if self._by_another else state.suspect
        return self._open(now, state.period_s * 2, suspect, failures)

    def release(self, permit: Permit) -> None:
        """The attempt ended without a verdict on the backend."""
        state = self.state
        if permit.probe and permit.epoch == self._epoch and isinstance(state, HalfOpen):
            self._change(HalfOpen(1, state.until, state.period_s, state.suspect))

    def close(self) -> None:
        """Begin anew: the backend is another one."""
        self._tally.clear()
        self._change(_CLOSED)

    def retry_after(self, now: float) -> float:
        """Return the seconds until a probe may be tried; 0 when one may be now."""
        state = self.state
        return max(0.0, state.until - now) if isinstance(state, Open) else 0.0

    def _open(
        self, now: float, period_s: float, suspect: Suspect | None, failures: dict[str, int]
    ) -> Opened:
        period = min(period_s, self.quarantine_s)
        shortened = period * (1 - JITTER_SHARE * self._jitter())
        self._change(Open(now + shortened, period, suspect))
        return Opened(shortened, failures, suspect)

    def _change(self, state: State) -> None:
        self.state = state
        self._epoch += 1
        self._permit = Permit(self._epoch)
