"""The part of a reactor that keeps time, as a type: seconds are monotonic."""

from collections.abc import Callable
from typing import Any, Protocol


class Clock(Protocol):
    """What Twisted calls IReactorTime, for the type checker."""

    def seconds(self) -> float:
        """Return monotonic seconds."""

    def callLater(self, delay: float, callable: Callable[..., Any], *args: Any) -> Any:  # noqa: A002
        """Call later; the return value has `cancel` and `active`."""
