"""Node pools: a Karpenter NodePool, or nodes that exist; and what the pods of a pool are told.

Fields of a NodePool: https://karpenter.sh/docs/concepts/nodepools/ and the schema in the module
sigs.k8s.io/karpenter, pkg/apis/crds/karpenter.sh_nodepools.yaml. Pods choose one by the label
`karpenter.sh/nodepool`, which Karpenter lets pods name.
"""

from collections.abc import Mapping
from typing import Any, Final, Literal

from attrs import evolve, frozen

from pulumi_lockgate.manifests.common import Manifest, labels
from pulumi_lockgate.manifests.gpu_kinds import CLASS_LABELS, PRODUCT, products
from pulumi_lockgate.manifests.model_server import NVIDIA, Inference

POOL: Final = "node-pool"
API_VERSION: Final = "karpenter.sh/v1"
NODEPOOL_LABEL: Final = "karpenter.sh/nodepool"
_REQUIRED: Final = "requiredDuringSchedulingIgnoredDuringExecution"


@frozen
class Taint:
    """What keeps pods away from a node that do not tolerate it."""

    key: str
    effect: str
    value: str | None = None

    @property
    def as_dict(self) -> dict[str, str]:
        """It, as Kubernetes has it."""
        stated = {"key": self.key, "value": self.value, "effect": self.effect}
        return {key: value for key, value in stated.items() if value is not None}

    @property
    def toleration(self) -> dict[str, str]:
        """What a pod says that may run there."""
        operator = "Exists" if self.value is None else "Equal"
        return {**self.as_dict, "operator": operator}


@frozen
class NodeClass:
    """What a cloud's nodes are made of: an object that exists."""

    group: str
    kind: str
    name: str


@frozen
class Requirements:
    """Which nodes Karpenter may make."""

    instance_types: tuple[str, ...] = ()
    instance_families: tuple[str, ...] = ()
    zones: tuple[str, ...] = ()
    capacity_types: tuple[str, ...] = ()
    further: tuple[Mapping[str, Any], ...] = ()


@frozen
class Pool:
    """Nodes that model servers run on. `node_class` is None for nodes that exist.

    `limits` is what all nodes of it may have, `node` what one of them gives to pods, by resource.
    """

    name: str
    node_class: NodeClass | None = None
    gpu: str | None = None
    gpu_resource: str = NVIDIA
    labels: Mapping[str, str] = {}
    taints: tuple[Taint, ...] = ()
    requirements: Requirements = Requirements()
    limits: Mapping[str, str] = {}
    disruption: Mapping[str, Any] = {}
    expire_after: str | None = None
    termination_grace_period: str | None = None
    weight: int | None = None
    nodes: int | None = None
    node: Mapping[str, str] = {}

    @property
    def kind(self) -> Literal["karpenter", "existing"]:
        """Who makes its nodes."""
        return "existing" if self.node_class is None else "karpenter"

    @property
    def selector(self) -> dict[str, str]:
        """The labels by which pods choose its nodes."""
        return dict(self.labels) if self.node_class is None else {NODEPOOL_LABEL: self.name}

    @property
    def tolerations(self) -> list[dict[str, str]]:
        """What its pods tolerate."""
        return [taint.toleration for taint in self.taints]

    @property
    def products(self) -> list[str]:
        """The GPUs that its pods insist on; Karpenter's nodes have them by the NodePool itself."""
        return products(self.gpu) if self.gpu and self.node_class is None else []


