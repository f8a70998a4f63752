"""What an exchange needs from outside itself, as one narrow class.

It is a class, and no Protocol, so that compiled callers go straight to its one implementation.
"""

from abc import ABC, abstractmethod
from typing import Any

from lockgate.exchange.attempts import Attempt, Settlement
from lockgate.exchange.deadlines import Deadlines
from lockgate.exchange.memory import MemoryBudget
from lockgate.exchange.request import RoutedRequest
from lockgate.policy.spec.backends import Backend

try:
    from mypy_extensions import mypyc_attr
except ImportError:  # the compiler brings it; the sources as they are need it for nothing

    def mypyc_attr(*attrs: str, **kwattrs: object) -> Any:  # type: ignore[misc]  # noqa: ARG001
        """Change nothing."""
        return lambda kind: kind


@mypyc_attr(allow_interpreted_subclasses=True)  # a test's
class Ports(ABC):
    """Time, chance and the state shared between exchanges, all injected."""

    retry_after_max_s: float
    max_event_bytes: int
    memory: MemoryBudget

    @abstractmethod
    def now(self) -> float:
        """Return monotonic seconds."""

    @abstractmethod
    def jitter(self) -> float:
        """Return a number in [0, 1)."""

    @abstractmethod
    def order(self, request: RoutedRequest) -> tuple[Backend, ...]:
        """Return the candidates of the request's decision in the order to try them."""

    @abstractmethod
    def saw_first_token(self, backend: Backend, seconds: float) -> None:
        """Take one time to first token."""

    @abstractmethod
    def admit(self, backend: Backend, request: RoutedRequest) -> Any:
        """Return a permit to try `backend` now, or a `Skipped`."""

    @abstractmethod
    def allows(self, backend: Backend, request: RoutedRequest) -> bool:
        """Whether the policy in force lets the request go to `backend`."""

    @abstractmethod
    def commit(self, attempt: Attempt, request: RoutedRequest) -> None:
        """The attempt answers: a probe ends there, and the attempt holds an ordinary permit."""

    @abstractmethod
    def settle(self, attempt: Attempt, how: Settlement, request: RoutedRequest) -> None:
        """Give the permit of an attempt back."""

    @abstractmethod
    def deadlines(self, request: RoutedRequest, backend: Backend) -> Deadlines:
        """Return the deadlines in force for an attempt."""

    @abstractmethod
    def takes_chunked(self, backend: Backend) -> bool:
        """Whether a body may go to `backend` in the chunked coding (RFC 9112, section 6.1)."""

    @abstractmethod
    def wants_length(self, backend: Backend) -> None:
        """Remember that `backend` refuses a body without a length."""

    @abstractmethod
    def may_repeat(self) -> bool:
        """Take one repeat from the retry budget, if it has one."""

    @abstractmethod
    def asks_usage(self, backend: Backend) -> bool:
        """Whether a stream may be asked for its usage where the client says nothing about it."""

    @abstractmethod
    def refuses_usage(self, backend: Backend) -> None:
        """`backend` knows no `stream_options`: it is not asked again."""
