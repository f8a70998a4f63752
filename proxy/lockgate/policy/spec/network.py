"""What the generated NetworkPolicy opens: who may call a router, and how far its own calls go.

A NetworkPolicy knows no names, so a backend outside the cluster with a name in its URL opens its
port to every address unless something here says better.
"""

from collections.abc import Mapping
from typing import Literal

from attrs import frozen

from lockgate.policy.spec.fields import spec_field


@frozen
class Gateway:
    """The pods that requests for a backend go through on their way out of the cluster."""

    namespace: str = spec_field("their namespace")
    pods: Mapping[str, str] = spec_field("their labels")
    port: int = spec_field("the port that they listen on")


@frozen
class BackendEgress:
    """How far the requests for one external backend go."""

    name: str = spec_field("name of the backend: one outside the cluster, or a Service in it")
    cidrs: tuple[str, ...] = spec_field(
        "address blocks that it is in; exactly one of this and `gateway`", default=()
    )
    gateway: Gateway | None = spec_field(
        "pods that it is reached through, or that are behind its Service; nothing beyond them",
        default=None,
    )


@frozen
class Dns:
    """The pods that look names up, and their own port: a Service's may be another."""

    namespace: str = spec_field("their namespace", default="kube-system")
    port: int = spec_field("the port that they listen on, UDP and TCP", default=53)


@frozen
class Egress:
    """What the generated NetworkPolicy lets out. At most one of the first three is stated."""

    cidrs: tuple[str, ...] = spec_field(
        "address blocks that every cloud backend with a name is in, but those under `backends`",
        default=(),
    )
    gateway: Gateway | None = spec_field(
        "pods that every cloud backend with a name is reached through, but those under `backends`",
        default=None,
    )
    fqdn_policy: Literal["cilium", "calico"] | None = spec_field(
        "cilium: a CiliumNetworkPolicy lets out to the very names of all backends outside the "
        "cluster, attested ones too, but those under `backends`",
        default=None,
    )
    backends: tuple[BackendEgress, ...] = spec_field("backends one by one", default=())
    dns: Dns = spec_field(
        "where names are looked up; on OpenShift `{ namespace: openshift-dns, port: 5353 }`",
        default=Dns(),
    )


@frozen
class Caller:
    """Pods of a namespace, or addresses, that may open connections."""

    namespace: str | None = spec_field(
        "namespace of pods that may; exactly one of this and `cidr`", default=None
    )
    pods: Mapping[str, str] | None = spec_field(
        "labels of those pods; all of the namespace when left out", default=None
    )
    cidr: str | None = spec_field(
        "addresses outside the cluster that may, as the pods see them", default=None
    )
