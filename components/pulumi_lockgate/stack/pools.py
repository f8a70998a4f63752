"""Node pools of a stack: `lockgate:pools`, as types; with every fault at once."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from attrs import asdict, evolve, fields
from lockgate.policy.reading.document import Member, from_plain
from lockgate.policy.reading.nearest import nearest
from lockgate.policy.reading.problem import Problem
from lockgate.policy.reading.structure import INVALID, Builder
from lockgate.policy.reading.suggestions import worded
from lockgate.policy.spec.fields import wire_name

from pulumi_lockgate.manifests.gpu_kinds import CLASS_LABELS, KINDS
from pulumi_lockgate.manifests.model_server import Inference
from pulumi_lockgate.manifests.pools import (
    NodeClass,
    Pool,
    Requirements,
    Taint,
    conflicts,
    placed,
)
from pulumi_lockgate.manifests.quantities import quantity
from pulumi_lockgate.stack.pool_settings import (
    DisruptionSettings,
    LimitSettings,
    NodeSettings,
    PoolSettings,
    RequirementSettings,
)

KEY: Final = "lockgate:pools"
_MODELS: Final = "lockgate:models"
_NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?\Z")
_LABEL: Final = re.compile(
    r"([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?\Z"
)
_VALUE: Final = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?\Z")
_TIME: Final = re.compile(r"([0-9]+(s|m|h))+\Z")
_NODES: Final = re.compile(r"((100|[0-9]{1,2})%|[0-9]+)\Z")
_SCHEDULE: Final = re.compile(
    r"@(annually|yearly|monthly|weekly|daily|midnight|hourly)\Z|(.+)\s(.+)\s(.+)\s(.+)\s(.+)\Z"
)
"""As the pattern of `schedule` has it in the schema of `karpenter.sh/v1`."""
_RESTRICTED: Final = ("karpenter.sh/nodepool", "kubernetes.io/hostname")
_CAPACITY_TYPE: Final = "karpenter.sh/capacity-type"
"""The one label of Karpenter's own that may be required."""
_KARPENTERS: Final = (
    "nodeClassRef", "instanceTypes", "instanceFamilies", "zones", "capacityTypes", "requirements",
    "limits", "disruption", "expireAfter", "terminationGracePeriod", "weight",
)  # fmt: skip
"""Fields of nodes that Karpenter makes."""


def read_pool(name: str, settings: Mapping[str, Any]) -> tuple[Pool | None, tuple[Problem, ...]]:
    """Return the pool `name` out of plain `settings`, or None and every fault."""
    builder, faults = Builder(PoolSettings), list[Problem]()
    found = pool_of(builder, faults, Member(name, None, from_plain(dict(settings))))
    above = f"{KEY}.{name}."
    problems = [*worded(builder.refusals), *faults]
    own = tuple(evolve(problem, path=problem.path.removeprefix(above)) for problem in problems)
    return (None if problems else found), own


def pool_of(builder: Builder, faults: list[Problem], member: Member) -> Pool | None:
    """Return a pool as it stands in a tree; `faults` gets what its values may not say."""
    path = f"{KEY}.{member.key}"
    settings: Any = builder.build(PoolSettings, member.node, path)
    stated = {m.key for m in member.node.value} if member.node.is_mapping else set()
    if settings is INVALID:
        return None
    found = [*_named(member.key), *_faults(settings, stated)]
    for field, message, suggestion in found:
        place = f"{path}.{field}" if field else path
        if place not in builder.reported:
            line = builder.line_of(place) or member.line
            faults.append(Problem(place, line, message, suggestion))
    return None if found else _pool(member.key, settings)


def place_models(
    models: Mapping[str, Inference | None],
    pools: Mapping[str, Pool | None],
    builder: Builder,
    faults: list[Problem],
) -> dict[str, Inference | None]:
    """Return the model servers on their pools' nodes; `faults` gets what cannot be there."""
    return {
        name: None if model is None else _placed(name, model, pools, builder, faults)
        for name, model in models.items()
    }


def _placed(
    name: str,
    model: Inference,
    pools: Mapping[str, Pool | None],
    builder: Builder,
    faults: list[Problem],
) -> Inference:
    if model.pool is None:
        return model
    path = f"{_MODELS}.{name}"
    if model.pool not in pools:
        meant = nearest(model.pool, pools)
        mend = f"did you mean {meant}?" if meant else f"write it under `{KEY}:`"
        place = f"{path}.pool"
        message = f"{model.pool!r} is no pool of this stack"
        faults.append(Problem(place, builder.line_of(place), message, mend))
        return model
    pool = pools[model.pool]
    if pool is None:
        return model
    for field, message in conflicts(pool, model):
        place = f"{path}.{field}"
        mend = "leave it out, or name another pool"
        faults.append(Problem(place, builder.line_of(place), message, mend))
    return placed(pool, model)


