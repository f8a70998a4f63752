"""A client's connection as the server sees it, and who on the server's side hears from it.

The base classes are native ones: compiled, a call through them costs next to nothing, and nobody
above has to be imported here. `lockgate.connections.client` has the connection itself.
"""

from typing import Final, Literal

from lockgate.bodies.upload import Upload
from lockgate.connections.inbound import InboundRequest, RequestInProgress
from lockgate.connections.timer_wheel import Timer, TimerWheel
from lockgate.errors.kinds import RejectedError
from lockgate.eventloop.transport import Connection

READY: Final = 0
"""No request is being served."""
SERVING: Final = 1
"""One request is being served, and its response is not complete."""
CLOSING: Final = 2
"""Nothing more is read or served; what was written may still leave."""
LOST: Final = 3
"""There is no connection any more."""

LostBy = Literal["", "stall", "slow"]
"""How a client was lost: it closed, it took nothing for too long, or it took too little."""


class DownstreamListener:
    """Serves the request in hand of one connection, and hears what its client does meanwhile."""

    __slots__ = ()

    def body_more(self) -> None:
        """More of the request's body came."""
        raise NotImplementedError

    def body_whole(self, upload: Upload) -> None:
        """All of the request's body came."""
        raise NotImplementedError

    def body_rejected(self, rejection: RejectedError) -> None:
        """The rest of the request's body is refused."""
        raise NotImplementedError

    def client_gone(self, cause: LostBy = "") -> None:
        """The client is lost."""
        raise NotImplementedError

    def phase_reached(self) -> None:
        """The connection's phase timer expired."""
        raise NotImplementedError

    def broke(self) -> None:
        """A callback of the connection raised, which is logged: a fault of ours."""
        raise NotImplementedError


class Downstream(Connection):
    """One client's connection: what may be asked of it while a request of its is served.

    `peer` tells clients apart. `idle_since` is when it connected, or last got a whole response.
    `state` is READY, SERVING, CLOSING or LOST. `in_hand` is a request that is being served, until
    it has its response or a `listener`, which may use `phase_timer` for as long as it has it.
    """

    def __init__(self, wheel: TimerWheel) -> None:
        super().__init__()
        self.peer = ""
        self.idle_since = 0.0
        self.state = READY
        self.in_hand: InboundRequest | None = None
        self.listener: DownstreamListener | None = None
        self.phase_timer = Timer(wheel, self._phase_reached, self.broke)

    @property
    def is_lost(self) -> bool:
        """Whether there is no connection any more."""
        return self.state == LOST

    def _phase_reached(self) -> None:
        if self.listener is not None:
            self.listener.phase_reached()

    def send(self, data: bytes) -> None:
        """Write a part of the response."""
        raise NotImplementedError

    def finished(self, *, close: bool) -> None:
        """Go on with the next request, or close: the response is complete."""
        raise NotImplementedError

    def break_off(self, *, http10: bool) -> None:
        """End the connection so that the client cannot take the response for a whole one."""
        raise NotImplementedError

    def watch_stall(self) -> None:
        """Lose the client unless it reads on: its side is full."""
        raise NotImplementedError

    def stall_over(self) -> None:
        """Wait no longer for the client to read: it did, or that does not matter any more."""
        raise NotImplementedError

    def close_if_idle(self) -> None:
        """Close, unless a request is being served: the proxy drains."""
        raise NotImplementedError

    @property
    def is_idle(self) -> bool:
        """Whether no request of its waits for a response, and nothing is to be sent."""
        raise NotImplementedError


class Arrivals(Downstream):
    """A connection as what reads its requests uses it."""

    def begin(self, arriving: RequestInProgress) -> None:
        """Begin with a request whose body still arrives, if it is its turn."""
        raise NotImplementedError

    def complete(self, upload: Upload) -> None:
        """Go on with the request that was begun: its body is whole."""
        raise NotImplementedError
