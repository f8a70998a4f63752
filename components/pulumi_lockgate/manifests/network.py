"""NetworkPolicies of routers and model servers, made from what the policy opens.

A CNI that knows names gets those in a policy of its own kind; what such a policy says adds to what
the NetworkPolicy says (https://docs.cilium.io/en/stable/network/kubernetes/policy/).
"""

from collections.abc import Iterator
from typing import Any, Final

from lockgate.policy.spec.model_router import RouterSpec

from pulumi_lockgate.manifests.common import Manifest, labels, metadata, selector
from pulumi_lockgate.manifests.openings import (
    MODEL,
    NAME,
    ROUTER,
    Opening,
    egress,
    ingress,
    is_by_name,
    opens_names,
    port,
)

Rule = dict[str, Any]
CILIUM: Final = "cilium-network-policy"
"""The short name of a router's CiliumNetworkPolicy among its manifests."""


def router_network_policies(name: str, namespace: str, spec: RouterSpec) -> dict[str, Manifest]:
    """Return the policies of a router's pods, by short name: the NetworkPolicy, and a CNI's own.

    In on its ports, out to DNS and its backends alone.
    """
    outward = egress(spec, namespace)
    if not opens_names(spec):
        return {"network-policy": _router(name, namespace, spec, outward)}
    named = tuple(opening for opening in outward if is_by_name(opening))
    lookups, *rest = (opening for opening in outward if not is_by_name(opening))
    return {
        "network-policy": _router(name, namespace, spec, tuple(rest)),
        CILIUM: _cilium(name, namespace, lookups, named),
    }


def model_network_policy(
    name: str, namespace: str, container_port: int, outward: tuple[Opening, ...] = ()
) -> Manifest:
    """Return the policy of a model server's pods: in from routers, out to nobody, or `outward`."""
    routers = {
        "namespaceSelector": {},
        "podSelector": {"matchLabels": {"app.kubernetes.io/component": ROUTER}},
    }
    inward = [{"from": [routers], "ports": [port(container_port)]}]
    return _policy(name, namespace, MODEL, inward, list(_rules(outward, "to")))


def _router(name: str, namespace: str, spec: RouterSpec, outward: tuple[Opening, ...]) -> Manifest:
    inward = list(_rules(ingress(spec), "from"))
    return _policy(name, namespace, ROUTER, inward, list(_rules(outward, "to")))


def _rules(openings: tuple[Opening, ...], key: str) -> Iterator[Rule]:
    """Yield each opening as a rule, each once: an empty list of peers would mean everybody."""
    seen: list[Rule] = []
    for opening in openings:
        if opening.peers == ():
            continue
        rule: Rule = {} if opening.peers is None else {key: [dict(one) for one in opening.peers]}
        if opening.ports:
            rule["ports"] = [dict(one) for one in opening.ports]
        if rule not in seen:
            seen.append(rule)
            yield rule


def _policy(
    name: str, namespace: str, component: str, inward: list[Rule], outward: list[Rule]
) -> Manifest:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": metadata(name, namespace, labels(name, component)),
        "spec": {
            "podSelector": {"matchLabels": selector(name, component)},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": inward,
            "egress": outward,
        },
    }


def _cilium(name: str, namespace: str, lookups: Opening, named: tuple[Opening, ...]) -> Manifest:
    """Return the CiliumNetworkPolicy that opens names.

    Cilium learns what a name resolves to from the pods' own lookups, which must pass its DNS proxy:
    a rule of DNS on the same port without one would switch that off, so the NetworkPolicy has none
    (https://docs.cilium.io/en/stable/security/policy/language/#dns-based).
    """
    [system] = [peer["namespaceSelector"]["matchLabels"][NAME] for peer in lookups.peers or ()]
    asked = {"ports": _cilium_ports(lookups), "rules": {"dns": [{"matchPattern": "*"}]}}
    dns = {
        "toEndpoints": [{"matchLabels": {"k8s:io.kubernetes.pod.namespace": system}}],
        "toPorts": [asked],
    }
    rules: list[Rule] = []
    for opening in named:
        names = [{"matchName": peer["fqdn"]} for peer in opening.peers or ()]
        rule = {"toFQDNs": names, "toPorts": [{"ports": _cilium_ports(opening)}]}
        if rule not in rules:
            rules.append(rule)
    return {
        "apiVersion": "cilium.io/v2",
        "kind": "CiliumNetworkPolicy",
        "metadata": metadata(name, namespace, labels(name, ROUTER)),
        "spec": {
            "endpointSelector": {"matchLabels": selector(name, ROUTER)},
            "egress": [dns, *rules],
        },
    }


def _cilium_ports(opening: Opening) -> list[dict[str, str]]:
    return [{"port": str(one["port"]), "protocol": one["protocol"]} for one in opening.ports]
