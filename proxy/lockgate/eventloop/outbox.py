"""What connections wrote in one turn of the reactor is sent at the end of that turn."""

from typing import Any, Final

from twisted.logger import Logger

_log: Final = Logger("lockgate.outbox")


class Outbox:
    """The transports with unsent writes, flushed at the end of the reactor's turn.

    `alone`: only one descriptor is ready in this turn, so that writes may be sent at once.
    """

    def __init__(self) -> None:
        self.written: list[Any] = []
        self.alone = False

    def append(self, transport: Any) -> None:
        """Call `transport.send_now` at the end of the turn."""
        self.written.append(transport)

    def empty(self) -> None:
        """Send what was written, and what is written while that is sent."""
        while self.written:
            written, self.written = self.written, []
            for transport in written:
                try:
                    transport.send_now()
                except Exception:  # noqa: BLE001 - one connection fails, the others' writes leave
                    _log.failure("sending failed")
                    transport.abortConnection()
