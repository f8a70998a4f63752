"""A caller as the reader of its answers: what waits for it, and whether it takes it in time.

Facts: what the kernel has is not taken; what the peer acknowledged is (`Transport.taken_bytes`).
What waits in this process is booked in the memory budget for as long as it waits.
"""

from collections.abc import Callable
from typing import Any, Final

from proxy.exchange.memory import MemoryBudget
from proxy.net.wheel import Timer, Wheel

STALL_S: Final = 30.0
"""How long a caller may take nothing while bytes wait for it."""
LOOK_S: Final = 1.0


class Reader:
    """Watches a caller that is behind, from `watch` to `over`.

    `caught_up` is called when nothing waits any more, `gave_up` once when it took nothing for too
    long.
    """

    def __init__(
        self,
        wheel: Wheel,
        memory: MemoryBudget,
        caught_up: Callable[[], None],
        gave_up: Callable[[], None],
    ) -> None:
        self.transport: Any = None
        self._wheel = wheel
        self._memory = memory
        self._caught_up = caught_up
        self._gave_up = gave_up
        self._look = Timer(wheel, self._looked)
        self._booked = 0
        self._taken, self._taken_at = -1, 0.0

    def has_yet_to_take(self, most: int) -> bool:
        """Give the kernel what was written; return whether more than `most` bytes are left."""
        transport = self.transport
        if transport.unsent_bytes > most:
            transport.send_now()
        return bool(transport.unsent_bytes > most)

    @property
    def is_watched(self) -> bool:
        """Whether it must take something in time."""
        return self._look.at is not None

    def watch(self) -> None:
        """Its side is full: it must take something in time."""
        self._book()
        self._taken = -1
        self._look.arm(LOOK_S)

    def over(self) -> None:
        """It took what waited, or nobody asks any more."""
        self._memory.give(self._booked)
        self._booked = 0
        self._look.disarm()

    def lost(self) -> None:
        """The connection is gone."""
        self.over()
        self._look.cancel()

    def _book(self) -> None:
        unsent = self.transport.unsent_bytes
        self._memory.book(unsent - self._booked)
        self._booked = unsent

    def _looked(self) -> None:
        """Look whether it took anything since the last look."""
        now, taken = self._wheel.now(), self.transport.taken_bytes
        self._book()
        if not self._booked:
            self.over()
            self._caught_up()
            return
        if taken != self._taken:
            self._taken, self._taken_at = taken, now
        elif now - self._taken_at >= STALL_S:
            self._gave_up()
            return
        self._look.arm(LOOK_S)
