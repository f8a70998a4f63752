"""One budget over all bodies and buffers of a process.

A request's body is taken from it before it is read, and a caller for whom there is no room is told
to come back: 503 with Retry-After. What an exchange must hold on the way (an answer before its
commit point, the text kept for resuming, what a slow reader did not take) is booked without asking,
since it is bounded for each exchange, and leaves less room for the next body.
"""

from typing import Final

RETRY_AFTER_S: Final = 1
"""Bodies are held for the length of an exchange: seconds."""


class MemoryBudget:
    """Bytes in use of `limit_bytes`. `refused` counts the requests for which there was no room."""

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self.held_bytes = 0
        self.refused = 0

    def take(self, size: int) -> bool:
        """Take `size` bytes if there is room."""
        if self.held_bytes + size > self.limit_bytes:
            self.refused += 1
            return False
        self.held_bytes += size
        return True

    def book(self, size: int) -> None:
        """Take `size` bytes whether there is room or not."""
        self.held_bytes += size

    def give(self, size: int) -> None:
        """Give `size` bytes back."""
        self.held_bytes -= size
