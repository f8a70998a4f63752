"""The four named deadlines of an exchange, resolved: rule wins over backend wins over proxy."""

from typing import ClassVar, Final, final

from proxy.exchange.value import Value
from proxy.policy.backends import Backend, Timeouts
from proxy.policy.rules import Rule
from proxy.policy.spec import Proxy

CONNECT_S: Final = 3.0
"""DNS, TCP and TLS of a healthy backend take well under a second; three cover a lost SYN."""
IDLE_S: Final = 60.0
"""Between two data events: longer than any model thinks between tokens."""


@final
class Deadlines(Value):
    """Deadlines in force for one attempt, in seconds. `total_s` counts from the exchange's start.

    The `own` ones are the backend's (what it declares, else the proxy's): only when such a one was
    reached does a slow backend count against its breaker.
    """

    __match_args__: ClassVar = (
        "connect_s",
        "first_token_s",
        "idle_s",
        "total_s",
        "own_connect_s",
        "own_first_token_s",
        "own_idle_s",
    )

    def __init__(  # noqa: PLR0913, PLR0917 - a deadline for each phase
        self,
        connect_s: float,
        first_token_s: float,
        idle_s: float,
        total_s: float | None,
        own_connect_s: float,
        own_first_token_s: float,
        own_idle_s: float,
    ) -> None:
        self.connect_s: Final = connect_s
        self.first_token_s: Final = first_token_s
        self.idle_s: Final = idle_s
        self.total_s: Final = total_s
        self.own_connect_s: Final = own_connect_s
        self.own_first_token_s: Final = own_first_token_s
        self.own_idle_s: Final = own_idle_s

    def blames(self, code: str) -> bool:
        """Whether the deadline that `code` says was missed is the backend's, no stricter rule's."""
        if code == "connect_timeout":
            return self.connect_s >= self.own_connect_s
        if code == "first_token_timeout":
            return self.first_token_s >= self.own_first_token_s
        return code != "idle_timeout" or self.idle_s >= self.own_idle_s


NO_DEADLINES: Final = Deadlines(0.0, 0.0, 0.0, None, 0.0, 0.0, 0.0)
"""Before the first attempt none is in force."""


def _first_token(holder: Rule | Backend) -> float | None:
    if holder.timeout is not None:
        return holder.timeout
    return holder.timeouts.first_token if holder.timeouts is not None else None


def resolve_deadlines(rule: Rule | None, backend: Backend, proxy: Proxy) -> Deadlines:
    """Return the deadlines of an attempt on `backend` under `rule`."""
    none = Timeouts()
    of_rule = (rule.timeouts if rule else None) or none
    of_backend = backend.timeouts or none
    of_proxy = proxy.timeouts or none
    levels, own_levels = (of_rule, of_backend, of_proxy), (of_backend, of_proxy)
    proxy_first = of_proxy.first_token or proxy.response_header_timeout
    own = _first_token(backend) or proxy_first
    return Deadlines(
        connect_s=next((t.connect for t in levels if t.connect), CONNECT_S),
        first_token_s=(_first_token(rule) if rule else None) or own,
        idle_s=next((t.idle for t in levels if t.idle), IDLE_S),
        total_s=next((t.total for t in levels if t.total), None),
        own_connect_s=next((t.connect for t in own_levels if t.connect), CONNECT_S),
        own_first_token_s=own,
        own_idle_s=next((t.idle for t in own_levels if t.idle), IDLE_S),
    )
