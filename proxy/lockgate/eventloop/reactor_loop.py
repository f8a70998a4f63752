"""The turns of the reactor, compiled, which a class that inherits from Twisted's cannot be.

A turn is Twisted's: timed calls, one wait, what is ready. Timed calls are looked for here and made
by Twisted, where one is due.
"""

import errno
from select import EPOLLIN
from typing import Any, Final

from twisted.logger import Logger

from lockgate.eventloop.outbox import Outbox
from lockgate.eventloop.transport import Transport

_READABLE: Final = int(EPOLLIN)
_LONGEST_S: Final = 2147483.0
"""epoll_wait(2) takes milliseconds as a C int."""
_log = Logger("lockgate.reactor")


def turn(reactor: Any, outbox: Outbox) -> None:
    """Take turns until the reactor stops; an exception of Twisted's own code gets out."""
    while reactor._started:
        timed = reactor._pendingTimedCalls
        wait_s = -1.0
        if reactor._newTimedCalls or reactor.threadCallQueue or reactor._justStopped:
            wait_s = 0.0
        elif timed:
            wait_s = min(max(timed[0].time - reactor.seconds(), 0.0), _LONGEST_S)
        if wait_s == 0.0:
            reactor.runUntilCurrent()
            due_s = reactor.timeout() if reactor.running else 0.0
            wait_s = -1.0 if due_s is None else due_s
        wait(reactor, outbox, wait_s)


def wait(reactor: Any, outbox: Outbox, wait_s: float) -> None:
    """Send what timers wrote, wait once (-1: as long as it takes), serve what is ready."""
    outbox.empty()
    try:
        ready = reactor._poller.poll(wait_s, len(reactor._selectables) + 1)
    except OSError as problem:
        if problem.errno != errno.EINTR:
            raise
    else:
        serve(reactor, reactor._selectables, ready, outbox)


def serve(
    reactor: Any, selectables: dict[int, Any], ready: list[tuple[int, int]], outbox: Outbox
) -> None:
    """Serve what is ready, then send what that wrote.

    What can only be read is read here; all else is Twisted's `_doReadOrWrite`.
    """
    outbox.alone = len(ready) == 1
    for descriptor, event in ready:
        selectable = selectables.get(descriptor)
        if selectable is None:
            continue
        if event == _READABLE:
            why = _read(selectable)
            if why:
                reactor._disconnectSelectable(selectable, why, True)
        else:
            reactor._doReadOrWrite(selectable, descriptor, event)
    outbox.alone = False
    outbox.empty()


def _read(selectable: Any) -> Any:
    """Do what `_doReadOrWrite` does when there is something to read and nothing else."""
    try:
        if isinstance(selectable, Transport):
            return selectable.doRead()
        return selectable.doRead()
    except Exception as problem:  # noqa: BLE001 - as Twisted does: one connection is lost
        _log.failure("reading from {selectable}", selectable=selectable)
        return problem
