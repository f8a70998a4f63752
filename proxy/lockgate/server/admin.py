"""The admin port: /metrics, /healthz and /readyz[?verbose]. Nothing secret, nothing that acts.

Who may look must not be able to starve who calls. A page that costs something is made at most once
a second and kept between; a connection gets an answer each ten milliseconds, and none while it has
not taken the last one; at most 64 are open, and the one that is idle longest makes room. Nothing
but a head is read: a request that announces a body is refused and its connection closed, so that
there is nothing to keep anywhere.
"""

import re
from collections.abc import Callable
from typing import Any, Final

from attrs import frozen
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IPushProducer
from twisted.internet.protocol import Protocol, ServerFactory, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from lockgate.server.readiness import Check, told

KEPT_S: Final = 1.0
PACE_S: Final = 0.01
IDLE_S: Final = 10.0
LINGER_S: Final = 1.0
"""How long what still comes is thrown away after a refusal, so that the answer is not reset."""
MAX_HEAD_BYTES: Final = 16 * 1024
MAX_CONNECTIONS: Final = 64
CHANCE_S: Final = 0.25
"""So long a connection has to ask before it may be closed for a new one."""
MOST_CONNECTIONS: Final = 4 * MAX_CONNECTIONS
"""With as many that are younger than that, a new one is closed."""
REASONS: Final = {
    200: "OK", 400: "Bad Request", 404: "Not Found", 405: "Method Not Allowed",
    413: "Content Too Large", 431: "Request Header Fields Too Large",
    500: "Internal Server Error", 503: "Service Unavailable",
}  # fmt: skip
_LINE: Final = re.compile(rb"([A-Z]+) (/[!-~]*) HTTP/1\.([01])\Z")
_FIELD: Final = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\x00-\x08\x0a-\x1f\x7f]*)\Z")
_log = Logger("lockgate.admin")


@frozen
class Page:
    """What is answered."""

    status: int
    body: bytes
    kind: str = "text/plain"


class Kept:
    """A page that is made at most once in `seconds`; whoever asks meanwhile gets the same one."""

    def __init__(self, clock: Any, make: Callable[[], Any], seconds: float | None = None) -> None:
        self._clock = clock
        self._make = make
        self._seconds = KEPT_S if seconds is None else seconds
        self._held: Any = None
        self._until = float("-inf")
        self._waiting: list[Deferred[Any]] | None = None

    def get(self) -> "Deferred[Any]":
        """Return what is kept, or what is made of it now."""
        done: Deferred[Any] = Deferred()
        if self._waiting is not None:
            self._waiting.append(done)
        elif self._clock.seconds() < self._until:
            done.callback(self._held)
        else:
            self._waiting = [done]
            maybeDeferred(self._make).addBoth(self._made)
        return done

    def _made(self, made: Any) -> None:
        waiting, self._waiting = self._waiting or [], None
        self._held = made
        self._until = self._clock.seconds() + self._seconds
        for done in waiting:
            done.callback(made)


class Admin(ServerFactory):
    """Serves the admin port: metrics, health and readiness.

    `metrics` gives the exposition text in bytes, `checks` what a readiness probe looks at; either
    may return a Deferred.
    """

    noisy = False

    def __init__(self, clock: Any, metrics: Callable[[], Any], checks: Callable[[], Any]) -> None:
        self.clock = clock
        self.connections: dict[_Connection, None] = {}
        self._checks = checks
        self._metrics = Kept(clock, metrics)

    def buildProtocol(self, addr: Any) -> "_Connection | None":  # noqa: ARG002 - Twisted's signature
        """Return a connection; at the limit another is closed for it: a probe must get through."""
        if len(self.connections) >= MAX_CONNECTIONS:
            before_s = self.clock.seconds() - CHANCE_S
            old = [c for c in self.connections if c.since_s <= before_s]
            idle = (c for c in old if c.is_idle)
            victim = next(idle, old[0] if old else None)
            if victim is not None:
                victim.abort()
            elif len(self.connections) >= MOST_CONNECTIONS:
                return None
        return _Connection(self)

    def page(self, path: bytes, query: bytes = b"") -> "Deferred[Page] | Page":
        """Return the page at `path`; the query `verbose` is known at /readyz."""
        if path == b"/healthz":
            return Page(200, b"ok\n")
        if path == b"/readyz":
            verbose = query.partition(b"=")[0] == b"verbose"
            return maybeDeferred(self._checks).addCallback(_readiness, verbose=verbose)
        if path == b"/metrics":
            return self._metrics.get().addCallback(_exposition)
        return Page(404, b"not found\n")


def _readiness(checks: list[Check], *, verbose: bool) -> Page:
    status, text = told(checks, verbose=verbose)
    return Page(status, text.encode())


def _exposition(body: bytes) -> Page:
    return Page(200, body, "text/plain; version=0.0.4")


