"""Finds clients that read their responses too slowly, or not at all.

Facts: what the kernel has is not read; what the peer acknowledged is (`Transport.taken_bytes`).
What waits in this process is booked in the memory budget for as long as it waits.

Decisions: a client that reads nothing for 30 s while bytes wait for it is lost ("stall"), and so is
one that reads less than `proxy.minReadRate` over a minute of waiting ("slow"). Only the time counts
in which bytes wait: who is given little cannot read much.
"""

from collections.abc import Callable
from typing import Any, Final, Literal

from lockgate.connections.requests import RequestHandler
from lockgate.connections.timer_wheel import Timer

STALL_S: Final = 30.0
"""How long a client may read nothing while bytes wait for it."""
RATE_S: Final = 60.0
"""Over so long a time of waiting its rate is judged."""
LOOK_S: Final = 1.0


class SlowClientWatch:
    """Watches a client that is behind, from `watch` to `over`.

    `caught_up` is called when nothing waits any more, `gave_up` once, when it is lost.
    """

    def __init__(
        self,
        handler: RequestHandler,
        caught_up: Callable[[], None],
        gave_up: Callable[[Literal["stall", "slow"]], None],
        broke: Callable[[], None],
    ) -> None:
        self._handler = handler
        self._caught_up = caught_up
        self._gave_up = gave_up
        self._look = Timer(handler.wheel, self._looked, broke)
        self._transport: Any = None
        self._client = ""
        self._booked = 0
        self._taken = 0  # at the last look
        self._looked_at = 0.0
        self._moved_at = 0.0  # when it last took something
        self._waited_s = 0.0  # of the minute whose rate is judged
        self._took = 0  # in that time

    def attend(self, transport: Any, client: str) -> None:
        """Watch over what `client` takes of `transport` from now on."""
        self._transport = transport
        self._client = client

    def flush(self, most: int) -> bool:
        """Give the kernel what was written; return whether more than `most` bytes are left."""
        transport = self._transport
        if transport.unsent_bytes > most:
            transport.send_now()
        return bool(transport.unsent_bytes > most)

    def flush_all(self) -> bool:
        """Give the kernel what was written; return whether the client acknowledged all of it."""
        transport = self._transport
        return not self.flush(0) and transport.taken_bytes >= transport.sent_bytes

    def watch(self) -> None:
        """Its side is full: it must take something in time. Does nothing where it is watched."""
        if self._look.at is not None:
            return
        self._book(self._transport.unsent_bytes)
        self._taken = self._transport.taken_bytes
        self._looked_at = self._moved_at = self._handler.wheel.now()
        self._look.arm(LOOK_S)

    def over(self) -> None:
        """Stop watching: it read what waited, or that does not matter any more."""
        if self._look.at is not None:
            self._measure()
            self._look.disarm()
        self._book(0)

    def lost(self) -> None:
        """The connection is gone."""
        self._look.cancel()
        self._book(0)

    def _book(self, unsent: int) -> None:
        if unsent != self._booked:
            self._handler.memory.charge(unsent - self._booked, self._client)
            self._booked = unsent

    def _measure(self) -> None:
        now, taken = self._handler.wheel.now(), self._transport.taken_bytes
        if taken != self._taken:
            self._moved_at = now
        self._took += taken - self._taken
        self._waited_s += now - self._looked_at
        self._taken, self._looked_at = taken, now

    def _looked(self) -> None:
        """Look what it took since the last look."""
        self._look.arm(LOOK_S)
        self._measure()
        self._book(self._transport.unsent_bytes)
        if not self._booked:
            self.over()
            self._caught_up()
        elif self._looked_at - self._moved_at >= STALL_S:
            self._lose("stall")
        elif self._waited_s >= RATE_S:
            if self._took < self._handler.min_read_rate * self._waited_s:
                self._lose("slow")
            self._waited_s, self._took = 0.0, 0

    def _lose(self, cause: Literal["stall", "slow"]) -> None:
        self._look.disarm()
        self._gave_up(cause)
