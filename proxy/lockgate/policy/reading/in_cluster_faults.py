"""What a backend in the cluster may not say: `inferenceServiceRef`, `serviceRef`."""

import re
from collections.abc import Iterator
from typing import Final

from lockgate.policy.spec.backends import Backend, ServiceRef

Fault = tuple[str, str, str]
SERVICE_NAME: Final = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?\Z")
"""An RFC 1035 label, as Kubernetes wants a Service's."""
PATH: Final = re.compile(r"/[!-\"$-~]*\Z")


def in_cluster_faults(backend: Backend, path: str) -> Iterator[Fault]:
    """Yield what is wrong with a backend in the cluster, whoever runs it."""
    if backend.tier == "cloud":
        kind = "a serviceRef" if backend.service_ref else "an inferenceServiceRef"
        yield f"{path}.tier", f"{kind} is not in the cloud", "write `tier: local`"
    if backend.service_ref is not None:
        yield from _service(backend.service_ref, f"{path}.serviceRef")
    if backend.attested_local is not None:
        yield (
            f"{path}.attestedLocal",
            "is for external backends",
            "leave it out: it is local already",
        )


def _service(service: ServiceRef, path: str) -> Iterator[Fault]:
    if not SERVICE_NAME.match(service.name):
        suggestion = "write the name that `kubectl get service` shows"
        yield f"{path}.name", f"{service.name!r} is no name of a Service", suggestion
    if not 1 <= service.port <= 65535:
        yield f"{path}.port", f"{service.port} is not a port", "write `port: 80`"
    if not PATH.match(service.path):
        yield f"{path}.path", f"{service.path!r} is no path", "write `path: /v1`"
    if service.pod_labels == {}:
        why = "is empty: every pod of the namespace would be meant"
        yield f"{path}.podLabels", why, "leave it out for that, or write the pods' labels"
