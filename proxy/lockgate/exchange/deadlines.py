"""The named deadlines of an exchange, resolved: rule wins over backend wins over proxy."""

from typing import ClassVar, Final, final

from lockgate.errors.codes import Code
from lockgate.errors.kinds import KINDS
from lockgate.policy.spec.backends import Backend, Timeouts
from lockgate.policy.spec.model_router import Proxy
from lockgate.policy.spec.rules import Rule
from lockgate.value import Value

CONNECT_S: Final = 3.0
"""DNS, TCP and TLS of a healthy backend take well under a second; three cover a lost SYN."""
SILENCE_S: Final = 60.0
"""Between two bytes: servers that think for long send comments meanwhile, every 10 to 30 s."""
IDLE_S: Final = 300.0
"""Between two data events: longer than any model thinks between tokens."""
WAIT_S: Final = 600.0
"""For a first token while signs of life come, and for a whole response: the SDKs' own time-out."""
SIGNS: Final = 5.0
"""So many times a declared first-token deadline may pass while signs of life come."""


@final
class Deadlines(Value):
    """Deadlines in force for one attempt, in seconds. `total_s` counts from the exchange's start.

    `first_token_s` bounds the wait for a stream's first content while nothing comes, `alive_s`
    while comments or blank lines do; `whole_s` that for a response which is not streamed. `idle_s`
    is between data, `silence_s` between bytes of any kind. `heartbeat_s` is no deadline: from then
    on the client is sent signs of life, 0 for never.

    The `own` ones are the backend's (what it declares, else the proxy's): only when such a one was
    reached does a slow backend count against its breaker.
    """

    __match_args__: ClassVar = (
        "connect_s",
        "first_token_s",
        "alive_s",
        "whole_s",
        "silence_s",
        "idle_s",
        "total_s",
        "heartbeat_s",
        "own_connect_s",
        "own_first_token_s",
        "own_silence_s",
        "own_idle_s",
    )

    def __init__(  # noqa: PLR0913 - a deadline for each phase
        self,
        *,
        connect_s: float = 0.0,
        first_token_s: float = 0.0,
        alive_s: float = 0.0,
        whole_s: float = 0.0,
        silence_s: float = 0.0,
        idle_s: float = 0.0,
        total_s: float | None = None,
        heartbeat_s: float = 0.0,
        own_connect_s: float = 0.0,
        own_first_token_s: float = 0.0,
        own_silence_s: float = 0.0,
        own_idle_s: float = 0.0,
    ) -> None:
        self.connect_s: Final = connect_s
        self.first_token_s: Final = first_token_s
        self.alive_s: Final = alive_s
        self.whole_s: Final = whole_s
        self.silence_s: Final = silence_s
        self.idle_s: Final = idle_s
        self.total_s: Final = total_s
        self.heartbeat_s: Final = heartbeat_s
        self.own_connect_s: Final = own_connect_s
        self.own_first_token_s: Final = own_first_token_s
        self.own_silence_s: Final = own_silence_s
        self.own_idle_s: Final = own_idle_s

    def blames(self, code: Code) -> bool:
        """Whether the deadline that `code` says was missed is the backend's, no stricter rule's."""
        deadline = KINDS[code].deadline
        if deadline == "connect":
            return self.connect_s >= self.own_connect_s
        if deadline == "first_token":
            return self.first_token_s >= self.own_first_token_s
        if deadline == "silence":
            return self.silence_s >= self.own_silence_s
        return deadline != "idle" or self.idle_s >= self.own_idle_s


NO_DEADLINES: Final = Deadlines()
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
    header_s: float = proxy.response_header_timeout
    stated_s = header_s if header_s != Proxy().response_header_timeout else None
    own = _first_token(backend) or of_proxy.first_token or stated_s
    declared = (_first_token(rule) if rule else None) or own
    return Deadlines(
        connect_s=next((t.connect for t in levels if t.connect), CONNECT_S),
        first_token_s=declared or header_s,
        alive_s=declared * SIGNS if declared else WAIT_S,
        whole_s=declared or WAIT_S,
        silence_s=next((t.silence for t in levels if t.silence), SILENCE_S),
        idle_s=next((t.idle for t in levels if t.idle), IDLE_S),
        total_s=next((t.total for t in levels if t.total), None),
        heartbeat_s=next((t.heartbeat for t in levels if t.heartbeat), 0.0),
        own_connect_s=next((t.connect for t in own_levels if t.connect), CONNECT_S),
        own_first_token_s=own or header_s,
        own_silence_s=next((t.silence for t in own_levels if t.silence), SILENCE_S),
        own_idle_s=next((t.idle for t in own_levels if t.idle), IDLE_S),
    )
