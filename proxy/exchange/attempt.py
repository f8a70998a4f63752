"""One try at one backend, and what became of it."""

from typing import Any

from attrs import define, field

from proxy.policy.backends import Backend


@define
class Attempt:
    """`outcome` is "complete", "client_gone" or a code of `errors.KINDS`; times in seconds.

    `permit` is the breaker's, to be given back exactly once. `status` is the upstream's.
    """

    backend: Backend
    permit: Any = field(repr=False)
    started_s: float
    reused: bool = False
    bytes_written: bool = False
    status: int | None = None
    outcome: str = ""
    ended_s: float = 0.0

    @property
    def ms(self) -> float:
        """How long it took, in milliseconds."""
        return (self.ended_s - self.started_s) * 1e3
