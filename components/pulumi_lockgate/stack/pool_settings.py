"""What a stack file may say of a node pool, as types."""

from collections.abc import Mapping
from typing import Any, Literal

from attrs import frozen
from lockgate.policy.spec.fields import spec_field

from pulumi_lockgate.manifests.gpu_kinds import KINDS
from pulumi_lockgate.manifests.model_server import NVIDIA

Operator = Literal["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"]


@frozen
class NodeClassSettings:
    """The object that says what a cloud's nodes are made of: it exists."""

    group: str = spec_field("its API group, such as karpenter.k8s.aws or karpenter.azure.com")
    kind: str = spec_field("its kind, such as EC2NodeClass or AKSNodeClass")
    name: str = spec_field("its name")


@frozen
class TaintSettings:
    """A taint of the nodes; the pool's model servers tolerate it, and nobody else by itself."""

    key: str = spec_field("key of the taint")
    value: str | None = spec_field("its value, if it has one", default=None)
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] = spec_field(
        "what becomes of pods that do not tolerate it", default="NoSchedule"
    )


@frozen
class RequirementSettings:
    """A requirement of Karpenter's own on the nodes that it makes."""

    key: str = spec_field("node label")
    operator: Operator = spec_field("how the label's value stands to `values`", default="In")
    values: tuple[str, ...] = spec_field("values of the label", default=())


@frozen
class LimitSettings:
    """What all nodes of a pool may have together: Karpenter makes no node beyond it."""

    cpu: Any = spec_field('such as "96"', default=None)
    memory: Any = spec_field("such as 768Gi", default=None)
    gpu: int | None = spec_field("GPUs of `gpuResource`", default=None)


@frozen
class NodeSettings:
    """What one node gives to pods: `kubectl describe node` calls it allocatable."""

    gpu: int = spec_field("GPUs of `gpuResource`", default=0)
    cpu: Any = spec_field('such as "94"', default=None)
    memory: Any = spec_field("such as 370Gi", default=None)


@frozen
class BudgetSettings:
    """How many nodes Karpenter may take away at once."""

    nodes: str = spec_field('a number or a share, such as "1" or 10%')
    schedule: str | None = spec_field("when it begins to hold, as cron writes it", default=None)
    duration: str | None = spec_field("for how long; with `schedule`", default=None)
    reasons: tuple[Literal["Underutilized", "Empty", "Drifted"], ...] = spec_field(
        "for which reasons; all when left out", default=()
    )


@frozen
class DisruptionSettings:
    """When Karpenter takes nodes away. A model that moves to another node loads again."""

    consolidation_policy: Literal["WhenEmpty", "WhenEmptyOrUnderutilized"] = spec_field(
        "WhenEmptyOrUnderutilized also moves running pods to cheaper nodes", default="WhenEmpty"
    )
    consolidate_after: str = spec_field("how long a node is left so, or Never", default="5m")
    budgets: tuple[BudgetSettings, ...] = spec_field(
        "how many nodes at once; Karpenter's 10% when left out", default=()
    )


@frozen
class PoolSettings:
    """Nodes for model servers."""

    kind: Literal["karpenter", "existing"] = spec_field(
        "karpenter: a NodePool is made, and Karpenter makes its nodes; existing: nodes that are "
        "there, and nothing is made"
    )
    gpu: str | None = spec_field(
        f"kind of GPU: {', '.join(KINDS)}. Of existing nodes it is what NVIDIA's GPU feature "
        "discovery says of them",
        default=None,
    )
    gpu_resource: str = spec_field(
        "how the GPUs' device plugin calls them; the pool's model servers ask for these",
        default=NVIDIA,
    )
    labels: Mapping[str, str] = spec_field(
        "labels of the nodes: those that existing ones have, and by which pods choose them; those "
        "that Karpenter gives to its own",
        default={},
    )
    taints: tuple[TaintSettings, ...] = spec_field(
        "taints of the nodes: those that existing ones have, those that Karpenter gives to its own",
        default=(),
    )
    nodes: int | None = spec_field("how many nodes there are; with `kind: existing`", default=None)
    node: NodeSettings | None = spec_field(
        "what one node gives to pods, so that preview can say what does not fit", default=None
    )
    node_class_ref: NodeClassSettings | None = spec_field(
        "Karpenter's node class; required with `kind: karpenter`", default=None
    )
    instance_types: tuple[str, ...] = spec_field("such as g6e.12xlarge", default=())
    instance_families: tuple[str, ...] = spec_field("such as g6e", default=())
    zones: tuple[str, ...] = spec_field("such as eu-central-1a", default=())
    capacity_types: tuple[Literal["on-demand", "spot", "reserved"], ...] = spec_field(
        "how nodes are paid for; Karpenter's choice when left out", default=()
    )
    requirements: tuple[RequirementSettings, ...] = spec_field(
        "further requirements on the nodes", default=()
    )
    limits: LimitSettings | None = spec_field("what all nodes may have together", default=None)
    disruption: DisruptionSettings | None = spec_field(
        "when Karpenter takes nodes away; left out: once they are empty for five minutes",
        default=None,
    )
    expire_after: str | None = spec_field(
        "how old a node may grow, or Never; Karpenter's 720h when left out", default=None
    )
    termination_grace_period: str | None = spec_field(
        "after which a node goes whatever still runs on it", default=None
    )
    weight: int | None = spec_field("1 to 100: the heavier pool is tried first", default=None)
