"""Repeats stay a small share of live requests, so that a failing backend is not stormed.

A repeat is a second try on the same backend; going on to the next candidate is not one.
"""

from typing import Final

SHARE: Final = 0.2
FLOOR: Final = 10
"""A quiet router may still repeat this often in a second."""


class RetryBudget:
    """Counts requests and repeats in windows of one second; `now` is monotonic seconds."""

    __slots__ = ("_previous", "_repeats", "_requests", "_second")

    def __init__(self) -> None:
        self._second = -1
        self._requests = 0
        self._repeats = 0
        self._previous = 0

    def saw_request(self, now: float) -> None:
        """Count one live request."""
        self._roll(int(now))
        self._requests += 1

    def take(self, now: float) -> bool:
        """Take one repeat; False when the share is used up."""
        self._roll(int(now))
        allowed = max(FLOOR, SHARE * max(self._requests, self._previous))
        if self._repeats + 1 > allowed:
            return False
        self._repeats += 1
        return True

    def _roll(self, second: int) -> None:
        if second != self._second:
            self._previous = self._requests if second == self._second + 1 else 0
            self._second = second
            self._requests = self._repeats = 0
