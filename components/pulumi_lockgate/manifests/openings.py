"""What a router's network policies open, an opening a backend: for manifests and for reviewers.

NetworkPolicy knows no names (https://kubernetes.io/docs/concepts/services-networking/network-policies/),
so a named backend means its port to everything but private addresses, unless `proxy.egress` says
better: blocks, pods that stand before it, or the name itself for a CNI that knows names.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from ipaddress import ip_address, ip_network
from typing import Any, Final
from urllib.parse import urlsplit

from attrs import frozen
from lockgate.policy.address import kind_of, whereabouts
from lockgate.policy.reading.network_faults import CLOSED
from lockgate.policy.spec.backends import DEFAULT_URLS, Backend, ServiceRef
from lockgate.policy.spec.model_router import RouterSpec
from lockgate.policy.spec.network import BackendEgress, Caller, Dns, Gateway
from lockgate.policy.spec.site import Site
from lockgate.policy.special_addresses import METADATA

from pulumi_lockgate.manifests.common import selector

ROUTER: Final = "router"
MODEL: Final = "model-server"
SERVICE_PORT: Final = 8080
ADMIN_PORT: Final = 9090
PRIVATE: Final = (
    "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
    "192.168.0.0/16", "224.0.0.0/4",
    "::/128", "::1/128", "fc00::/7", "fe80::/10", "ff00::/8", "64:ff9b::/96",
)  # fmt: skip
EVERYWHERE: Final = ("0.0.0.0/0", "::/0")
NAME: Final = "kubernetes.io/metadata.name"
"""The label that Kubernetes puts onto each namespace, with its name."""
OWN: Final = "the router's namespace"
LLMKUBE_SERVICE: Final = "inference.llmkube.dev/service"
"""The label that LLMKube puts onto the pods of an InferenceService, with its name."""

OPENSHIFT_DNS: Final[Dns] = Dns(namespace="openshift-dns", port=5353)

_WIDE: Final = {True: "all but private addresses", False: "all addresses, private ones too"}
"""What a name means to a NetworkPolicy, for a backend that goes out and for another."""

Peer = Mapping[str, Any]
"""A peer as a NetworkPolicy has it; `{"fqdn": NAME}` for one that only a CNI's own policy can."""
Port = Mapping[str, Any]


@frozen
class Opening:
    """One thing that is open: to or from `peers` on `ports`. `peers` None: anybody.

    `what` is the backend's name, or what is called there; no `ports` are every port. `short` are
    peers with a name for people; `note` is what a reviewer must know besides.
    """

    what: str
    peers: tuple[Peer, ...] | None
    ports: tuple[Port, ...]
    note: str = ""
    short: str = ""


def ingress(spec: RouterSpec) -> tuple[Opening, ...]:
    """Return who may open connections to a router's pods: to the endpoint, to the admin port."""
    callers = spec.endpoint.callers
    admin = tuple(map(_caller, spec.endpoint.admin_callers))
    note = "" if admin else "the kubelet's probes alone, from the pod's own node"
    return (
        Opening(
            "requests",
            None if callers is None else tuple(map(_caller, callers)),
            (port(SERVICE_PORT),),
            _outside(spec),
        ),
        Opening("admin", admin, (port(ADMIN_PORT),), note),
    )


def egress(spec: RouterSpec, namespace: str) -> tuple[Opening, ...]:
    """Return where a router's pods may connect to: DNS, then each backend and nothing else."""
    stated = spec.proxy.egress.dns if spec.proxy.egress is not None else None
    found = [_of_backend(spec, backend, namespace) for backend in spec.backends]
    return lookups(spec.proxy.site, stated), *found


def lookups(site: Site | None, stated: Dns | None = None) -> Opening:
    """Return the opening to the cluster's DNS: what is stated, else what the platform has."""
    is_open = site is not None and site.platform == "openshift"
    dns = OPENSHIFT_DNS if is_open and stated in {None, Dns()} else stated or Dns()
    ports = tuple({"port": dns.port, "protocol": protocol} for protocol in ("UDP", "TCP"))
    return Opening("DNS", (_pods(dns.namespace, None),), ports)


def wide(spec: RouterSpec) -> Iterator[str]:
    """Yield a line for each backend whose name opens its port to about everywhere."""
    for opening in wide_ones(egress(spec, "")):
        yield f"network egress for {opening.what}: its port, to {opening.short}"


