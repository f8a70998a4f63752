"""Translates network policies to nftables rules, as the nodes of a cluster enforce them.

The rules stand outside of the pod, on the node's end of its link, where nothing in the pod can change
them. The meaning is that of https://kubernetes.io/docs/concepts/services-networking/network-policies/:
what no rule takes is dropped, answers pass, the pod's own node is never kept out.
"""

from collections.abc import Iterable, Iterator, Mapping
from ipaddress import ip_network
from typing import Any

from attrs import frozen

NAME = "kubernetes.io/metadata.name"


@frozen
class Pod:
    """A pod of the cluster that a policy may name."""

    address: str
    namespace: str
    labels: Mapping[str, str] = {}


def ruleset(
    policies: Iterable[Mapping[str, Any]],
    pods: Iterable[Pod],
    names: Mapping[str, tuple[str, ...]],
    link: str,
    node: tuple[str, ...],
) -> str:
    """Return nftables rules for the pod behind `link`, which all `policies` select.

    `names` are what names resolve to, for a CiliumNetworkPolicy; `node` the node's own addresses.
    """
    known = tuple(pods)
    out, into = [f'iifname != "{link}" accept'], [f'oifname != "{link}" accept']
    always = ["ct state established,related accept", "meta l4proto ipv6-icmp accept"]
    out, into = [*out, *always], [*into, *always]
    into += [f"{_family(one)} saddr {one} accept" for one in node]
    for policy in policies:
        spec = policy["spec"]
        if policy["kind"] == "CiliumNetworkPolicy":
            for rule in spec["egress"]:
                out += _cilium(rule, known, names)
            continue
        for rule in spec["egress"]:
            out += _rule(rule, rule.get("to"), "daddr", known)
        for rule in spec["ingress"]:
            into += _rule(rule, rule.get("from"), "saddr", known)
    chains = (("out", "prerouting", out), ("into", "postrouting", into))
    return "table inet lockgate_test {\n" + "".join(_chain(*one) for one in chains) + "}\n"


def _chain(name: str, hook: str, rules: list[str]) -> str:
    lines = "".join(f"    {rule}\n" for rule in [*rules, "drop"])
    return f"  chain {name} {{\n    type filter hook {hook} priority 0; policy drop;\n{lines}  }}\n"


def _rule(
    rule: Mapping[str, Any], peers: list[Any] | None, side: str, pods: tuple[Pod, ...]
) -> Iterator[str]:
    assert peers != [], "an empty list of peers is everybody"
    ports = [f"{p['protocol'].lower()} dport {p['port']}" for p in rule.get("ports", ())] or [""]
    wheres = [""] if peers is None else [one for peer in peers for one in _peer(peer, side, pods)]
    for where in wheres:
        for port in ports:
            yield " ".join(part for part in (where, port, "accept") if part)


def _peer(peer: Mapping[str, Any], side: str, pods: tuple[Pod, ...]) -> Iterator[str]:
    if "ipBlock" in peer:
        block = peer["ipBlock"]
        family = _family(block["cidr"])
        but = block.get("except", ())
        left = f" {family} {side} != {{ {', '.join(but)} }}" if but else ""
        yield f"{family} {side} {block['cidr']}{left}"
        return
    for pod in pods:
        space = {**peer["namespaceSelector"].get("matchLabels", {})}
        wanted = peer.get("podSelector", {}).get("matchLabels", {})
        if space.items() <= {NAME: pod.namespace}.items() and wanted.items() <= pod.labels.items():
            yield f"{_family(pod.address)} {side} {pod.address}"


def _cilium(
    rule: Mapping[str, Any], pods: tuple[Pod, ...], names: Mapping[str, tuple[str, ...]]
) -> Iterator[str]:
    """Translate one rule of egress: what names resolve to, or the endpoints of a namespace."""
    [to] = rule["toPorts"]
    found = [a for one in rule.get("toFQDNs", ()) for a in names.get(one["matchName"], ())]
    for one in rule.get("toEndpoints", ()):
        space = one["matchLabels"]["k8s:io.kubernetes.pod.namespace"]
        found += [pod.address for pod in pods if pod.namespace == space]
    for address in found:
        for port in to["ports"]:
            where = f"{_family(address)} daddr {address}"
            yield f"{where} {port['protocol'].lower()} dport {port['port']} accept"


def _family(block: str) -> str:
    return "ip" if ip_network(block).version == 4 else "ip6"
