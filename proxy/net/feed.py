"""Large request bodies on their way up, in slices, as fast as the upstream takes them."""

from collections import deque
from typing import Any, Final

from twisted.internet.interfaces import IPullProducer, IPushProducer
from zope.interface import classImplements

from proxy.exchange import commands as do
from proxy.exchange.answers import LAST_CHUNK, chunk
from proxy.exchange.upload import Outgoing
from proxy.net.upstream import Upstream

FEED_BYTES: Final = 256 * 1024
"""A larger body is given to its upstream in slices of this size, as it takes them."""


class Feed:
    """Gives a large body to a transport piece by piece, so that it is not copied as a whole."""

    def __init__(self, transport: Any, command: do.SendUp) -> None:
        self._transport = transport
        self._command = command
        self._at = 0  # in the original
        self._edits = deque(command.edits)

    def start(self) -> None:
        """Begin; the transport asks for more."""
        self._transport.registerProducer(self, False)

    def resumeProducing(self) -> None:
        """Everything so far was sent: the next slice."""
        original = self._command.original
        if self._edits and self._edits[0][0] - self._at <= FEED_BYTES:
            start, end, new = self._edits.popleft()
            self._transport.write(original[self._at : start] + new)
            self._at = end
            return
        piece = original[self._at : self._at + FEED_BYTES]
        self._at += len(piece)
        if piece:
            self._transport.write(piece)
        if self._at >= len(original) and not self._edits:
            self._transport.unregisterProducer()

    def stopProducing(self) -> None:
        """The connection is gone."""


class Lift:
    """Gives a body to an upstream as it comes: with its length, or in the chunked coding."""

    def __init__(self, upstream: Upstream, outgoing: Outgoing) -> None:
        self._upstream = upstream
        self._transport = upstream.transport
        self._outgoing = outgoing
        self._is_chunked = outgoing.length is None
        self._paused = False
        upstream.uploading = True

    def start(self) -> None:
        """Begin with what came so far."""
        self._transport.registerProducer(self, True)
        self.go_on()

    def go_on(self) -> None:
        """More came, or the upstream took what it had."""
        while not self._paused and self._upstream.uploading:
            data = self._outgoing.take(FEED_BYTES)
            if data:
                self._transport.write(chunk(data) if self._is_chunked else data)
            elif self._outgoing.done:
                if self._is_chunked:
                    self._transport.write(LAST_CHUNK)
                self._upstream.uploading = False
                self._transport.unregisterProducer()
            else:
                return

    def pauseProducing(self) -> None:
        """The upstream has enough for now."""
        self._paused = True

    def resumeProducing(self) -> None:
        """The upstream took it."""
        self._paused = False
        self.go_on()

    def stopProducing(self) -> None:
        """The connection is gone."""
        self._paused = True


classImplements(Feed, IPullProducer)
classImplements(Lift, IPushProducer)
