"""What every preview says of a router beside its proof."""

from collections.abc import Iterable, Iterator
from textwrap import wrap
from typing import Any, Final

from lockgate.policy.loaded import LoadedPolicy
from lockgate.policy.reading.advice import OBSERVES

from pulumi_lockgate.manifests import audit
from pulumi_lockgate.manifests.common import Manifest
from pulumi_lockgate.manifests.metal import Metal
from pulumi_lockgate.manifests.openings import (
    MODEL,
    NAME,
    peer_in_words,
    port_in_words,
    rows,
    wide,
)
from pulumi_lockgate.proof.servers import local_by_word
from pulumi_lockgate.proved_policy import ProvedPolicy
from pulumi_lockgate.rendering import hides
from pulumi_lockgate.stack.placing import loopback_notices
from pulumi_lockgate.stand_ins import shapes_network

HOT: Final = (
    "proxy.rollout is hot: running proxies take up whatever is written into their ConfigMap; "
    "`lockgate plan --admission` writes what lets the cluster refuse a text that was not proved"
)
OUTSIDE: Final = (
    "endpoint.type is {type}: callers from outside the cluster speak plain HTTP with it, and "
    "nobody is asked who he is; keep ClusterIP behind an ingress that has TLS, and say in "
    "`endpoint.from` who may call"
)
COMPONENT: Final = "app.kubernetes.io/component"
DNS: Final = ("kube-system", "openshift-dns")
EVERYWHERE: Final = "everywhere but private addresses"
OPENS: Final = "what the network policies open"


def notices(policy: LoadedPolicy) -> list[str]:
    """Return the lines that every preview shows beside the proof."""
    found = list(local_by_word(policy))
    if policy.spec.policy.mode == "observe":
        found.append(OBSERVES)
    found += loopback_notices(policy.spec)
    found += wide(policy.spec)
    found += audit.said(policy.spec)
    if policy.spec.endpoint.type != "ClusterIP":
        found.append(OUTSIDE.format(type=policy.spec.endpoint.type))
    if policy.spec.proxy.rollout == "hot":
        found.append(HOT)
    return found


def of_models(manifests: Iterable[Manifest]) -> list[str]:
    """Return the lines on model servers: which may connect to where, which stop to change."""
    known = list(manifests)
    return [*_ways_out(known), *_pauses(known)]


def in_clear(hosts: Iterable[Metal]) -> Iterator[str]:
    """Yield a line for each machine outside the cluster that is spoken to without TLS."""
    for host in hosts:
        if host.tls is None:
            yield (
                f"prompts and answers cross the network to {host.name} at {host.machine.address} "
                "as plain text: `tls:` has it serve HTTPS"
            )


def _ways_out(manifests: list[Manifest]) -> Iterator[str]:
    """Yield a line for each model server whose pods may open connections, off its own policy."""
    for manifest in manifests:
        labels = manifest["metadata"].get("labels") or {}
        if manifest["kind"] != "NetworkPolicy" or labels.get(COMPONENT) != MODEL:
            continue
        rules = manifest["spec"]["egress"]
        opened = [_rule(rule) for rule in rules if not _is_dns(rule)]
        if opened:
            name = manifest["metadata"]["name"]
            advice = ": a volume (`pvc://`) or a mirror inside has no need of it"
            yield (
                f"the pods of model server {name} may connect to {'; '.join(opened)}, from where "
                f"its model is fetched{advice if EVERYWHERE in opened[0] else ''}"
            )


def _is_dns(rule: Any) -> bool:
    spaces = [peer.get("namespaceSelector", {}).get("matchLabels", {}) for peer in rule["to"]]
    return all(space.get(NAME) in DNS for space in spaces)


def _rule(rule: Any) -> str:
    ports = ", ".join(map(port_in_words, rule.get("ports") or (None,)))
    whom = [peer for peer in rule["to"] if "ipBlock" in peer and peer["ipBlock"].get("except")]
    if whom and len(whom) == len(rule["to"]):
        return f"{ports} of {EVERYWHERE}"
    return f"{ports} of {' or '.join(map(peer_in_words, rule['to']))}"


def _pauses(manifests: list[Manifest]) -> list[str]:
    """Return the line on model servers that stop while they change, if there are any."""
    stopping = [
        m["metadata"]["name"]
        for m in manifests
        if m["kind"] == "Deployment" and _is_recreated(m["spec"])
    ]
    if not stopping:
        return []
    said = (
        f"a change of {', '.join(sorted(stopping))} stops it until its model is loaded again: what "
        "only it may serve gets 503 meanwhile; `replicas: 2`, or `rollout: rolling` where there is "
        "room for a second pod, has no pause"
    )
    return [said]


def _is_recreated(spec: Any) -> bool:
    return isinstance(spec, dict) and spec.get("strategy") == {"type": "Recreate"}


def network_rows(proved: ProvedPolicy | None, namespace: str = "") -> list[tuple[str, str, str]]:
    """Return (in or out, to what, in words) of each thing that a router's network policies open.

    None where an address in it is secret, or known to the engine alone.
    """
    if proved is None or shapes_network(proved.missing) or hides(proved, network=True):
        return []
    return list(rows(proved.policy.spec, namespace))


def network_lines(proved: ProvedPolicy, namespace: str = "") -> list[str]:
    """Return `network_rows` as a table at 80 columns."""
    found = network_rows(proved, namespace)
    if not found:
        return ["  not shown: an address in it is secret, or known in `up` alone"]
    widest = max(len(what) for _, what, _ in found)
    shown: list[str] = []
    for way, what, opened in found:
        first = f"  {way:<4}{what:<{widest}}  "
        shown += wrap(opened, 80, initial_indent=first, subsequent_indent=" " * len(first))
    return shown