def wide_ones(openings: Iterable[Opening]) -> list[Opening]:
    """Return the openings to about everywhere."""
    return [one for one in openings if one.short in _WIDE.values()]


def opens_names(spec: RouterSpec) -> bool:
    """Whether a CNI that knows names gets a policy of its own."""
    return spec.proxy.egress is not None and spec.proxy.egress.fqdn_policy is not None


def is_by_name(opening: Opening) -> bool:
    """Whether a NetworkPolicy cannot say this: its peers are names."""
    return any("fqdn" in peer for peer in opening.peers or ())


def port(number: int) -> dict[str, Any]:
    """Return a TCP port as a NetworkPolicy has it."""
    return {"port": number, "protocol": "TCP"}


def _caller(caller: Caller) -> Peer:
    if caller.cidr is not None:
        return {"ipBlock": {"cidr": caller.cidr}}
    return _pods(caller.namespace or "", caller.pods)


def _outside(spec: RouterSpec) -> str:
    """Return what is to be known of callers outside the cluster, where the Service is for them."""
    callers, kind = spec.endpoint.callers, spec.endpoint.type
    if callers is None or kind == "ClusterIP" or any(caller.cidr for caller in callers):
        return ""
    return f"the Service is {kind}, and no caller outside the cluster is named by `cidr`"


def _pods(namespace: str, labels: Mapping[str, str] | None) -> Peer:
    peer: dict[str, Any] = {"namespaceSelector": {"matchLabels": {NAME: namespace}}}
    return {**peer, "podSelector": {"matchLabels": dict(labels)}} if labels else peer


def _of_backend(spec: RouterSpec, backend: Backend, namespace: str) -> Opening:
    service = backend.service
    if isinstance(service, ServiceRef):
        return _of_service(backend.name, service, service.namespace or namespace)
    if service is not None:
        there = service.namespace or namespace
        # the pod's own port differs by runtime; the pods are named, ours and LLMKube's
        pods = (selector(service.name.replace(".", "-"), MODEL), {LLMKUBE_SERVICE: service.name})
        peers = tuple(_pods(there, one) for one in pods)
        short = f"the pods of InferenceService {service.name} in {there or OWN}"
        return Opening(backend.name, peers, (), short=short)
    stated = _stated(spec, backend)
    if stated is not None and stated.gateway is not None:
        return _through(backend, stated.gateway)
    blocks: tuple[str, ...] = () if stated is None else stated.cidrs
    note = f"attested: {backend.attested_local}" if backend.attested_local else ""
    host = (urlsplit(_url(backend)).hostname or "").rstrip(".")
    is_name = whereabouts(backend) == "name" and not _is_own_pod(host)
    if is_name and opens_names(spec) and not blocks:
        peer = {"fqdn": host}
        return Opening(backend.name, (peer,), (port(_port(_url(backend))),), note)
    return by_url(backend.name, _url(backend), blocks, note, goes_out=_goes_out(backend))


def by_url(
    what: str, url: str, blocks: tuple[str, ...] = (), note: str = "", *, goes_out: bool
) -> Opening:
    """Return the opening to a URL's host: an address, a Service's pods, or what a name may be.

    A name is anything, or the `blocks`; what `goes_out` is nothing private then.
    """
    host = (urlsplit(url).hostname or "").rstrip(".")
    ports = (port(_port(url)),)
    if _is_own_pod(host):
        return Opening(what, (), (), "its own pod, which needs no opening")
    kind = kind_of(url)
    if kind == "address":
        return Opening(what, ({"ipBlock": {"cidr": str(ip_network(host))}},), ports, note)
    if kind == "cluster":
        within = host.removesuffix(".svc.cluster.local").removesuffix(".svc").split(".")[-1]
        return Opening(what, (_pods(within, None),), (), "no pod of it is named")
    peers = tuple(open_block(one, goes_out=goes_out) for one in blocks or EVERYWHERE)
    return Opening(what, peers, ports, note, "" if blocks else _WIDE[goes_out])


def _of_service(backend: str, service: ServiceRef, namespace: str) -> Opening:
    """Return the opening to a Service that something else runs: its pods, by the stated labels."""
    labels = service.pod_labels
    shown = ",".join(f"{key}={value}" for key, value in (labels or {}).items())
    which = f"pods {shown}" if labels else "every pod"
    short = f"{which} in {namespace or OWN}, behind Service {service.name}"
    return Opening(backend, (_pods(namespace, labels),), (), short=short)


