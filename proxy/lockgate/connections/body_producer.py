"""Large request bodies on their way up, in slices, as fast as the upstream takes them."""

from typing import Final

from twisted.internet.interfaces import IPushProducer
from zope.interface import classImplements

from lockgate.bodies.edits import EditedBody
from lockgate.connections.upstream import Upstream
from lockgate.exchange.render import LAST_CHUNK, chunk

FEED_BYTES: Final = 256 * 1024
"""A large body is given to its upstream in slices of this size, as it takes them."""


class BodyProducer:
    """Gives a body to an upstream as it comes: with its length, or in the chunked coding."""

    def __init__(self, upstream: Upstream, outgoing: EditedBody) -> None:
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


classImplements(BodyProducer, IPushProducer)
