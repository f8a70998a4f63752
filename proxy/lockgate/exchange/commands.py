"""What an exchange asks of the shell. Executed in order; each is one thing done to one side."""

from typing import ClassVar, Final, final

from lockgate.bodies.edits import EditedBody, edited, growth
from lockgate.bodies.scan import Edit
from lockgate.exchange.events import DeadlineName
from lockgate.policy.spec.backends import Backend
from lockgate.value import Value


@final
class Dial(Value):
    """Get a connection to `backend`: answer with Connected or UpstreamFailed."""

    __match_args__: ClassVar = ("backend",)

    def __init__(self, backend: Backend) -> None:
        self.backend: Final = backend


@final
class SendUp(Value):
    """Write the request to the connected upstream: head rendered for `backend`, then the body.

    The body is `original` with `edits` made, which are in order: a large one need not be copied.
    """

    __match_args__: ClassVar = ("backend", "original", "edits")

    def __init__(self, backend: Backend, original: bytes, edits: tuple[Edit, ...]) -> None:
        self.backend: Final = backend
        self.original: Final = original
        self.edits: Final = edits

    @property
    def length(self) -> int:
        """How many bytes the edited body has."""
        return len(self.original) + growth(self.edits)

    @property
    def body(self) -> bytes:
        """The edited body."""
        return b"".join(self.pieces())

    def pieces(self) -> list[bytes]:
        """Return the edited body in pieces."""
        return edited(self.original, self.edits)


@final
class BeginUpload(Value):
    """Write the head of a request whose body is not whole yet, and what may go up of it."""

    __match_args__: ClassVar = ("backend", "outgoing")

    def __init__(self, backend: Backend, outgoing: EditedBody) -> None:
        self.backend: Final = backend
        self.outgoing: Final = outgoing


@final
class GoOnUploading(Value):
    """More of that body may go up."""


@final
class SendDown(Value):
    """Write these bytes to the client."""

    __match_args__: ClassVar = ("data",)

    def __init__(self, data: bytes) -> None:
        self.data: Final = data


@final
class Arm(Value):
    """Replace the attempt's phase deadline by this many seconds from now.

    `total` and `heartbeat` run beside it, each on a clock of its own.
    """

    __match_args__: ClassVar = ("name", "seconds")

    def __init__(self, name: DeadlineName, seconds: float) -> None:
        self.name: Final = name
        self.seconds: Final = seconds


@final
class Disarm(Value):
    """No deadline of the attempt runs: it waits for its client, who has one of their own."""


@final
class Watch(Value):
    """A stream goes on: its phase deadline is whichever of the two clocks comes up first.

    `silence_s` from the last byte, `idle_s` from the last data event.
    """

    __match_args__: ClassVar = ("silence_s", "idle_s")

    def __init__(self, silence_s: float, idle_s: float) -> None:
        self.silence_s: Final = silence_s
        self.idle_s: Final = idle_s


@final
class Touch(Value):
    """Data came: both clocks start anew."""


@final
class Stir(Value):
    """Bytes came that are no data, a comment: the clock of silence starts anew."""


@final
class Pause(Value):
    """Wait this many seconds, then report PauseOver. No deadline of an attempt runs meanwhile."""

    __match_args__: ClassVar = ("seconds",)

    def __init__(self, seconds: float) -> None:
        self.seconds: Final = seconds


@final
class Relay(Value):
    """The response is committed and goes on: couple the two sides' back-pressure."""


@final
class ReleaseUpstream(Value):
    """The response is whole: keep the connection where its tier and framing allow."""


@final
class DropUpstream(Value):
    """Cancel: abort the connection, or the attempt to get one."""


@final
class Finish(Value):
    """The response to the client is complete: serve the next request, or close in order."""

    __match_args__: ClassVar = ("close",)

    def __init__(self, *, close: bool) -> None:
        self.close: Final = close


@final
class Break(Value):
    """End the client's connection after what was written, without a clean end of the response."""


@final
class Ended(Value):
    """The exchange is over: write its one record. Exactly once; only Finish or Break follow."""


Command = (
    Dial
    | SendUp
    | BeginUpload
    | GoOnUploading
    | SendDown
    | Arm
    | Disarm
    | Watch
    | Touch
    | Stir
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
STIR: Final = Stir()
DISARM: Final = Disarm()
GO_ON: Final = GoOnUploading()
RELAY: Final = Relay()
RELEASE: Final = ReleaseUpstream()
DROP: Final = DropUpstream()
BREAK: Final = Break()
ENDED: Final = Ended()
FINISH: Final = (Finish(close=False), Finish(close=True))
