"""Whether a pool has what its model servers ask for: in all, for each pod, and node by node."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Final

from attrs import frozen

from pulumi_lockgate.manifests.inference import resources_of
from pulumi_lockgate.manifests.model_server import Inference
from pulumi_lockgate.manifests.pools import Pool
from pulumi_lockgate.manifests.quantities import quantity, shown

_MOST_NODES: Final = 1000
"""More are not packed: what holds there is the sum."""


@frozen
class _Asked:
    """What one model server asks of one resource."""

    name: str
    pods: int
    each: Decimal


def shortfalls(pool: Pool, servers: Iterable[Inference]) -> list[str]:
    """Return a line for each thing that the servers of a pool ask for and it cannot give."""
    users = [one for one in servers if one.pool == pool.name]
    return [line for resource in _resources(pool) for line in _of(pool, resource, users)]


def _resources(pool: Pool) -> tuple[str, ...]:
    return (pool.gpu_resource, "cpu", "memory")


def _of(pool: Pool, resource: str, users: Sequence[Inference]) -> Iterator[str]:
    asked = [one for one in (_asked(user, resource) for user in users) if one.each and one.pods]
    node = _amount(pool.node, resource)
    if pool.node and node is None:
        node = Decimal(0) if resource == pool.gpu_resource else None
    if node is not None:
        large = [one for one in asked if one.each > node]
        for one in large:
            yield (
                f"pool {pool.name}: a pod of {one.name} asks for {shown(one.each, resource)} "
                f"{_called(resource)}, and a node has {shown(node, resource)}: it would wait "
                "without end"
            )
        asked = [one for one in asked if one not in large]
    total = sum((one.pods * one.each for one in asked), Decimal(0))
    most = _most(pool, resource, node)
    if most is not None and total > most:
        yield (
            f"pool {pool.name}: the pods of {_listed(asked, resource)} ask for "
            f"{shown(total, resource)} {_called(resource)} in all, and it can give "
            f"{shown(most, resource)}"
        )
    elif node and pool.nodes and pool.nodes <= _MOST_NODES:
        left = _without_a_node(asked, node, pool.nodes)
        if left:
            yield (
                f"pool {pool.name}: the pods of {_listed(asked, resource)} do not fit on "
                f"{pool.nodes} nodes of {shown(node, resource)} {_called(resource)}, though "
                "they would in sum: "
                f"{left} of them would wait"
            )


def _asked(user: Inference, resource: str) -> _Asked:
    """Return what a model server asks for at most: a pod more while `rollout: rolling` runs."""
    stated = resources_of(user)
    wanted = {**stated.get("limits", {}), **stated.get("requests", {})}
    pods = user.most_replicas + (user.rollout == "rolling")
    return _Asked(user.name, pods, _amount(wanted, resource) or Decimal(0))


def _amount(stated: Mapping[str, object], resource: str) -> Decimal | None:
    if resource not in stated:
        return None
    try:
        return quantity(stated[resource])
    except ValueError:
        return None  # the API server says so


def _most(pool: Pool, resource: str, node: Decimal | None) -> Decimal | None:
    """Return what all nodes of a pool give, None where nobody said."""
    if pool.nodes is not None and node is not None:
        return pool.nodes * node
    return _amount(pool.limits, resource)


def _without_a_node(asked: Sequence[_Asked], node: Decimal, nodes: int) -> int:
    """Return how many pods find no node, the largest being placed first."""
    free, left = [node] * nodes, 0
    for each in sorted((o.each for o in asked for _ in range(o.pods)), reverse=True):
        place = next((n for n, room in enumerate(free) if room >= each), None)
        if place is None:
            left += 1
        else:
            free[place] -= each
    return left


def _listed(asked: Sequence[_Asked], resource: str) -> str:
    return " and ".join(f"{one.name} ({one.pods} x {shown(one.each, resource)})" for one in asked)


def _called(resource: str) -> str:
    return "CPU" if resource == "cpu" else resource