@implementer(IPushProducer)
class _Connection(Protocol):
    """One connection: heads in, pages out, one at a time."""

    def __init__(self, admin: Admin) -> None:
        self._admin = admin
        self.since_s: float = admin.clock.seconds()
        self._held = b""
        self._busy = False  # an answer is being made, or may not begin yet
        self._blocked = False  # the last one was not taken yet
        self._over = False
        self._timer: Any = None

    @property
    def is_idle(self) -> bool:
        """Whether nothing is asked for."""
        return not self._busy and not self._held

    def abort(self) -> None:
        """End it at once."""
        self._admin.connections.pop(self, None)
        self._transport.abortConnection()

    @property
    def _transport(self) -> Any:
        return self.transport

    def connectionMade(self) -> None:
        """Wait for a head."""
        self._admin.connections[self] = None
        self._transport.registerProducer(self, streaming=True)
        self._wait(IDLE_S)

    def connectionLost(self, reason: Failure = connectionDone) -> None:  # noqa: ARG002
        """It is over."""
        self._over = True
        self._admin.connections.pop(self, None)
        self._wait(None)

    def pauseProducing(self) -> None:
        """Read no more of a client that does not take its page."""
        self._blocked = True

    def resumeProducing(self) -> None:
        """It has read."""
        self._blocked = False
        self._next()

    def stopProducing(self) -> None:
        """It is gone."""
        self._over = True

    def dataReceived(self, data: bytes) -> None:
        """Take bytes of a head."""
        if self._over:
            return
        self._held += data
        if len(self._held) > MAX_HEAD_BYTES and (self._busy or self._blocked):
            self._transport.pauseProducing()  # what it sends beyond that stays in its own buffers
        self._next()

    def _next(self) -> None:
        if self._busy or self._blocked or self._over:
            return
        head, end, rest = self._held.partition(b"\r\n\r\n")
        if len(head) > MAX_HEAD_BYTES:
            self._refuse(431, "the head is too long")
        elif end:
            self._held = rest
            self._transport.resumeProducing()
            self._asked(head)

    def _asked(self, head: bytes) -> None:
        start, *lines = head.split(b"\r\n")
        line = _LINE.match(start)
        fields = [_FIELD.match(one) for one in lines]
        if line is None or not all(fields):
            self._refuse(400, "this is no request")
            return
        named = [(f[1].lower(), f[2].strip().lower()) for f in fields if f is not None]
        lengths = {value for name, value in named if name == b"content-length"}
        body = any(name == b"transfer-encoding" for name, _ in named) or lengths - {b"0"}
        if line[1] not in {b"GET", b"HEAD"}:
            self._refuse(405, "only GET and HEAD", "allow: GET, HEAD\r\n")
        elif body:
            self._refuse(413, "no bodies here")
        else:
            wish = b",".join(value for name, value in named if name == b"connection")
            tokens = {token.strip() for token in wish.split(b",")}
            close = b"close" in tokens or (line[3] == b"0" and b"keep-alive" not in tokens)
            self._response(line[1] == b"HEAD", line[2], close=close)

    def _response(self, bare: bool, target: bytes, *, close: bool) -> None:  # noqa: FBT001
        self._busy = True
        self._wait(None)
        path, _, query = target.partition(b"?")

        def failed(failure: Failure) -> Page:
            _log.failure("an admin page could not be made", failure=failure)
            return Page(500, b"no page\n")

        page: Deferred[Any] = maybeDeferred(self._admin.page, path, query)
        page.addErrback(failed).addCallback(self._give, bare=bare, close=close)

    def _give(self, page: Page, *, bare: bool, close: bool) -> None:
        if self._over:
            return
        self._send(page, bare=bare, close=close)
        if close:
            self._over = True
            self._transport.unregisterProducer()
            self._transport.loseConnection()
            self._wait(IDLE_S)
        else:
            self._admin.clock.callLater(PACE_S, self._paced)

    def _paced(self) -> None:
        if self._over:
            return
        self._busy = False
        self._admin.connections.pop(self, None)
        self._admin.connections[self] = None  # the longest idle one stands first
        self.since_s = self._admin.clock.seconds()
        self._wait(IDLE_S)
        self._next()

    def _refuse(self, status: int, text: str, more: str = "") -> None:
        """Answer, close our side, and throw away what still comes for a moment."""
        self._send(Page(status, f"{text}\n".encode()), bare=False, close=True, more=more)
        self._over = True
        self._held = b""
        self._transport.unregisterProducer()
        self._transport.resumeProducing()
        self._transport.loseWriteConnection()
        self._wait(LINGER_S)

    def _send(self, page: Page, *, bare: bool, close: bool, more: str = "") -> None:
        head = (
            f"HTTP/1.1 {page.status} {REASONS[page.status]}\r\ncontent-type: {page.kind}\r\n"
            f"content-length: {len(page.body)}\r\n{more}"
            + ("connection: close\r\n\r\n" if close else "\r\n")
        )
        self._transport.writeSequence([head.encode(), b"" if bare else page.body])

    def _wait(self, seconds: float | None) -> None:
        """Give the connection so long; None for as long as it takes."""
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None
        if seconds is not None:
            self._timer = self._admin.clock.callLater(seconds, self.abort)
