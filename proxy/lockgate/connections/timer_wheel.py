"""Deadlines in coarse slots: arming is a set insertion, not a delayed call each.

A timer that is moved later stays in its slot and is moved on when the slot comes up, so the idle
deadline of a stream costs one attribute per event. The wheel turns only while it holds a timer.

After the process stood still (stopped, starved, blocked) what waited in the sockets is read before
any deadline is judged: a turn that comes late by more than a second fires nothing but the next one.
The next one fires, however late it is: a process whose every turn is slow has deadlines too.

What one callback does, to the wheel or by an exception, stops no other timer.
"""

from collections.abc import Callable
from typing import Any, Final

from twisted.logger import Logger

from lockgate.clock import Clock

SLOT_S: Final = 0.05
"""Resolution of a deadline; each is a bound in seconds, and half of this is its mean lateness."""


STALL_S: Final = 1.0
GRACE_S: Final = 0.5
_log = Logger("lockgate.wheel")


def _nobody() -> None:
    """Stand for an owner who has nothing to end."""


class Timer:
    """One deadline of one owner, re-armed as often as wanted. `at` is None when it is not armed.

    `reach` is called when it comes up; `broke` when that raised, to end what the owner does.
    """

    __slots__ = ("_broke", "_reach", "_slot", "_wheel", "at")

    def __init__(
        self, wheel: "TimerWheel", reach: Callable[[], None], broke: Callable[[], None] = _nobody
    ) -> None:
        self._wheel = wheel
        self._reach = reach
        self._broke = broke
        self._slot: int | None = None
        self.at: float | None = None

    def arm(self, seconds: float) -> float:
        """Call back `seconds` from now, instead of whenever it was armed for; return when."""
        wheel = self._wheel
        self.at = at = wheel.now() + seconds
        slot = int(at / SLOT_S) + 1
        held = self._slot
        if held is None or held > slot:
            if held is not None:
                wheel.remove(self, held)
            self._slot = slot
            wheel.insert(self, slot)
        return at

    def disarm(self) -> None:
        """Do not call back; the timer may be armed again. A lapse leaves no work but a look."""
        self.at = None

    def cancel(self) -> None:
        """Disarm and leave the wheel: the owner goes away."""
        self.at = None
        if self._slot is not None:
            self._wheel.remove(self, self._slot)
            self._slot = None

    def come_up(self, slot: int) -> None:
        """The wheel reached this timer's slot."""
        self._slot = None
        if self.at is None:
            return
        due = int(self.at / SLOT_S) + 1
        if due > slot:
            self._slot = due
            self._wheel.insert(self, due)
            return
        self.at = None
        try:
            self._reach()
        except Exception:  # noqa: BLE001 - one owner fails, every other deadline goes on (X6)
            _log.failure("a deadline's callback failed")
            self._broke()


class TimerWheel:
    """All timers of one proxy on the reactor's monotonic clock."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.now: Callable[[], float] = clock.seconds
        self._slots: dict[int, set[Timer]] = {}
        self._turn: Any | None = None
        self._expected = 0.0
        self._is_grace = False  # the last turn was late and fired nothing
        self.stalls = 0
        self.stalled_s = 0.0

    def __len__(self) -> int:
        """Return how many timers are armed."""
        return sum(timer.at is not None for timers in self._slots.values() for timer in timers)

    def insert(self, timer: Timer, slot: int) -> None:
        """Put `timer` into `slot`."""
        timers = self._slots.get(slot)
        if timers is None:
            self._slots[slot] = {timer}
            self._go_on()
        else:
            timers.add(timer)

    def remove(self, timer: Timer, slot: int) -> None:
        """Take `timer` out of `slot`."""
        timers = self._slots.get(slot)
        if timers is not None:
            timers.discard(timer)
            if not timers:
                del self._slots[slot]
                self._rest()

    def _tick(self) -> None:
        self._turn = None
        now = self.now()
        late_s = now - self._expected
        if late_s > STALL_S:
            self.stalls += 1
            self.stalled_s += late_s
            if not self._is_grace:
                self._is_grace = True
                self._go_on(GRACE_S)
                return
        self._is_grace = False
        current = int(now / SLOT_S)
        try:
            for slot in sorted(slot for slot in self._slots if slot <= current):
                # a callback may have emptied a later slot
                for timer in self._slots.pop(slot, ()):
                    self._come_up(timer, current)
        finally:
            self._go_on()

    @staticmethod
    def _come_up(timer: Timer, slot: int) -> None:
        try:
            timer.come_up(slot)
        except Exception:  # noqa: BLE001 - its owner could not be ended either
            _log.failure("a deadline is lost")

    def _go_on(self, seconds: float = SLOT_S) -> None:
        if self._slots and self._turn is None:
            self._expected = self.now() + seconds
            self._turn = self._clock.callLater(seconds, self._tick)

    def _rest(self) -> None:
        if not self._slots and self._turn is not None:
            self._turn.cancel()
            self._turn = None
