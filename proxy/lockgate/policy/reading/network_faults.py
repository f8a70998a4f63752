"""What `proxy.egress`, `endpoint.from` and `endpoint.adminFrom` may not say."""

import re
from collections.abc import Iterator, Mapping
from ipaddress import ip_network
from typing import Any, Final

from lockgate.policy.address import cidr_fault, whereabouts
from lockgate.policy.reading.suggestions import ask, write
from lockgate.policy.reading.validate import Fault
from lockgate.policy.spec.backends import Backend
from lockgate.policy.spec.model_router import RouterSpec
from lockgate.policy.spec.names import as_name
from lockgate.policy.spec.network import BackendEgress, Caller, Egress, Gateway

NAMESPACE: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\Z")
"""An RFC 1123 label, as Kubernetes wants it."""
_LABEL: Final = r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?"
LABEL_KEY: Final = re.compile(rf"([a-z0-9]([a-z0-9.-]{{0,251}}[a-z0-9])?/)?{_LABEL}\Z")
LABEL_VALUE: Final = re.compile(rf"({_LABEL})?\Z")
"""https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#syntax-and-character-set"""
CLOSED: Final = (
    "0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/4",
    "::/127", "fe80::/10", "ff00::/8",
)  # fmt: skip
"""Nobody's, the pod's own, and link-local, where clouds hand out credentials."""
_EXAMPLE: Final = "write `cidrs: [203.0.113.0/24]`, for example"


def network_faults(spec: RouterSpec) -> Iterator[Fault]:
    """Yield every fault of what a policy says of its NetworkPolicy."""
    if spec.proxy.egress is not None:
        yield from _egress(spec, spec.proxy.egress, "proxy.egress")
    callers = spec.endpoint.callers
    if callers == ():
        suggestion = "leave it out for anybody, or write `from: [{ namespace: NAMESPACE }]`"
        yield "endpoint.from", "is empty: nobody could call", suggestion
    for number, caller in enumerate(callers or ()):
        yield from _caller(caller, f"endpoint.from[{number}]")
    for number, caller in enumerate(spec.endpoint.admin_callers):
        yield from _caller(caller, f"endpoint.adminFrom[{number}]")


def _egress(spec: RouterSpec, egress: Egress, path: str) -> Iterator[Fault]:
    ways = {
        "cidrs": bool(egress.cidrs),
        "gateway": egress.gateway is not None,
        "fqdnPolicy": egress.fqdn_policy is not None,
    }
    stated = [name for name, is_stated in ways.items() if is_stated]
    if len(stated) > 1:
        suggestion = f"keep `{stated[0]}:`, and name single backends under `backends:`"
        yield path, f"has both {' and '.join(stated)}", suggestion
    named = [backend for backend in spec.backends if _may_be_named(backend)]
    if egress.fqdn_policy is None:
        named = [backend for backend in named if backend.tier == "cloud"]
    if stated and not named:
        why = "is for backends outside the cluster with a name, and there is none"
        yield f"{path}.{stated[0]}", why, "leave it out"
    yield from _cidrs(egress.cidrs, f"{path}.cidrs")
    if egress.gateway is not None:
        yield from _gateway(egress.gateway, f"{path}.gateway")
    yield from _namespace(egress.dns.namespace, f"{path}.dns.namespace")
    yield from _port(egress.dns.port, f"{path}.dns.port", 53)
    seen: dict[str, int] = {}
    for number, entry in enumerate(egress.backends):
        place = f"{path}.backends[{number}]"
        if entry.name in seen:
            why = f"{entry.name!r} is already {path}.backends[{seen[entry.name]}]'s"
            yield f"{place}.name", why, "leave one of them out"
        seen.setdefault(entry.name, number)
        yield from _entry(spec, entry, place)


def _may_be_named(backend: Backend) -> bool:
    """Whether a backend is outside the cluster by name; one without a URL yet may become that."""
    return backend.external is not None and whereabouts(backend) in {"name", None}


