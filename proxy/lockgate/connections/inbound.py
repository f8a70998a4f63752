"""A request whose body is still arriving, and one that is complete."""

from typing import ClassVar, Final, final

from lockgate.bodies.scan import Scan
from lockgate.bodies.splices import scan
from lockgate.bodies.upload import EARLY_BYTES, Upload
from lockgate.http1.request_head import Head
from lockgate.value import Value

BODY_S: Final = 30.0
WHOLE_BYTES: Final = 256 * 1024
"""A body of up to this size is parsed when it is whole: in one turn, which delays no one else."""
FIRST_READ_BYTES: Final = 64 * 1024
"""A chunked body, whose length is not known, is parsed as it comes from this size on."""
BODY_RATE_BYTES: Final = 32 * 1024
"""Minimum rate: each of these received buys one more second."""


@final
class RequestInProgress:
    """A request whose body is on its way, `length` bytes of it (None: chunked).

    `begun`: an exchange has it already, and its memory.
    """

    def __init__(self, head: Head, length: int | None, since: float) -> None:
        self.head: Final = head
        self.length: Final = length
        self.since: Final = since
        self.upload: Final = _upload(head, length)
        self.begun = False

    def left_s(self, now: float) -> float:
        """Return how long the body may still take: a minimum rate."""
        earned = BODY_S + self.upload.size / BODY_RATE_BYTES
        return max(self.since + earned - now, 0.0)

    @property
    def is_large(self) -> bool:
        """Whether the body may go up before it is whole."""
        length = self.length
        expected = self.upload.size if length is None else length
        return expected > EARLY_BYTES and self.head.door == "chat"


def _upload(head: Head, length: int | None) -> Upload:
    """Return what takes a body: a large one is read as it comes."""
    read_from = FIRST_READ_BYTES if length is None else 0
    is_small = length is not None and length <= WHOLE_BYTES
    return Upload(read_from=None if is_small or head.door != "chat" else read_from, length=length)


@final
class InboundRequest(Value):
    """A whole request. A body that was read as it came is its `upload`, and `body` is empty."""

    __match_args__: ClassVar = ("head", "body", "upload")

    def __init__(self, head: Head, body: bytes, upload: Upload | None = None) -> None:
        self.head: Final = head
        self.body: Final = body
        self.upload: Final = upload

    @property
    def size(self) -> int:
        """The length of the body, which the memory budget is charged with."""
        return len(self.body) if self.upload is None else self.upload.size

    def scan(self) -> Scan:
        """Return what routing needs of the body, or raise RejectedError."""
        return scan(self.body) if self.upload is None else self.upload.scan()


def received(arriving: RequestInProgress) -> InboundRequest:
    """Return the request that came whole."""
    upload = arriving.upload
    if not upload.is_read:
        return InboundRequest(arriving.head, upload.joined())
    return InboundRequest(arriving.head, b"", upload)
