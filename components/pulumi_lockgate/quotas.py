"""What the quotas of a namespace leave, and what pods that are new there want.

https://kubernetes.io/docs/concepts/policy/resource-quotas/: a pod beyond a quota is never made, and
nothing but an event of its ReplicaSet says so.
"""

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any, Final

from attrs import frozen

from pulumi_lockgate.manifests.common import Manifest
from pulumi_lockgate.manifests.quantities import quantity, shown

_PLAIN: Final = ("cpu", "memory")
"""Resources that a quota may also count without the word `requests.`."""


@frozen
class Quota:
    """A ResourceQuota: what it allows, and what is used of that, by resource."""

    name: str
    hard: Mapping[str, Any]
    used: Mapping[str, Any]


def shortages(new: Iterable[Manifest], quotas: Iterable[Quota]) -> Iterator[str]:
    """Yield a line for each quota that has no room for the pods of Deployments that are new.

    What a quota counts in a way that is not known here is left to the cluster.
    """
    wanted = wants(new)
    for quota in quotas:
        for resource, most in quota.hard.items():
            need = wanted.get(_called(resource), Decimal(0))
            left = quantity(most) - quantity(quota.used.get(resource, 0))
            if need > max(left, Decimal(0)):
                kind = resource.rpartition(".")[2]
                yield (
                    f"ResourceQuota {quota.name} leaves {shown(max(left, Decimal(0)), kind)} "
                    f"{resource}, and the pods that are new want {shown(need, kind)}"
                )


def wants(new: Iterable[Manifest]) -> dict[str, Decimal]:
    """Return what the pods of Deployments want together, as a quota calls it."""
    found: dict[str, Decimal] = {}
    for one in new:
        spec = one["spec"]
        count = Decimal(spec.get("replicas", 1))
        found["pods"] = found.get("pods", Decimal(0)) + count
        for name, amount in _of_pod(spec["template"]["spec"]).items():
            found[name] = found.get(name, Decimal(0)) + amount * count
    return found


def _of_pod(pod: Mapping[str, Any]) -> dict[str, Decimal]:
    """Return what one pod counts for: its containers together, or its largest first one."""
    found: dict[str, Decimal] = {}
    for kind in ("requests", "limits"):
        together: dict[str, Decimal] = {}
        for container in pod["containers"]:
            for name, amount in _stated(container, kind).items():
                together[name] = together.get(name, Decimal(0)) + amount
        for container in pod.get("initContainers", ()):
            for name, amount in _stated(container, kind).items():
                together[name] = max(together.get(name, Decimal(0)), amount)
        found |= {f"{kind}.{name}": amount for name, amount in together.items()}
    return found


def _stated(container: Mapping[str, Any], kind: str) -> dict[str, Decimal]:
    """Return a container's amounts; a request that is not stated is its limit."""
    resources = container.get("resources") or {}
    amounts = dict(resources.get(kind) or {})
    if kind == "requests":
        amounts = {**(resources.get("limits") or {}), **amounts}
    return {name: quantity(amount) for name, amount in amounts.items()}


def _called(resource: str) -> str:
    return f"requests.{resource}" if resource in _PLAIN else resource
