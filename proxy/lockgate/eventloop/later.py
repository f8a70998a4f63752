"""Work that is put off to later turns of the reactor, a little in each.

A turn serves whoever is ready; a client that is served in several turns comes back here. However
many do, a turn spends no more than a hundredth of a second on this, so that others are served too.
"""

from collections import deque
from collections.abc import Callable
from typing import Final

from twisted.logger import Logger

from lockgate.clock import Clock

TURN_S: Final = 0.01
_log: Final = Logger("lockgate.later")


class Later:
    """Calls what is appended, in order, each once and in a later turn."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._calls: deque[Callable[[], None]] = deque()

    def __len__(self) -> int:
        return len(self._calls)

    def append(self, call: Callable[[], None]) -> None:
        """Call `call` in a later turn."""
        if not self._calls:
            self._clock.callLater(0, self._turn)
        self._calls.append(call)

    def _turn(self) -> None:
        calls, until = self._calls, self._clock.seconds() + TURN_S
        for _ in range(len(calls)):  # what is added now waits for the next turn
            try:
                calls[0]()
            except Exception:  # noqa: BLE001 - one connection fails, the others go on
                _log.failure("work that was put off to a later turn failed")
            calls.popleft()
            if self._clock.seconds() >= until:
                break
        if calls:
            self._clock.callLater(0, self._turn)
