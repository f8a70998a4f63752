"""What became of each candidate: an attempt, or why there was none."""

from typing import Any, Final, Literal, final

from attrs import frozen

from lockgate.errors.codes import Ending
from lockgate.exchange.breaker import Opened
from lockgate.policy.spec.backends import Backend

Settlement = Literal["succeeded", "failed", "released"]
"""What a permit is given back with: `failed` is the only one that counts against the backend."""
SkipReason = Literal["breaker_open", "credentials_missing", "policy_changed", "unhealthy"]


@frozen
class Skipped:
    """A candidate that was not tried, and why. `retry_after_s`: when it may be tried again."""

    backend: str
    reason: SkipReason
    retry_after_s: float = 0.0


@final
class Attempt:
    """One try at one backend. `outcome` is empty until it has ended; times are in seconds.

    `permit` is the breaker's, to be given back exactly once. `status` is the upstream's, and
    `own_id` what it calls the request. `counted`: it failed, by the backend's fault. `opened` and
    `closed`: what it did to the breaker.
    """

    def __init__(self, backend: Backend, permit: Any, started_s: float) -> None:
        self.backend = backend
        self.name: Final[str] = backend.name  # read often, and slowly from there
        self.tier: Final[str] = backend.tier
        self.permit = permit
        self.started_s = started_s
        self.reused = False
        self.bytes_written = False
        self.status: int | None = None
        self.own_id = ""
        self.outcome: Ending | Literal[""] = ""
        self.ended_s = 0.0
        self.counted = False
        self.opened: Opened | None = None
        self.closed = False
