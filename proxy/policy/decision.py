"""A decision is a value: what was decided, why, and for every backend considered, its reason.

The audit record, the answer of `lockgate explain` and the log line are this value.
"""

from collections.abc import Mapping
from typing import Literal

from attrs import field, frozen

from proxy.policy.backends import Backend
from proxy.policy.rules import Rule

Skip = Literal["candidate", "cloud_tier_for_sensitive", "lacks_capability"]
"""Why a backend in the chain is, or is not, a candidate."""
Via = Literal["rule", "name_match", "default_route", "none"]
"""Where a chain comes from."""

RefusalCode = Literal["refused_by_policy", "no_route", "model_not_found"]
"""Why no backend may serve a request: the policy lets none of its chain, or the chain is empty
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


@frozen
class Reading:
    """What was read off a request to decide it: the part common to both outcomes.

    `complexity` is the header as sent, None when absent; `headers_read` are the values of
    the headers that the policy reads, an empty tuple for one that is absent; `rule` is None when
    no rule matched, and `via` then says which default was taken.
    """

    model: str
    labels: Labels
    complexity: str | None
    team: str | None
    headers_read: Mapping[str, tuple[str, ...]]
    rule: Rule | None
    via: Via
    considered: tuple[Considered, ...]
    policy_digest: str
    # not a cached_property: with slots that is a __getattr__, which every read of a field pays for
    rule_name: str | None = field(init=False, eq=False, repr=False)
    """The determining rule's name."""

    @rule_name.default
    def _name_of_rule(self) -> str | None:
        return self.rule.name if self.rule else None

    @property
    def fail_closed(self) -> bool:
        """Whether a total failure says 503 `no_allowed_upstream`."""
        return self.labels.sensitive or (self.rule is not None and self.rule.fail_closed)


@frozen
class Route:
    """Go to `candidates`, in this order, and nowhere else."""

    reading: Reading
    candidates: tuple[Backend, ...]


@frozen
class Refuse:
    """No backend may serve this request; `code` is one of `proxy.exchange.errors`."""

    reading: Reading
    status: int
    code: RefusalCode


Decision = Route | Refuse
