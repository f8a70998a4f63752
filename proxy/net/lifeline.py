"""A worker's tie to its parent: the other end of its standard input."""

import os
from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IReadDescriptor
from twisted.python.failure import Failure
from zope.interface import implementer


@implementer(IReadDescriptor)
class Lifeline:
    """Calls `orphaned` once, when the parent is gone."""

    def __init__(self, reactor: Any, orphaned: Callable[[], None]) -> None:
        self._reactor = reactor
        self._orphaned = orphaned

    def fileno(self) -> int:
        """Standard input."""
        return 0

    def logPrefix(self) -> str:
        """Twisted's name for it."""
        return "lifeline"

    def doRead(self) -> None:
        """The parent writes nothing: what can be read is its end."""
        if not os.read(0, 1024):
            self._end()

    def connectionLost(self, reason: Failure) -> None:  # noqa: ARG002 - Twisted's signature
        """Its end came without a byte, or the reactor stops."""
        self._end()

    def _end(self) -> None:
        self._reactor.removeReader(self)
        orphaned, self._orphaned = self._orphaned, _nothing
        orphaned()


def _nothing() -> None:
    """It was told."""