def _stated(spec: RouterSpec, backend: Backend) -> BackendEgress | None:
    """Return what the policy says of a backend's egress, by its name or for all of the cloud."""
    stated = spec.proxy.egress
    if stated is None:
        return None
    own = next((entry for entry in stated.backends if entry.name == backend.name), None)
    if own is not None:
        return own
    if backend.tier != "cloud" or whereabouts(backend) != "name":
        return None
    if not stated.cidrs and stated.gateway is None:
        return None
    return BackendEgress(name=backend.name, cidrs=stated.cidrs, gateway=stated.gateway)


def _through(backend: Backend, gateway: Gateway) -> Opening:
    peer = _pods(gateway.namespace, gateway.pods)
    note = ""
    if whereabouts(backend) == "name":
        host = _host(backend)
        note = f"the proxy connects to {host}: a mesh or DNS must lead that there"
    return Opening(backend.name, (peer,), (port(gateway.port),), note)


def _is_own_pod(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _goes_out(backend: Backend) -> bool:
    external = backend.external
    return backend.tier == "cloud" and not (external and external.allow_private_address)


def open_block(block: str, *, goes_out: bool) -> Peer:
    """Return a block without what is closed in it: link-local, metadata, private for a cloud's."""
    outer: Any = ip_network(block)
    closed = [*(PRIVATE if goes_out else ()), *CLOSED, *map(str, METADATA)]
    known = [one for one in map(ip_network, closed) if one.version == outer.version]
    kept: list[Any] = []
    for one in sorted(known, key=lambda found: found.prefixlen):
        fits = one != outer and one.subnet_of(outer)
        if fits and not any(one.subnet_of(other) for other in kept):
            kept.append(one)
    found: dict[str, Any] = {"cidr": block}
    if kept:
        found["except"] = [str(one) for one in sorted(kept)]
    return {"ipBlock": found}


def _url(backend: Backend) -> str:
    external = backend.external
    if external is None:
        return ""
    return external.url or DEFAULT_URLS.get(external.provider, "")


def _host(backend: Backend) -> str:
    return (urlsplit(_url(backend)).hostname or "").rstrip(".")


def _port(url: str) -> int:
    parts = urlsplit(url)
    return parts.port or (80 if parts.scheme == "http" else 443)


def peer_in_words(peer: Peer | None) -> str:
    """Return one peer in words that leave nothing out; None is anybody."""
    if peer is None:
        return "anybody"
    if peer.keys() == {"ipBlock"}:
        block = peer["ipBlock"]
        kept = ", ".join(block.get("except", ()))
        return f"{block['cidr']} without {kept}" if kept else str(block["cidr"])
    if peer.keys() == {"fqdn"}:
        return f"what {peer['fqdn']} resolves to"
    space = peer.get("namespaceSelector", {}).get("matchLabels", {})
    labels = peer.get("podSelector", {}).get("matchLabels", {})
    if peer == _pods(space.get(NAME, ""), labels or None):
        shown = ", ".join(f"{key}={value}" for key, value in sorted(labels.items()))
        return f"pods {shown} in {space[NAME]}" if shown else f"every pod in {space[NAME]}"
    return json.dumps(peer, sort_keys=True)


def port_in_words(stated: Port | None) -> str:
    """Return one port in words; None is every port."""
    return "every port" if stated is None else f"{stated['port']}/{stated['protocol']}"


def rows(spec: RouterSpec, namespace: str) -> Iterator[tuple[str, str, str]]:
    """Yield what is open as (in or out, to what, in words), for people; a row an opening."""
    for way, openings in (("in", ingress(spec)), ("out", egress(spec, namespace))):
        for opening in openings:
            if opening.peers == ():
                yield way, opening.what, f"{_ports(opening)}: {opening.note}"
                continue
            note = f" ({opening.note})" if opening.note else ""
            who = opening.short or _who(opening.peers)
            yield way, opening.what, f"{_ports(opening)}: {who}{note}"


def _ports(opening: Opening) -> str:
    numbers = dict.fromkeys(str(one["port"]) for one in opening.ports)
    return f"port {', '.join(numbers)}" if numbers else "every port"


def _who(peers: tuple[Peer, ...] | None) -> str:
    return "anybody" if peers is None else " or ".join(map(peer_in_words, peers))
