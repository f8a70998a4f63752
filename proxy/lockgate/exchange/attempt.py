"""One try at one backend, and what became of it."""

from typing import Any, Final, Literal, final

from lockgate.errors.codes import Ending
from lockgate.exchange.breaker import Opened
from lockgate.policy.spec.backends import Backend


@final
class Attempt:
    """`outcome` is empty until it has ended; times are in seconds.

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
