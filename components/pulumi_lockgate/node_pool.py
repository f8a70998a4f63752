"""Nodes for model servers as a Pulumi component: a NodePool of Karpenter, or nodes that exist."""

from collections.abc import Mapping
from typing import Any

import attrs
import pulumi
from lockgate.policy.reading.problem import Problem
from lockgate.policy.spec.fields import wire_name
from pulumi import ResourceOptions
from pulumi_kubernetes.apiextensions import CustomResource

from pulumi_lockgate.cautions import caution
from pulumi_lockgate.draft import RefusedError
from pulumi_lockgate.manifests.capacity import shortfalls
from pulumi_lockgate.manifests.model_server import Inference
from pulumi_lockgate.manifests.pools import Pool, conflicts, node_pool, placed
from pulumi_lockgate.resource import body
from pulumi_lockgate.stack.pool_settings import PoolSettings
from pulumi_lockgate.stack.pools import read_pool


class NodePool(pulumi.ComponentResource):
    """Nodes that InferenceServices run on which are given this as their `pool`.

    The settings are those of a stack's `lockgate:pools`, in either spelling:
    `kind="existing", labels={"pool": "gpu"}, node={"gpu": 8}, nodes=2`. With `kind="karpenter"` a
    NodePool called `name` is made, which lies in no namespace; with `kind="existing"` nothing is.

    Outputs: `node_selector` and `tolerations`, for other pods that shall run there. Raises
    RefusedError for settings that a stack file would be refused for.
    """

    node_selector: Mapping[str, str]
    tolerations: list[dict[str, str]]

    def __init__(
        self,
        name: str,
        pool: Pool | None = None,
        opts: ResourceOptions | None = None,
        **settings: Any,
    ) -> None:
        self._pool = _read(name, settings) if pool is None else pool
        self._servers: list[Inference] = []
        super().__init__("lockgate:index:NodePool", name, None, opts)
        if self._pool.node_class is not None:
            manifest = node_pool(self._pool, self._pool.node_class)
            kind = {"api_version": manifest["apiVersion"], "kind": manifest["kind"]}
            stated = {**kind, **body(manifest)}
            CustomResource(f"{name}-node-pool", **stated, opts=ResourceOptions(parent=self))
        self.node_selector = self._pool.selector
        self.tolerations = self._pool.tolerations
        self.register_outputs({"nodeSelector": self.node_selector, "tolerations": self.tolerations})

    def place(self, inference: Inference) -> Inference:
        """Return a model server whose pods run on these nodes; warn where they do not fit.

        Raises RefusedError where the two contradict each other.
        """
        found = [
            Problem(field, None, message, "leave it out, or take another pool")
            for field, message in conflicts(self._pool, inference)
        ]
        if found:
            raise RefusedError(f"InferenceService {inference.name!r}", tuple(found))
        own = placed(self._pool, inference)
        before = shortfalls(self._pool, self._servers)
        self._servers.append(own)
        for line in shortfalls(self._pool, self._servers):
            if line not in before:
                caution(line)
        return own


def placed_on(pool: object, inference: Inference) -> Inference:
    """Return a model server on the nodes of what a program gave as its pool."""
    if not isinstance(pool, NodePool):
        fault = Problem("pool", None, f"{pool!r} is no NodePool", "give a lockgate.NodePool")
        raise RefusedError(f"InferenceService {inference.name!r}", (fault,))
    return pool.place(inference)


def _read(name: str, settings: Mapping[str, Any]) -> Pool:
    """Return a pool's settings, read as a stack file's."""
    names = {field.name: wire_name(field) for field in attrs.fields(PoolSettings)}
    stated = {names.get(key, key): value for key, value in settings.items() if value is not None}
    pool, problems = read_pool(name, stated)
    if pool is None:
        raise RefusedError(f"NodePool {name!r}", problems)
    return pool
