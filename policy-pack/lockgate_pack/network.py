"""Every pod that a Lockgate component made stands under a NetworkPolicy, both ways."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from lockgate_pack.resources import OURS, Props, Resource, kind_of, made_by, namespace_of, pod_of


def uncovered(resources: Iterable[Resource]) -> Iterator[tuple[str, str]]:
    """Yield sentence and URN for each pod of ours that some direction leaves open."""
    held = list(resources)
    policies = [r.props for r in held if kind_of(r.resource_type) == "NetworkPolicy"]
    for resource in held:
        pod = pod_of(resource.resource_type, resource.props)
        if pod is None or not made_by(resource.urn, OURS):
            continue
        over = [p for p in policies if namespace_of(p) == pod.namespace and _selects(p, pod.labels)]
        directions = {d for p in over for d in _directions(p.get("spec") or {})}
        for direction in ("Ingress", "Egress"):
            if direction not in directions:
                yield f"no NetworkPolicy holds the {direction.lower()} of its pods", resource.urn


def _directions(spec: Props) -> set[str]:
    """Return what a policy isolates; without policyTypes as the API defaults them."""
    stated = spec.get("policyTypes")
    if stated:
        return set(stated)
    return {"Ingress", "Egress"} if spec.get("egress") else {"Ingress"}


def _selects(policy: Props, labels: Mapping[str, str]) -> bool:
    selector = (policy.get("spec") or {}).get("podSelector") or {}
    exact = selector.get("matchLabels") or {}
    return all(labels.get(key) == exact[key] for key in exact) and all(
        _holds(expression, labels) for expression in selector.get("matchExpressions") or ()
    )


def _holds(expression: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    value = labels.get(expression["key"])
    values = list(expression.get("values") or ())
    match expression["operator"]:
        case "In":
            return value in values
        case "NotIn":
            return value not in values
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
    return False
