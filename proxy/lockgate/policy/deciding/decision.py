"""A decision is a value: what was decided, why, and for every backend considered, its reason.

The audit record, what `lockgate explain` prints and the log line are made of this value.
"""

from collections.abc import Mapping
from typing import ClassVar, Final, Literal, final

from attrs import field, frozen

from lockgate.policy.spec.backends import Backend
from lockgate.policy.spec.rules import Rule
from lockgate.value import Value

Skip = Literal["candidate", "observed", "cloud_tier_for_sensitive", "lacks_capability"]
"""Why a backend in the chain is, or is not, a candidate; `observed` is one in mode observe only."""
CANDIDATES: Final = frozenset({"candidate", "observed"})
Via = Literal["rule", "name_match", "default_route", "none"]
"""Where a chain comes from."""

RefusalCode = Literal["refused_by_rule", "refused_by_policy", "no_route", "model_not_found"]
"""Why no backend may serve a request: a rule refuses it, the policy lets none of its chain, or the
chain is empty
(`model_not_found` where no backend publishes the model)."""


@frozen
class Request:
    """What a policy sees of a request.

    `headers` maps lower-case names to every field value of that name, in order.
    """

    model: str
    headers: Mapping[str, tuple[str, ...]] = field(factory=dict)


@frozen
class Labels:
    """The labels of one request.

    `names` are the known labels found, plus every sensitive one when `unrecognised`.
    """

    names: frozenset[str]
    unrecognised: bool
    sensitive: bool


@frozen
class Considered:
    """One backend of the chain with the reason it is, or is not, a candidate."""

    backend: str
    tier: str
    reason: Skip


@final
class Reading(Value):
    """What was read off a request to decide it: the part common to both outcomes.

    `complexity` is the header as sent, None when absent; `headers_read` are the values of
    the headers that the policy reads, an empty tuple for one that is absent; `rule` is None when
    no rule matched, and `via` then says which default was taken; `rule_name` is its name.
    """

    __match_args__: ClassVar = (
        "model",
        "labels",
        "complexity",
        "team",
        "headers_read",
        "rule",
        "via",
        "considered",
        "policy_digest",
    )

    def __init__(  # noqa: PLR0913 - a decision is made of many things
        self,
        *,
        model: str,
        labels: Labels,
        complexity: str | None,
        team: str | None,
        headers_read: Mapping[str, tuple[str, ...]],
        rule: Rule | None,
        via: Via,
        considered: tuple[Considered, ...],
        policy_digest: str,
    ) -> None:
        self.model: Final = model
        self.labels: Final = labels
        self.complexity: Final = complexity
        self.team: Final = team
        self.headers_read: Final = headers_read
        self.rule: Final = rule
        self.via: Final = via
        self.considered: Final = considered
        self.policy_digest: Final = policy_digest
        self.rule_name: Final = rule.name if rule else None

    @property
    def fail_closed(self) -> bool:
        """Whether the client gets 503 `no_allowed_upstream` when every candidate fails."""
        return self.labels.sensitive or (self.rule is not None and self.rule.fail_closed)


@final
class Route(Value):
    """Go to `candidates`, in this order, and nowhere else.

    `is_in_order`: neither a strategy nor measured latency changes the order. `is_shadowed`: copies
    may go to the rule's other backends.
    """

    __match_args__: ClassVar = ("reading", "candidates")

    def __init__(self, reading: Reading, candidates: tuple[Backend, ...]) -> None:
        self.reading: Final = reading
        self.candidates: Final = candidates
        rule = reading.rule
        slo_ms = rule.match.latency_slo_ms if rule is not None and rule.match is not None else None
        strategy = "primary-fallback" if rule is None else rule.route.strategy
        self.is_in_order: Final = strategy == "primary-fallback" and slo_ms is None
        self.is_shadowed: Final = strategy == "shadow"


@final
class Refuse(Value):
    """Go nowhere; `code` is one of `lockgate.errors.kinds`."""

    __match_args__: ClassVar = ("reading", "status", "code")

    def __init__(self, reading: Reading, status: int, code: RefusalCode) -> None:
        self.reading: Final = reading
        self.status: Final = status
        self.code: Final = code


Decision = Route | Refuse
