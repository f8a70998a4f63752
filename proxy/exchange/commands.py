"""What an exchange asks of the shell. Executed in order; each is one thing done to one side."""

from functools import lru_cache
from typing import Final

from attrs import frozen

from proxy.exchange.events import DeadlineName
from proxy.policy.backends import Backend


@frozen
class Dial:
    """Get a connection to `backend`: answer with Connected or UpstreamFailed."""

    backend: Backend


@frozen
class SendUp:
    """Write the request to the connected upstream: head rendered for `backend`, then `body`."""

    backend: Backend
    body: bytes


@frozen
class SendDown:
    """Write these bytes to the caller."""

    data: bytes


@frozen
class Arm:
    """Replace the attempt's phase deadline (or the total one) by this many seconds from now."""

    name: DeadlineName
    seconds: float


@frozen
class Touch:
    """Data came: the idle deadline starts anew."""


@frozen
class Pause:
    """Wait this many seconds, then report PauseOver. No deadline of an attempt runs meanwhile."""

    seconds: float


@frozen
class Relay:
    """The answer is committed and goes on: couple the two sides' back-pressure."""


@frozen
class ReleaseUpstream:
    """The answer is whole: keep the connection where its tier and framing allow."""


@frozen
class DropUpstream:
    """Cancel: abort the connection, or the attempt to get one."""


@frozen
class Finish:
    """The answer to the caller is complete: serve the next request, or close in order."""

    close: bool


@frozen
class Break:
    """End the caller's connection after what was written, without a clean end of the answer."""


@frozen
class Ended:
    """The exchange is over: write its one record. Exactly once; only Finish or Break follow."""


Command = (
    Dial
    | SendUp
    | SendDown
    | Arm
    | Touch
    | Pause
    | Relay
    | ReleaseUpstream
    | DropUpstream
    | Finish
    | Break
    | Ended
)

# the same values again and again: made once
TOUCH: Final = Touch()
RELAY: Final = Relay()
RELEASE: Final = ReleaseUpstream()
DROP: Final = DropUpstream()
BREAK: Final = Break()
ENDED: Final = Ended()
FINISH: Final = (Finish(close=False), Finish(close=True))
arm = lru_cache(maxsize=4096)(Arm)
"""Return the one `Arm` of these values; deadlines in force are few."""
