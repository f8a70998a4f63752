"""What a rule is: which requests it matches, and where they go."""

from collections.abc import Mapping
from typing import Literal

from attrs import frozen

from lockgate.policy.spec.backends import Timeouts
from lockgate.policy.spec.fields import Seconds, spec_field

TaskComplexity = Literal["simple", "moderate", "complex"]
Strategy = Literal["primary-fallback", "weighted", "shadow"]


@frozen
class Match:
    """Every dimension that is stated must hold."""

    data_classification: tuple[str, ...] = spec_field(
        "any of these labels is on the request", default=()
    )
    task_complexity: TaskComplexity | None = spec_field(
        "value of the x-llmkube-task-complexity header", default=None
    )
    models: tuple[str, ...] = spec_field(
        "any of these patterns matches the model asked for (Go path.Match)", default=()
    )
    headers: Mapping[str, str] = spec_field(
        "each header is there with exactly this value; names ignore case", default={}
    )
    required_capabilities: tuple[str, ...] = spec_field(
        "only backends that advertise all of these are candidates", default=()
    )
    latency_slo_ms: int | None = spec_field(
        "try the rule's other backends first while the first one's recent p95 to first token, in "
        "milliseconds, is over this",
        default=None,
        wire="latencySLOMs",
    )


@frozen
class RouteTo:
    """Where a matched request goes."""

    backends: tuple[str, ...] = spec_field(
        "names, in order of preference; at least one, or `refuse`", default=()
    )
    refuse: bool = spec_field(
        "true: what the rule takes is refused with 503 `refused_by_rule`, whatever is up",
        default=False,
    )
    strategy: Strategy = spec_field(
        "primary-fallback: in this order; weighted: one by weight, the rest as fallback; shadow: "
        "only the first answers, the others get copies",
        default="primary-fallback",
    )
    shadow_percent: int = spec_field(
        "how many of a hundred answered requests are copied, for strategy shadow", default=10
    )


@frozen
class Rule:
    """One rule: which requests it takes, and where they go. The first that matches decides."""

    name: str = spec_field("unique; `^[a-z0-9][a-z0-9-]{0,62}$`")
    match: Match | None = spec_field("which requests; none: every request", default=None)
    route: RouteTo = spec_field("where they go")
    fail_closed: bool = spec_field(
        "refuse with 503 instead of going on to the default route", default=False
    )
    timeout: Seconds | None = spec_field("short for `timeouts.firstToken`", default=None)
    timeouts: Timeouts | None = spec_field(
        "deadlines of this rule; win over all others", default=None
    )
    retry: Literal["default", "connect-only"] = spec_field(
        "connect-only: no further attempt once a request byte was written", default="default"
    )
    recovery: Literal["none", "resume"] = spec_field(
        "resume: continue a stream that broke off on another candidate, by prefill where the "
        "backend has that capability, else by asking anew and leaving out what the client has",
        default="none",
    )
    on_unsupported: Literal["refuse", "drop"] | None = spec_field(
        "what to do with fields that a provider cannot express", default=None
    )
