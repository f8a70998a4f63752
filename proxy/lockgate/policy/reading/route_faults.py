"""What a rule's route may not say, alone and beside what the rule matches."""

from collections.abc import Iterator

from lockgate.policy.reading.suggestions import flow, write
from lockgate.policy.spec.model_router import RouterSpec
from lockgate.policy.spec.rules import Match, Rule

Fault = tuple[str, str, str]
"""(path, message, suggestion)."""


def where_to(spec: RouterSpec, match: Match, place: str) -> str:
    """Return what an empty list should be: never a cloud backend for sensitive data."""
    sensitive = not spec.policy.classification.sensitive.isdisjoint(match.data_classification)
    fit = [b.name for b in spec.backends if b.tier == "local" or not sensitive][:1]
    refusing = "`route: { refuse: true }` to refuse what the rule takes"
    return f"{write(place, flow(fit))}, or {refusing}" if fit else f"write {refusing}"


def refusing_faults(rule: Rule, match: Match, path: str) -> Iterator[Fault]:
    """Yield what means nothing at a rule that goes nowhere."""
    stated = {
        "route.backends": bool(rule.route.backends),
        "route.strategy": rule.route.strategy != "primary-fallback",
        "route.shadowPercent": rule.route.shadow_percent != 10,
        "timeout": rule.timeout is not None,
        "timeouts": rule.timeouts is not None,
        "retry": rule.retry != "default",
        "recovery": rule.recovery != "none",
        "match.requiredCapabilities": bool(match.required_capabilities),
        "match.latencySLOMs": match.latency_slo_ms is not None,
    }
    for field, is_stated in stated.items():
        if is_stated:
            message = "means nothing at a rule that refuses"
            yield f"{path}.{field}", message, "leave it out, or take `refuse: true` out"


def strategy_faults(spec: RouterSpec, rule: Rule, match: Match, path: str) -> Iterator[Fault]:
    """Yield what does not go together of strategy, weights, latency and recovery."""
    route = rule.route
    weights = [b.weight for b in spec.backends if b.name in route.backends]
    if route.strategy == "weighted" and weights and not any(weights):
        yield (
            f"{path}.route.strategy",
            "every weight is 0",
            f"write `weight: 1` at backend {route.backends[0]}",
        )
    if route.strategy == "shadow" and len(route.backends) < 2:
        suggestion = write("backends", flow([*route.backends, "NAME"])) + ": the first answers"
        yield f"{path}.route.backends", "strategy shadow has nobody to copy to", suggestion
    if route.shadow_percent != 10 and route.strategy != "shadow":
        suggestion = "write `strategy: shadow`, or leave it out"
        yield f"{path}.route.shadowPercent", f"means nothing with {route.strategy}", suggestion
    if not 1 <= route.shadow_percent <= 100:
        yield f"{path}.route.shadowPercent", "is not from 1 to 100", "write `shadowPercent: 10`"
    if match.latency_slo_ms is not None:
        place = f"{path}.match.latencySLOMs"
        if match.latency_slo_ms < 1:
            yield place, "is less than 1", "state it in milliseconds: `latencySLOMs: 800`"
        if len(route.backends) < 2 or route.strategy == "shadow":
            yield place, "means nothing where there is no other backend to try", "leave it out"
    if rule.recovery == "resume" and rule.retry == "connect-only":
        yield (
            f"{path}.recovery",
            "resume asks again, connect-only forbids it",
            "write `recovery: none`",
        )
