"""What the connections of one turn of the reactor wrote, sent at its end."""

from typing import Any, Final

from twisted.logger import Logger

_log: Final = Logger("lockgate.outbox")


class Outbox:
    """Who was written to in this turn. `alone`: the turn serves one descriptor, nobody waits."""

    def __init__(self) -> None:
        self.written: list[Any] = []
        self.alone = False

    def append(self, transport: Any) -> None:
        """Call `transport.send_now` at the end of the turn."""
        self.written.append(transport)

    def empty(self) -> None:
        """Give the kernel what was written; what that has written too."""
        while self.written:
            written, self.written = self.written, []
            for transport in written:
                try:
                    transport.send_now()
                except Exception:  # noqa: BLE001 - one connection fails, the others' writes leave
                    _log.failure("sending failed")
                    transport.abortConnection()
