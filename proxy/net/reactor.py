"""Twisted's epoll reactor with one outbox a turn, and without a log context for each event.

`twisted.python.log` wraps every read in a context that names the transport for old-style log lines.
This proxy's logs do not use it, and on its data path the wrapping is a tenth of the time.
"""

import errno
from select import EPOLLIN
from typing import Any

from twisted.internet import epollreactor
from twisted.internet.main import installReactor
from twisted.logger import Logger

_log = Logger("lockgate.reactor")


class DirectEPollReactor(epollreactor.EPollReactor):
    """Reads and writes are called directly; `_doReadOrWrite` itself logs what they raise.

    `outbox` holds the transports that were written to in this turn (`proxy.net.transport`).
    `alone` says that this turn serves one descriptor: nothing is gained by holding a write back.
    """

    def __init__(self) -> None:
        self.outbox: list[Any] = []
        self.alone = False
        super().__init__()

    def doPoll(self, timeout: float | None) -> None:
        """Send what timers wrote, wait once, serve what is ready, send what that wrote."""
        self._send_all()
        try:
            ready = self._poller.poll(
                -1 if timeout is None else timeout, len(self._selectables) + 1
            )
        except OSError as problem:
            if problem.errno == errno.EINTR:
                return
            raise
        selectables: Any = self._selectables
        self.alone = len(ready) == 1
        for descriptor, event in ready:
            selectable = selectables.get(descriptor)
            if selectable is None:
                continue
            if event == EPOLLIN:
                self._read(selectable)
            else:
                self._doReadOrWrite(selectable, descriptor, event)
        self.alone = False
        self._send_all()

    doIteration = doPoll

    def _read(self, selectable: Any) -> None:
        """Do what `_doReadOrWrite` does when there is something to read and nothing else."""
        try:
            why = selectable.doRead()
        except Exception as problem:  # noqa: BLE001 - as Twisted does: one connection is lost
            _log.failure("reading from {selectable}", selectable=selectable)
            why = problem
        if why:
            self._disconnectSelectable(selectable, why, True)

    def _send_all(self) -> None:
        while self.outbox:
            written, self.outbox = self.outbox, []
            for transport in written:
                transport.send_now()


def install() -> None:
    """Make it the process's reactor."""
    installReactor(DirectEPollReactor())
