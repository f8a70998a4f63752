"""What can happen to an exchange. The shell turns each into exactly one of these values."""

from typing import Final, Literal

from attrs import frozen

DeadlineName = Literal["connect", "first_token", "idle", "total"]


@frozen
class Start:
    """The request was admitted and decided: begin."""


@frozen
class Connected:
    """The dialled upstream connection is ready for the request's bytes."""

    reused: bool


@frozen
class UpstreamFailed:
    """Dialling failed, or the connection broke. `code` is a key of `errors.KINDS`."""

    code: str


@frozen
class AnswerStarted:
    """The upstream's final answer head. Header names are lower-case."""

    status: int
    headers: list[tuple[bytes, bytes]]


@frozen
class AnswerData:
    """Body bytes of the answer, de-chunked, never empty."""

    data: bytes


@frozen
class AnswerWhole:
    """All three at once: an answer that came in one read, as most that are not streamed do."""

    status: int
    headers: list[tuple[bytes, bytes]]
    data: bytes


@frozen
class AnswerEnded:
    """The answer's HTTP framing came to its clean end."""


@frozen
class DeadlinePassed:
    """The deadline armed under this name was reached."""

    name: DeadlineName


@frozen
class PauseOver:
    """The pause asked for before a repeat is over."""


@frozen
class ClientGone:
    """The caller closed, reset or stalled; `cause` refines the terminal code."""

    cause: Literal["", "stall"] = ""


@frozen
class Interrupted:
    """The proxy itself ends this exchange."""

    code: Literal["draining", "internal"]


Event = (
    Start
    | Connected
    | UpstreamFailed
    | AnswerStarted
    | AnswerData
    | AnswerWhole
    | AnswerEnded
    | DeadlinePassed
    | PauseOver
    | ClientGone
    | Interrupted
)

START: Final = Start()
ENDED: Final = AnswerEnded()
CONNECTED: Final = (Connected(reused=False), Connected(reused=True))