def _entry(spec: RouterSpec, entry: BackendEgress, path: str) -> Iterator[Fault]:
    backend = next((b for b in spec.backends if b.name == entry.name), None)
    if backend is None:
        names = [b.name for b in spec.backends if b.external is not None]
        place = f"{path}.name"
        suggestion = ask(entry.name, names, place) or write(place, *(names[:10] or ["NAME"]))
        yield place, f"there is no backend {entry.name!r}", suggestion
    elif backend.external is None or whereabouts(backend) == "address":
        what = "the pods of its service" if backend.external is None else "the address in its url"
        yield f"{path}.name", f"only {what} are opened for {entry.name!r}", "leave the entry out"
    elif whereabouts(backend) == "cluster" and entry.cidrs:
        why = "is for a backend outside the cluster; a Service's pods are named by their labels"
        suggestion = "write `gateway: { namespace: NAMESPACE, pods: { app: NAME }, port: PORT }`"
        yield f"{path}.cidrs", why, suggestion
    if bool(entry.cidrs) == (entry.gateway is not None):
        both = "both" if entry.cidrs else "neither"
        suggestion = "keep one: `cidrs: [203.0.113.0/24]` or `gateway: { ... }`"
        yield path, f"has {both} of cidrs and gateway", suggestion
    yield from _cidrs(entry.cidrs, f"{path}.cidrs")
    if entry.gateway is not None:
        yield from _gateway(entry.gateway, f"{path}.gateway")


def _cidrs(blocks: tuple[str, ...], path: str) -> Iterator[Fault]:
    for number, block in enumerate(blocks):
        fault = cidr_fault(block)
        if fault is None and _is_closed(block):
            fault = f"{block} is open to no backend: nobody's, the pod's own, or link-local"
        if fault is not None:
            yield f"{path}[{number}]", fault, _EXAMPLE


def _is_closed(block: str) -> bool:
    network: Any = ip_network(block)
    known: list[Any] = [ip_network(one) for one in CLOSED]
    return any(one.version == network.version and network.subnet_of(one) for one in known)


def _gateway(gateway: Gateway, path: str) -> Iterator[Fault]:
    yield from _namespace(gateway.namespace, f"{path}.namespace")
    if not gateway.pods:
        yield f"{path}.pods", "is empty", "write their labels: `pods: { app: egress-gateway }`"
    yield from _labels(gateway.pods, f"{path}.pods")
    yield from _port(gateway.port, f"{path}.port", 443)


def _port(number: int, path: str, example: int) -> Iterator[Fault]:
    if not 1 <= number <= 65535:
        yield path, f"{number} is not a port", f"write `port: {example}`: from 1 to 65535"


def _caller(caller: Caller, path: str) -> Iterator[Fault]:
    if (caller.namespace is None) == (caller.cidr is None):
        both = "neither" if caller.cidr is None else "both"
        suggestion = "keep one: `namespace: NAMESPACE` or `cidr: 10.0.0.0/8`"
        yield path, f"has {both} of namespace and cidr", suggestion
    if caller.namespace is not None:
        yield from _namespace(caller.namespace, f"{path}.namespace")
    if caller.pods is not None:
        if caller.namespace is None:
            yield f"{path}.pods", "means nothing without a namespace", "add `namespace: NAMESPACE`"
        if not caller.pods:
            yield f"{path}.pods", "is empty", "leave it out for all pods of the namespace"
        yield from _labels(caller.pods, f"{path}.pods")
    fault = cidr_fault(caller.cidr) if caller.cidr is not None else None
    if fault is not None:
        yield f"{path}.cidr", fault, "write `cidr: 10.0.0.0/8`, for example"


def _namespace(name: str, path: str) -> Iterator[Fault]:
    if not NAMESPACE.match(name):
        suggestion = write(path, as_name(name).rstrip("-"))
        yield path, f"{name!r} is not the name of a namespace", suggestion


def _labels(labels: Mapping[str, str], path: str) -> Iterator[Fault]:
    for key, value in labels.items():
        if not LABEL_KEY.match(key):
            yield f"{path}.{key}", f"{key!r} is not the key of a label", "write `app: NAME`"
        elif not LABEL_VALUE.match(value):
            yield f"{path}.{key}", f"{value!r} is not the value of a label", f"write `{key}: NAME`"
