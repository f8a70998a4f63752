"""Twisted's epoll reactor with one outbox a turn, and without a log context for each event.

`twisted.python.log` wraps every read in a context that names the transport for old-style log lines.
This proxy's logs do not use it, and on its data path the wrapping is a tenth of the time.
"""

from twisted.internet import epollreactor
from twisted.internet.main import installReactor
from twisted.logger import Logger

from lockgate.eventloop.outbox import Outbox
from lockgate.eventloop.reactor_loop import turn, wait

_log = Logger("lockgate.reactor")


class DirectEPollReactor(epollreactor.EPollReactor):
    """Reads and writes are called directly; `_doReadOrWrite` itself logs what they raise.

    `outbox` holds the transports that were written to in this turn (`lockgate.eventloop.outbox`).
    """

    def __init__(self) -> None:
        self.outbox = Outbox()
        super().__init__()  # type: ignore[no-untyped-call] # Twisted has no types for it

    @property
    def alone(self) -> bool:
        """Whether this turn serves one descriptor."""
        return self.outbox.alone

    def mainLoop(self) -> None:
        """Take turns until stopped, whatever one of them raises."""
        while self._started:
            try:
                turn(self, self.outbox)
            except Exception:  # noqa: BLE001 - as Twisted does: what is left goes on
                _log.failure("unexpected error in the main loop")

    def doPoll(self, timeout: float | None) -> None:
        """Wait for events once, for code that runs the loop step by step (`iterate`)."""
        wait(self, self.outbox, -1.0 if timeout is None else timeout)

    doIteration = doPoll


def install() -> None:
    """Make it the process's reactor."""
    installReactor(DirectEPollReactor())  # type: ignore[no-untyped-call] # Twisted has no types for it