def _pool(name: str, stated: PoolSettings) -> Pool:
    is_made = stated.kind == "karpenter"
    ref, limits, node = stated.node_class_ref, stated.limits, stated.node
    further = tuple(_stated(asdict(one)) for one in stated.requirements)
    return Pool(
        name,
        NodeClass(ref.group, ref.kind, ref.name) if ref is not None else None,
        stated.gpu,
        stated.gpu_resource,
        stated.labels,
        tuple(Taint(one.key, one.effect, one.value) for one in stated.taints),
        Requirements(
            stated.instance_types,
            stated.instance_families,
            stated.zones,
            stated.capacity_types,
            further,
        ),
        {} if limits is None else _amounts(limits, stated.gpu_resource),
        _disruption(stated.disruption or DisruptionSettings()) if is_made else {},
        stated.expire_after,
        stated.termination_grace_period,
        stated.weight,
        stated.nodes,
        {} if node is None else _amounts(node, stated.gpu_resource),
    )


def _amounts(stated: LimitSettings | NodeSettings, gpu_resource: str) -> dict[str, str]:
    found = {"cpu": stated.cpu, "memory": stated.memory, gpu_resource: stated.gpu}
    return {key: str(value) for key, value in found.items() if value is not None}


def _disruption(stated: DisruptionSettings) -> dict[str, Any]:
    made: dict[str, Any] = {
        "consolidationPolicy": stated.consolidation_policy,
        "consolidateAfter": stated.consolidate_after,
    }
    if stated.budgets:
        made["budgets"] = [_stated(asdict(one)) for one in stated.budgets]
    return made