def node_pool(pool: Pool, node_class: NodeClass) -> Manifest:
    """Return the NodePool of Karpenter; it lies in no namespace."""
    template: dict[str, Any] = {
        "nodeClassRef": {
            "group": node_class.group,
            "kind": node_class.kind,
            "name": node_class.name,
        },
        "requirements": _requirements(pool, node_class),
    }
    optional = {
        "taints": [taint.as_dict for taint in pool.taints],
        "expireAfter": pool.expire_after,
        "terminationGracePeriod": pool.termination_grace_period,
    }
    template |= {key: value for key, value in optional.items() if value}
    nodes: dict[str, Any] = {"spec": template}
    if pool.labels:
        nodes["metadata"] = {"labels": dict(pool.labels)}
    spec: dict[str, Any] = {"template": nodes, "disruption": dict(pool.disruption)}
    if pool.limits:
        spec["limits"] = dict(pool.limits)
    if pool.weight is not None:
        spec["weight"] = pool.weight
    return {
        "apiVersion": API_VERSION,
        "kind": "NodePool",
        "metadata": {"name": pool.name, "labels": labels(pool.name, POOL)},
        "spec": spec,
    }


def _requirements(pool: Pool, node_class: NodeClass) -> list[dict[str, Any]]:
    stated, own = pool.requirements, CLASS_LABELS.get(node_class.group)
    found: dict[str, list[str]] = {}
    if own is not None and pool.gpu is not None:
        found[own.gpu_name] = [own.spelled(pool.gpu)]
    if own is not None:
        found[own.family] = list(stated.instance_families)
    found["node.kubernetes.io/instance-type"] = list(stated.instance_types)
    found["topology.kubernetes.io/zone"] = list(stated.zones)
    found["karpenter.sh/capacity-type"] = list(stated.capacity_types)
    by_field = [{"key": k, "operator": "In", "values": v} for k, v in found.items() if v]
    return [*by_field, *map(dict, stated.further)]


def conflicts(pool: Pool, inference: Inference) -> list[tuple[str, str]]:
    """Return (field, what is wrong) of each thing in which a server contradicts its pool."""
    found = []
    stated = inference.node_selector or {}
    for key, value in pool.selector.items():
        if stated.get(key, value) != value:
            message = f"is {stated[key]}, and the nodes of pool {pool.name} have {value}"
            found.append((f"nodeSelector.{key}", message))
    asked, had = _gpu_resource(pool, inference), pool.gpu_resource
    if inference.gpu and asked != had:
        found.append(("gpuResource", f"is {asked}, and pool {pool.name} has {had}"))
    return found


def placed(pool: Pool, inference: Inference) -> Inference:
    """Return a model server whose pods run on the pool's nodes; what it says itself stays."""
    tolerated = [dict(one) for one in inference.tolerations]
    more = [one for one in pool.tolerations if one not in tolerated]
    return evolve(
        inference,
        pool=pool.name,
        gpu_resource=_gpu_resource(pool, inference),
        node_selector={**pool.selector, **(inference.node_selector or {})},
        tolerations=(*more, *tolerated),
        affinity=_with_products(inference.affinity, pool.products),
    )


def _gpu_resource(pool: Pool, inference: Inference) -> str:
    """Return what a model server's GPUs are called: as its pool says, unless it says otherwise."""
    is_default = inference.gpu_resource == NVIDIA
    return pool.gpu_resource if is_default else inference.gpu_resource


def _with_products(affinity: Mapping[str, Any] | None, names: list[str]) -> Any:
    """Return an affinity that also wants one of these GPUs.

    Terms are alternatives, so each of them wants it; what is in one term holds together.
    https://kubernetes.io/docs/concepts/scheduling-eviction/assign-pod-node/#node-affinity
    """
    if not names:
        return affinity
    wanted = {"key": PRODUCT, "operator": "In", "values": names}
    stated: dict[str, Any] = dict(affinity or {})
    nodes: dict[str, Any] = dict(stated.get("nodeAffinity") or {})
    terms = (nodes.get(_REQUIRED) or {}).get("nodeSelectorTerms") or [{}]
    both = [{**t, "matchExpressions": [*t.get("matchExpressions", ()), wanted]} for t in terms]
    nodes[_REQUIRED] = {"nodeSelectorTerms": both}
    return {**stated, "nodeAffinity": nodes}
