"""A Mac outside the cluster, inside it: a Service without pods, and what its own launchd is told.

https://kubernetes.io/docs/concepts/services-networking/service/#services-without-selectors and
https://kubernetes.io/docs/reference/kubernetes-api/service-resources/endpoint-slice-v1/. Routers go
to its address itself, which their NetworkPolicy opens; the Service is for everybody else.
"""

from ipaddress import ip_address
from typing import Any, Final

from attrs import frozen
from lockgate.policy.reading.placing import Machine

from pulumi_lockgate.manifests.common import Manifest, labels, metadata

METAL: Final = "metal-host"
MANAGED_BY: Final = "endpointslice.kubernetes.io/managed-by"
GIB: Final = 2**30


@frozen
class Metal:
    """A machine, and what it is told. `memory` is in bytes; `tls` are certificate and key."""

    machine: Machine
    namespace: str
    model: str
    memory: int
    user: str
    server: str
    memory_fraction: float | None = None
    context_size: int | None = None
    parallel_slots: int | None = None
    extra_args: tuple[str, ...] = ()
    tls: tuple[str, str] | None = None
    api_key_file: str | None = None
    apple_power_enabled: bool = False

    @property
    def name(self) -> str:
        """Its name, and that of its objects."""
        return self.machine.name

    @property
    def fraction(self) -> float:
        """The share of the memory that the GPU may have: the stated one, else macOS's own."""
        own = 0.67 if self.memory <= 36 * GIB else 0.75
        return own if self.memory_fraction is None else self.memory_fraction

    @property
    def gpu_megabytes(self) -> int:
        """What the GPU may have, in MiB, as `iogpu.wired_limit_mb` counts."""
        return int(self.memory * self.fraction) // 2**20


def metal_manifests(metal: Metal, files: dict[str, str]) -> dict[str, Manifest]:
    """Return every manifest of a machine, by a stable short name; `files` are for the machine."""
    machine, name, namespace = metal.machine, metal.name, metal.namespace
    port = {"name": "http", "port": machine.port, "protocol": "TCP"}
    version = ip_address(machine.address).version
    shown = labels(name, METAL)
    joined = {"kubernetes.io/service-name": name, MANAGED_BY: "lockgate.dev"}
    spec: dict[str, Any] = {
        "type": "ClusterIP",
        "ipFamilies": [f"IPv{version}"],
        "ports": [{**port, "targetPort": machine.port}],
    }
    return {
        "service": {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": metadata(name, namespace, shown, {"pulumi.com/skipAwait": "true"}),
            "spec": spec,
        },
        "endpoints": {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": metadata(f"{name}-metal", namespace, {**shown, **joined}),
            "addressType": f"IPv{version}",
            "endpoints": [{"addresses": [machine.address], "conditions": {"ready": True}}],
            "ports": [port],
        },
        "files": {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": metadata(f"{name}-metal", namespace, shown),
            "data": files,
        },
    }
