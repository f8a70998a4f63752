"""Whole requests of one connection that wait for their turn."""

from typing import Final

from twisted.logger import Logger

from lockgate.connections.inbound import InboundRequest
from lockgate.connections.requests import RequestHandler
from lockgate.errors.kinds import RejectedError

MOST: Final = 16
"""What one read brings is served so many at a time, and no more is read while they wait."""
MOST_HEAD_BYTES: Final = 128 * 1024
"""The same, where their heads are large."""
FIELD_BYTES: Final = 512
"""About what a field takes besides its text: a key, a value, a tuple of one."""
_log: Final = Logger("lockgate.pipeline")


class PipelinedRequests:
    """A queue of at most `MOST` requests; the memory budget has their bodies under `client`."""

    def __init__(self, handler: RequestHandler) -> None:
        self.client = ""
        self._handler = handler
        # lists, since they are short
        self._requests: list[InboundRequest] = []
        self._heads: list[int] = []  # about what each one's head takes
        self.head_bytes = 0

    def __len__(self) -> int:
        return len(self._requests)

    @property
    def is_full(self) -> bool:
        """Whether no other one may wait."""
        return len(self._requests) >= MOST or self.head_bytes >= MOST_HEAD_BYTES

    def add(self, received: InboundRequest, head_size: int) -> None:
        """A request is whole, whose head came as so many bytes."""
        takes = head_size + FIELD_BYTES * len(received.head.headers)
        self._requests.append(received)
        self._heads.append(takes)
        self.head_bytes += takes

    def next(self) -> InboundRequest:
        """Return the one whose turn it is."""
        self.head_bytes -= self._heads.pop(0)
        return self._requests.pop(0)

    def give_up(self, received: InboundRequest, why: RejectedError, request_id: str | None) -> None:
        """Give back what a request that is not served holds; its one record says why."""
        size = received.size
        self._handler.memory.release(size, self.client)
        answered = request_id is not None
        self._handler.record_unserved(
            received.head, why, request_id, bytes_in=size, answered=answered
        )

    def lost(self) -> None:
        """Give up every request: the connection is gone."""
        gone = RejectedError("client_gone")
        while self._requests:
            try:
                self.give_up(self.next(), gone, None)
            except Exception:  # noqa: BLE001 - the others are given up all the same
                _log.failure("a request that waited could not be recorded")
