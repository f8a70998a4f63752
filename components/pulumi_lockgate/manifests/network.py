"""NetworkPolicies of routers and model servers, made from the policy's backends.

NetworkPolicy knows no names (https://kubernetes.io/docs/concepts/services-networking/network-policies/),
so a named cloud backend means its port to everything but private addresses.
"""

import ipaddress
from typing import Any, Final
from urllib.parse import urlsplit

from lockgate.policy.spec.backends import DEFAULT_URLS, Backend
from lockgate.policy.spec.model_router import RouterSpec

from pulumi_lockgate.manifests.common import Manifest, labels, metadata, selector

ROUTER: Final = "router"
MODEL: Final = "model-server"
SERVICE_PORT: Final = 8080
ADMIN_PORT: Final = 9090
PRIVATE_V4: Final = (
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "224.0.0.0/4",
)
PRIVATE_V6: Final = ("::/128", "::1/128", "fc00::/7", "fe80::/10", "ff00::/8", "64:ff9b::/96")

LINK_LOCAL: Final = {"0.0.0.0/0": "169.254.0.0/16", "::/0": "fe80::/10"}
"""Where clouds hand out credentials: open to nobody."""
_CLUSTER: Final = (".svc", ".svc.cluster.local")

LLMKUBE_SERVICE: Final = "inference.llmkube.dev/service"
"""The label that LLMKube puts onto the pods of an InferenceService, with its name."""

Peer = dict[str, Any]


def router_network_policy(name: str, namespace: str, spec: RouterSpec) -> Manifest:
    """Return the policy of a router's pods: in on its ports, out to DNS and its backends alone."""
    egress = [_dns()]
    for rule in (_egress(backend, namespace) for backend in spec.backends):
        if rule not in egress:
            egress.append(rule)
    ports = [_port(SERVICE_PORT), _port(ADMIN_PORT)]
    return _policy(name, namespace, ROUTER, [{"ports": ports}], egress)


def model_network_policy(name: str, namespace: str, container_port: int) -> Manifest:
    """Return the policy of a model server's pods: in from routers, out to nobody."""
    routers = {
        "namespaceSelector": {},
        "podSelector": {"matchLabels": {"app.kubernetes.io/component": ROUTER}},
    }
    ingress = [{"from": [routers], "ports": [_port(container_port)]}]
    return _policy(name, namespace, MODEL, ingress, [])


def open_egress(spec: RouterSpec) -> tuple[str, ...]:
    """Return the backends outside the cluster that have a name: their port is open to addresses."""
    return tuple(backend.name for backend in spec.backends if _is_named(backend))


def is_wide(backend: Backend) -> bool:
    """Whether the port of a backend with a name is open to private addresses too."""
    return not _goes_out(backend)


def _is_named(backend: Backend) -> bool:
    host = _host(backend)
    return backend.external is not None and _literal(host) is None and not host.endswith(_CLUSTER)


def _policy(
    name: str, namespace: str, component: str, ingress: list[Any], egress: list[Any]
) -> Manifest:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": metadata(name, namespace, labels(name, component)),
        "spec": {
            "podSelector": {"matchLabels": selector(name, component)},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": ingress,
            "egress": egress,
        },
    }


def _dns() -> Peer:
    system = {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}}
    ports = [{"port": 53, "protocol": protocol} for protocol in ("UDP", "TCP")]
    return {"to": [{"namespaceSelector": system}], "ports": ports}


def _port(number: int) -> dict[str, Any]:
    return {"port": number, "protocol": "TCP"}


def _egress(backend: Backend, namespace: str) -> Peer:
    service = backend.inference_service_ref
    if service is not None:
        space = {"namespaceSelector": _namespace(service.namespace or namespace)}
        pods = (selector(service.name.replace(".", "-"), MODEL), {LLMKUBE_SERVICE: service.name})
        # the pod's own port differs by runtime; the pods are named, ours and LLMKube's
        return {"to": [{**space, "podSelector": {"matchLabels": one}} for one in pods]}
    host, port = _host(backend), _url_port(backend)
    address = _literal(host)
    if address is not None:
        block = f"{address}/{address.max_prefixlen}"
        return {"to": [{"ipBlock": {"cidr": block}}], "ports": [_port(port)]}
    if host.endswith(_CLUSTER):
        within = host.removesuffix(".svc.cluster.local").removesuffix(".svc").split(".")[-1]
        return {"to": [{"namespaceSelector": _namespace(within)}]}
    return {"to": _public() if _goes_out(backend) else _anywhere(), "ports": [_port(port)]}


def _goes_out(backend: Backend) -> bool:
    external = backend.external
    return backend.tier == "cloud" and not (external and external.allow_private_address)


def _public() -> list[Peer]:
    return [
        {"ipBlock": {"cidr": "0.0.0.0/0", "except": list(PRIVATE_V4)}},
        {"ipBlock": {"cidr": "::/0", "except": list(PRIVATE_V6)}},
    ]


def _anywhere() -> list[Peer]:
    return [{"ipBlock": {"cidr": all_, "except": [own]}} for all_, own in LINK_LOCAL.items()]


def _namespace(name: str) -> dict[str, Any]:
    return {"matchLabels": {"kubernetes.io/metadata.name": name}}


def _url(backend: Backend) -> str:
    external = backend.external
    if external is None:
        return ""
    return external.url or DEFAULT_URLS.get(external.provider, "")


def _host(backend: Backend) -> str:
    return (urlsplit(_url(backend)).hostname or "").rstrip(".")


def _url_port(backend: Backend) -> int:
    parts = urlsplit(_url(backend))
    return parts.port or (80 if parts.scheme == "http" else 443)


def _literal(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