def _stated(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return what was said, without what was left out; lists as such."""
    lists = {key: list(v) if isinstance(v, tuple) else v for key, v in values.items()}
    return {key: value for key, value in lists.items() if value not in (None, [])}


def _named(name: str) -> Iterator[tuple[str, str, str]]:
    if not _NAME.match(name):
        message = f"{name!r} is no name of a pool"
        yield "", message, "use at most 63 small letters, digits and dashes"


def _faults(pool: PoolSettings, stated: set[str]) -> Iterator[tuple[str, str, str]]:
    """Yield (field, what is wrong, the mend)."""
    if pool.kind == "karpenter":
        yield from _made(pool)
    else:
        yield from _existing(pool, stated)
    yield from _gpu(pool)
    yield from _marks(pool)
    yield from _capacity(pool)


def _made(pool: PoolSettings) -> Iterator[tuple[str, str, str]]:
    if pool.node_class_ref is None:
        write = "`nodeClassRef: { group: karpenter.k8s.aws, kind: EC2NodeClass, name: NAME }`"
        yield "nodeClassRef", "is missing", f"write {write}"
    elif "/" in pool.node_class_ref.group:
        message = f"{pool.node_class_ref.group!r} has a version"
        yield "nodeClassRef.group", message, "write the group alone"
    if pool.nodes is not None:
        message = "is Karpenter's to say: it makes nodes as pods need them"
        yield "nodes", message, "bound them by `limits:`"
    for key in pool.labels:
        if key in _RESTRICTED or key.partition("/")[0].endswith("karpenter.sh"):
            yield f"labels.{key}", "is Karpenter's own", "leave it out"
    for number, one in enumerate(pool.requirements):
        yield from _requirement(f"requirements[{number}]", one)
    if pool.weight is not None and not 1 <= pool.weight <= 100:
        yield "weight", f"{pool.weight} is not from 1 to 100", "write `weight: 10`"
    yield from _times(pool)


def _requirement(field: str, stated: RequirementSettings) -> Iterator[tuple[str, str, str]]:
    if not _LABEL.match(stated.key) or _is_reserved(stated.key):
        yield f"{field}.key", f"{stated.key!r} is no label to require", "name another label"
    values, operator = stated.values, stated.operator
    if operator in {"Exists", "DoesNotExist"} and values:
        yield f"{field}.values", f"mean nothing to {operator}", "leave them out"
    if operator in {"In", "NotIn"} and not values:
        yield f"{field}.values", f"are missing: operator is {operator}", "write `values: [a]`"
    if operator in {"Gt", "Lt"} and not (len(values) == 1 and values[0].isdecimal()):
        yield f"{field}.values", f"are not one whole number, as {operator} wants", "`values: ['8']`"
    for value in values:
        if not _VALUE.match(value):
            yield f"{field}.values", f"{value!r} is no value of a label", "write another one"


def _is_reserved(key: str) -> bool:
    is_own = key.partition("/")[0].endswith("karpenter.sh") and key != _CAPACITY_TYPE
    return is_own or key in _RESTRICTED


def _times(pool: PoolSettings) -> Iterator[tuple[str, str, str]]:
    disruption = pool.disruption or DisruptionSettings()
    times = (
        ("expireAfter", pool.expire_after, True),
        ("terminationGracePeriod", pool.termination_grace_period, False),
        ("disruption.consolidateAfter", disruption.consolidate_after, True),
    )
    for field, value, may_be_never in times:
        if value is None or _TIME.match(value) or (may_be_never and value == "Never"):
            continue
        or_never = " or Never" if may_be_never else ""
        yield field, f"{value!r} is no time like 30s, 10m, 720h{or_never}", "write `10m`"
    for number, budget in enumerate(disruption.budgets):
        field = f"disruption.budgets[{number}]"
        if not _NODES.match(budget.nodes):
            message = f"{budget.nodes!r} is no number and no share of nodes"
            yield f"{field}.nodes", message, 'write `nodes: "1"`'
        if (budget.schedule is None) != (budget.duration is None):
            yield field, "has one of `schedule` and `duration`", "write both"
        if budget.schedule is not None and not _SCHEDULE.match(budget.schedule):
            message = f"{budget.schedule!r} is no schedule of cron"
            yield f"{field}.schedule", message, 'write `schedule: "0 9 * * mon-fri"`'
        if budget.duration is not None and not re.fullmatch(
            "([0-9]+h)?([0-9]+m)?", budget.duration
        ):
            message = f"{budget.duration!r} is not in hours and minutes"
            yield f"{field}.duration", message, "write `duration: 8h`"


def _existing(pool: PoolSettings, stated: set[str]) -> Iterator[tuple[str, str, str]]:
    for field in _KARPENTERS:
        if field in stated:
            message = "is of nodes that Karpenter makes, and these exist"
            yield field, message, "leave it out, or write `kind: karpenter`"
    if not pool.labels and pool.gpu is None:
        message = "says no label of its nodes and no `gpu`: pods would run anywhere"
        yield "labels", message, "write `labels: { NAME: VALUE }`, as `kubectl label node` set it"
    if pool.nodes is not None and pool.nodes < 1:
        yield "nodes", f"{pool.nodes} is less than 1", "write `nodes: 1`"


def _gpu(pool: PoolSettings) -> Iterator[tuple[str, str, str]]:
    ref = pool.node_class_ref if pool.kind == "karpenter" else None
    known = ref is None or ref.group in CLASS_LABELS
    if pool.gpu is not None and pool.gpu not in KINDS:
        meant = nearest(pool.gpu, KINDS)
        mend = f"did you mean {meant}?" if meant else "write the nodes' own label instead"
        yield "gpu", f"{pool.gpu!r} is no kind of GPU that is known here", mend
    elif pool.gpu is not None and not pool.gpu_resource.startswith("nvidia.com/"):
        yield (
            "gpu",
            f"{pool.gpu} is NVIDIA's, and gpuResource is {pool.gpu_resource}",
            "leave it out",
        )
    elif pool.gpu is not None and not known and ref is not None:
        message = f"which label says it on nodes of {ref.group} is not known here"
        yield "gpu", message, "write that label under `requirements:`"
    if pool.instance_families and not known and ref is not None:
        message = f"which label says it on nodes of {ref.group} is not known here"
        yield "instanceFamilies", message, "write that label under `requirements:`"


def _marks(pool: PoolSettings) -> Iterator[tuple[str, str, str]]:
    for key, value in pool.labels.items():
        if not _LABEL.match(key) or not _VALUE.match(value):
            yield f"labels.{key}", "is no label of Kubernetes", "write `NAME: VALUE`"
    for number, taint in enumerate(pool.taints):
        field = f"taints[{number}]"
        if not _LABEL.match(taint.key):
            yield f"{field}.key", f"{taint.key!r} is no key of a taint", "write `key: NAME`"
        if taint.value is not None and not _VALUE.match(taint.value):
            yield f"{field}.value", f"{taint.value!r} is no value of a taint", "write another one"


def _capacity(pool: PoolSettings) -> Iterator[tuple[str, str, str]]:
    parts: tuple[tuple[str, Any], ...] = (("limits", pool.limits), ("node", pool.node))
    for part, stated in parts:
        if stated is None:
            continue
        for field in fields(type(stated)):
            value = getattr(stated, field.name)
            try:
                value is None or quantity(value)
            except ValueError as problem:
                yield f"{part}.{wire_name(field)}", str(problem), 'write `memory: 64Gi`, `cpu: "8"`'
