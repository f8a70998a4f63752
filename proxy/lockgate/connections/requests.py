"""What a client's connection asks of the server: a base class, which the router implements.

A native base class, so that a compiled connection takes every heir of it, a test's too.
"""

from collections.abc import Callable

from lockgate.bodies.upload import Upload
from lockgate.connections.downstream import Downstream
from lockgate.connections.inbound import InboundRequest
from lockgate.connections.limiter import ConnectionLimiter
from lockgate.connections.timer_wheel import TimerWheel
from lockgate.doors import NO_RULES
from lockgate.errors.kinds import RejectedError
from lockgate.eventloop.later import Later
from lockgate.exchange.memory import MemoryBudget
from lockgate.http1.request_head import Head, Heads
from lockgate.value import mypyc_attr


@mypyc_attr(allow_interpreted_subclasses=True)  # a test's
class RequestHandler:
    """Takes the requests of every connection; here is also what the connections share.

    `keep_alive_s`: how long an idle connection stays. `min_read_rate`: bytes a second, at which a
    client must read. `stopping`: a connection closes when its response is complete.
    """

    def __init__(
        self,
        wheel: TimerWheel,
        later: Later,
        memory: MemoryBudget,
        connections: ConnectionLimiter,
        next_request_id: Callable[[], str],
    ) -> None:
        self.wheel = wheel
        self.later = later
        self.memory = memory
        self.connections = connections
        self.next_request_id = next_request_id
        self.heads = Heads(NO_RULES)
        self.keep_alive_s = 0.0
        self.min_read_rate = 0
        self.stopping = False

    def serve(self, connection: Downstream, received: InboundRequest) -> None:
        """Answer one whole request, now or later."""
        raise NotImplementedError

    def begin(self, connection: Downstream, head: Head, upload: Upload) -> bool:
        """Begin with a request whose body still arrives; return whether that was possible."""
        raise NotImplementedError

    def record_unserved(
        self,
        head: Head,
        rejection: RejectedError,
        request_id: str | None = None,
        *,
        bytes_in: int,
        answered: bool = False,
    ) -> None:
        """Record a request whose head was admitted and whose body never became a request."""
        raise NotImplementedError
