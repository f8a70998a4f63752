"""What the rules see of a stack: resources as the SDK hands them, and the pods in them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

Props = Mapping[str, Any]

ROUTER: Final = "lockgate:index:ModelRouter"
OURS: Final = "lockgate:index:"
_TEMPLATED: Final = frozenset(
    {"Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "ReplicationController", "Job"}
)
CONTAINERS: Final = ("containers", "initContainers", "ephemeralContainers")


class Resource(Protocol):
    """The part of `pulumi_policy.PolicyResource` that the rules read."""

    resource_type: str
    urn: str
    props: Props


@dataclass(frozen=True)
class Pod:
    """A pod as a resource describes it: its metadata and its spec."""

    namespace: str
    labels: Mapping[str, str]
    spec: Props

    def containers(self) -> Iterator[tuple[str, Props]]:
        """Yield every container with its place in the spec."""
        for field in CONTAINERS:
            for number, container in enumerate(self.spec.get(field) or ()):
                yield f"{field}[{number}]", container


def kind_of(resource_type: str) -> str:
    """Return the Kubernetes kind of a type token, empty for what is no Kubernetes resource."""
    package, _, rest = resource_type.partition(":")
    return rest.rpartition(":")[2] if package == "kubernetes" else ""


def pod_of(resource_type: str, props: Props) -> Pod | None:
    """Return the pod that a resource makes, None for one that makes none."""
    kind = kind_of(resource_type)
    namespace = namespace_of(props)
    if kind == "Pod":
        return _pod(namespace, props)
    spec = props.get("spec") or {}
    if kind == "CronJob":
        spec = (spec.get("jobTemplate") or {}).get("spec") or {}
    elif kind not in _TEMPLATED:
        return None
    return _pod(namespace, spec.get("template") or {})


def _pod(namespace: str, held: Props) -> Pod:
    metadata = held.get("metadata") or {}
    return Pod(namespace, metadata.get("labels") or {}, held.get("spec") or {})


def namespace_of(props: Props) -> str:
    """Return an object's namespace."""
    return (props.get("metadata") or {}).get("namespace") or "default"


def made_by(urn: str, prefix: str) -> bool:
    """Whether a component whose type begins with `prefix` is above the resource of this URN.

    A URN carries the types of all parents: ``urn:pulumi:STACK::PROJECT::PARENT$TYPE::NAME``.
    """
    types = urn.split("::")[2].split("$") if urn.count("::") >= 3 else []
    return any(kind.startswith(prefix) for kind in types[:-1])
