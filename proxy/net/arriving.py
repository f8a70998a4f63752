"""A request between its head and the end of its body, and behind it."""

from typing import ClassVar, Final, final

from proxy.exchange.framing import ChunkedBody, LengthBody
from proxy.exchange.request_head import Head
from proxy.exchange.upload import EARLY_BYTES, Upload
from proxy.exchange.value import Value

BODY_S: Final = 30.0
BODY_RATE_BYTES: Final = 32 * 1024
"""Minimum rate: each of these received buys one more second."""


@final
class Arriving:
    """A request whose body is on its way. `begun`: an exchange has it already, and its memory."""

    def __init__(self, head: Head, framing: LengthBody | ChunkedBody, since: float) -> None:
        self.head: Final = head
        self.framing: Final = framing
        self.since: Final = since
        self.upload: Final = Upload()
        self.begun = False

    def left_s(self, now: float) -> float:
        """Return how long the body may still take: a minimum rate."""
        earned = BODY_S + self.upload.size / BODY_RATE_BYTES
        return max(self.since + earned - now, 0.0)

    @property
    def is_large(self) -> bool:
        """Whether the body may go up before it is whole."""
        framing, size = self.framing, self.upload.size
        expected = size + framing.left if isinstance(framing, LengthBody) else size
        return expected > EARLY_BYTES and self.head.door == "chat"


@final
class Received(Value):
    """A whole request."""

    __match_args__: ClassVar = ("head", "body")

    def __init__(self, head: Head, body: bytes) -> None:
        self.head: Final = head
        self.body: Final = body
