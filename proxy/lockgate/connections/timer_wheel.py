"""A timer wheel: deadlines in coarse slots, where arming costs a set insertion.

A timer that is moved later stays in its slot and is moved on when that slot expires, so the idle
deadline of a stream costs one attribute per event. The wheel ticks only while it holds a timer.

After the process stood still (stopped, starved, blocked) what waited in the sockets is read before
any deadline is judged: a tick that is late by more than a second expires nothing, and the next one
comes soon. That one expires what is due, however late it is: a process whose every tick is slow has
deadlines too.

What one callback does, to the wheel or by an exception, stops no other timer.
"""

from collections.abc import Callable
from typing import Any, Final

from twisted.logger import Logger

from lockgate.clock import Clock

SLOT_S: Final = 0.05
"""Resolution of a deadline; each is a bound in seconds, and half of this is its mean lateness."""
STALL_S: Final = 1.0
"""A tick that is later than this comes after a stall of the process."""
GRACE_S: Final = 0.5
"""How long after such a tick the next one comes."""
_log = Logger("lockgate.timers")


def _nothing() -> None:
    """Stand for an owner who has nothing to end."""


class Timer:
    """One deadline of one owner, armed as often as wanted. `at` is None when it is not armed.

    `reached` is called when it expires; `broke` when that raised, to end what the owner does.
    """

    __slots__ = ("_broke", "_reached", "_slot", "_wheel", "at")

    def __init__(
        self, wheel: "TimerWheel", reached: Callable[[], None], broke: Callable[[], None] = _nothing
    ) -> None:
        self._wheel = wheel
        self._reached = reached
        self._broke = broke
        self._slot: int | None = None
        self.at: float | None = None

    def arm(self, seconds: float) -> float:
        """Call back `seconds` from now, instead of whenever it was armed for; return when."""
        wheel = self._wheel
        self.at = at = wheel.now() + seconds
        slot = int(at / SLOT_S) + 1
        current = self._slot
        if current is None or current > slot:
            if current is not None:
                wheel.remove(self, current)
            self._slot = slot
            wheel.insert(self, slot)
        return at

    def disarm(self) -> None:
        """Do not call back; the timer may be armed again.

        It stays in its slot, and is dropped without a callback when that expires.
        """
        self.at = None

    def cancel(self) -> None:
        """Disarm and leave the wheel: the owner goes away."""
        self.at = None
        if self._slot is not None:
            self._wheel.remove(self, self._slot)
            self._slot = None

    def expire(self, slot: int) -> None:
        """Call back if the deadline passed; the wheel reached this timer's slot."""
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
            self._reached()
        except Exception:  # noqa: BLE001 - one owner fails, every other deadline goes on (X6)
            _log.failure("a deadline's callback failed")
            self._broke()


class TimerWheel:
    """Holds all timers of one proxy, on the reactor's monotonic clock.

    `stalls` counts how often the process stood still, `stalled_s` for how long in all.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.now: Callable[[], float] = clock.seconds
        self._slots: dict[int, set[Timer]] = {}
        self._tick_call: Any | None = None
        self._expected = 0.0
        self._is_grace = False  # the last tick was late and expired nothing
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
            self._schedule()
        else:
            timers.add(timer)

    def remove(self, timer: Timer, slot: int) -> None:
        """Take `timer` out of `slot`."""
        timers = self._slots.get(slot)
        if timers is not None:
            timers.discard(timer)
            if not timers:
                del self._slots[slot]
                self._unschedule()

    def _tick(self) -> None:
        self._tick_call = None
        now = self.now()
        late_s = now - self._expected
        if late_s > STALL_S:
            self.stalls += 1
            self.stalled_s += late_s
            if not self._is_grace:
                self._is_grace = True
                self._schedule(GRACE_S)
                return
        self._is_grace = False
        current = int(now / SLOT_S)
        try:
            for slot in sorted(slot for slot in self._slots if slot <= current):
                # a callback may have emptied a later slot
                for timer in self._slots.pop(slot, ()):
                    self._expire(timer, current)
        finally:
            self._schedule()

    @staticmethod
    def _expire(timer: Timer, slot: int) -> None:
        try:
            timer.expire(slot)
        except Exception:  # noqa: BLE001 - its owner could not be ended either
            _log.failure("a deadline is lost")

    def _schedule(self, seconds: float = SLOT_S) -> None:
        if self._slots and self._tick_call is None:
            self._expected = self.now() + seconds
            self._tick_call = self._clock.callLater(seconds, self._tick)

    def _unschedule(self) -> None:
        if not self._slots and self._tick_call is not None:
            self._tick_call.cancel()
            self._tick_call = None
