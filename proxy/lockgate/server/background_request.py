"""One request of the proxy's own to a backend: its response is counted and thrown away.

Health checks and shadow copies go this way, so that they are bound by the same address policy, TLS
checks and parser as a client's request.
"""

from collections.abc import Callable
from functools import partial

from lockgate.connections.pool import ConnectionPool
from lockgate.connections.timer_wheel import Timer, TimerWheel
from lockgate.connections.upstream import Upstream
from lockgate.exchange import events as on


class BackgroundRequest:
    """Sends `request` at once; `done` gets the response's status, or the code of an error, once.

    The response may take `seconds` and have `max_bytes`; beyond either it is given up. `may_go` is
    asked before the first byte is sent: the policy may have changed since the dial began.
    """

    def __init__(  # noqa: PLR0913 - a request has this many sides
        self,
        wheel: TimerWheel,
        pool: ConnectionPool,
        request: bytes,
        *,
        seconds: float,
        max_bytes: int,
        done: Callable[[int | str], None],
        may_go: Callable[[], bool] = lambda: True,
    ) -> None:
        self._pool = pool
        self._request = request
        self._left_bytes = max_bytes
        self._done: Callable[[int | str], None] | None = done
        self._may_go = may_go
        self._status = 0
        self._upstream: Upstream | None = None
        self._timer = Timer(wheel, self._late)
        self._timer.arm(seconds)
        self._cancel = pool.dial(self._connected, self._end, partial(self._end, "internal"))

    def cancel(self) -> None:
        """Give it up; `done` is not called."""
        self._done = None
        self._cancel()
        self._end("cancelled")

    def _connected(self, upstream: Upstream, reused: bool) -> None:  # noqa: ARG002, FBT001
        self._upstream = upstream
        if not self._may_go():
            self._end("policy_changed")
            return
        upstream.send(self._request, self._events)

    def _events(self, events: list[on.Event]) -> None:
        for event in events:
            if isinstance(event, on.ResponseStarted):
                self._status = event.head.status
            elif isinstance(event, on.ResponseData):
                self._left_bytes -= len(event.data)
                if self._left_bytes < 0:
                    self._end("too_large")
            elif isinstance(event, on.ResponseWhole):
                self._whole(event.head.status)
            elif isinstance(event, on.ResponseEnded):
                self._whole(self._status)
            elif isinstance(event, on.UpstreamFailed | on.Interrupted):
                self._end(event.code)

    def _whole(self, status: int) -> None:
        upstream, self._upstream = self._upstream, None
        if upstream is not None:
            self._pool.release(upstream)
        self._end(status)

    def _late(self) -> None:
        self._cancel()
        self._end("timeout")

    def _end(self, result: int | str) -> None:
        self._timer.cancel()
        upstream, self._upstream = self._upstream, None
        if upstream is not None:
            upstream.abort()
        done, self._done = self._done, None
        if done is not None:
            done(result)
