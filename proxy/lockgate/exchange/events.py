"""What can happen to an exchange. The shell turns each into exactly one of these values."""

from typing import ClassVar, Final, Literal, final

from lockgate.bodies.scan import Scan
from lockgate.errors.codes import Code
from lockgate.errors.kinds import RejectedError
from lockgate.http1.response_head import ResponseHead
from lockgate.value import Value

DeadlineName = Literal[
    "connect", "first_token", "silence", "idle", "total", "grace", "error_body", "heartbeat"
]
"""`grace`: what may follow a text that is whole; `error_body`: the words of an error; `heartbeat`:
the client is due a sign of life. These three fail nothing."""

FailureCode = Code | Literal["upstream_stale"]
"""Why an upstream failed; `upstream_stale`: a kept connection was dead before it took a byte."""


@final
class Start(Value):
    """The request was admitted and decided: begin."""


@final
class Connected(Value):
    """The dialled upstream connection is ready for the request's bytes."""

    __match_args__: ClassVar = ("reused",)

    def __init__(self, *, reused: bool) -> None:
        self.reused: Final = reused


@final
class BodyMore(Value):
    """More came of a body that goes up while it arrives."""


@final
class BodyWhole(Value):
    """That body is whole and has passed every check."""

    __match_args__: ClassVar = ("scan",)

    def __init__(self, scan: Scan) -> None:
        self.scan: Final = scan


@final
class BodyRejected(Value):
    """That body is refused: late, too large, broken, or not what it may be."""

    __match_args__: ClassVar = ("rejection",)

    def __init__(self, rejection: RejectedError) -> None:
        self.rejection: Final = rejection


@final
class UpstreamFailed(Value):
    """Dialling failed, or the connection broke. `code` says how."""

    __match_args__: ClassVar = ("code",)

    def __init__(self, code: FailureCode) -> None:
        self.code: Final = code


@final
class ResponseStarted(Value):
    """The upstream's final response head."""

    __match_args__: ClassVar = ("head",)

    def __init__(self, head: ResponseHead) -> None:
        self.head: Final = head


@final
class ResponseData(Value):
    """Body bytes of the response, de-chunked, never empty."""

    __match_args__: ClassVar = ("data",)

    def __init__(self, data: bytes) -> None:
        self.data: Final = data


@final
class ResponseWhole(Value):
    """All three at once: a response that came in one read, as most that are not streamed do."""

    __match_args__: ClassVar = ("head", "data")

    def __init__(self, head: ResponseHead, data: bytes) -> None:
        self.head: Final = head
        self.data: Final = data


@final
class ResponseEnded(Value):
    """The response's HTTP framing came to its clean end."""


@final
class DeadlinePassed(Value):
    """The deadline armed under this name was reached."""

    __match_args__: ClassVar = ("name",)

    def __init__(self, name: DeadlineName) -> None:
        self.name: Final = name


@final
class PauseOver(Value):
    """The pause asked for before a repeat is over."""


@final
class ClientGone(Value):
    """The client closed, reset, stalled or read too slowly; `cause` refines the terminal code."""

    __match_args__: ClassVar = ("cause",)

    def __init__(self, cause: Literal["", "stall", "slow"] = "") -> None:
        self.cause: Final = cause


@final
class Interrupted(Value):
    """The proxy itself ends this exchange."""

    __match_args__: ClassVar = ("code",)

    def __init__(self, code: Literal["draining", "internal"]) -> None:
        self.code: Final = code


Event = (
    Start
    | Connected
    | BodyMore
    | BodyWhole
    | BodyRejected
    | UpstreamFailed
    | ResponseStarted
    | ResponseData
    | ResponseWhole
    | ResponseEnded
    | DeadlinePassed
    | PauseOver
    | ClientGone
    | Interrupted
)

START: Final = Start()
ENDED: Final = ResponseEnded()
MORE: Final = BodyMore()
CONNECTED: Final = (Connected(reused=False), Connected(reused=True))
