"""What the rendered policies let through, enforced by the kernel in network namespaces of a test's own.

The policy that `plan --out` would write is translated to nftables rules on the node's end of a pod's
link. A plain socket in the pod stands for a proxy that was taken over: what the rules stop, nothing in
the pod can reach.
"""

import json
from typing import Any

import pytest
import yaml
from lockgate.policy.reading.load import load_policy
from pulumi_lockgate.manifests.network import router_network_policies

from tests.support.isolated import LINK, NODE, asked, why_not
from tests.support.nft import Pod, ruleset

WHY_NOT = why_not()
pytestmark = pytest.mark.skipif(WHY_NOT is not None, reason=f"NOT RUN: {WHY_NOT}")

NAMED, NAMED_SIX = "203.0.113.7", "2001:db8:7::7"
"""The cloud that a route names."""
UNNAMED, UNNAMED_SIX = "198.51.100.9", "2001:db8:9::9"
"""A cloud that no route names."""
METADATA = "169.254.169.254"
PODS = {
    "model": Pod("10.244.2.5", "models", {"app.kubernetes.io/instance": "qwen", "app.kubernetes.io/component": "model-server"}),
    "other model": Pod("10.244.2.6", "models", {"app.kubernetes.io/instance": "phi", "app.kubernetes.io/component": "model-server"}),
    "dns": Pod("10.244.3.3", "kube-system"),
    "litellm": Pod("10.244.4.4", "gw", {"app": "litellm"}),
    "gateway": Pod("10.244.5.5", "egress", {"app": "gw"}),
    "beside the gateway": Pod("10.244.5.6", "egress", {"app": "debug"}),
    "agent": Pod("10.244.6.6", "agents", {"app": "agent"}),
    "stranger": Pod("10.244.7.7", "default"),
    "prometheus": Pod("10.244.8.8", "monitoring"),
}  # fmt: skip
POLICY = """
backends:
- { name: qwen, inferenceServiceRef: { name: qwen, namespace: models } }
- { name: cloud, tier: cloud, external: { provider: openai, model: m } }
defaultRoute: qwen
rules: [{ name: all, route: { backends: [qwen, cloud] } }]
"""
NAMES = {"api.openai.com": (NAMED, NAMED_SIX)}
OUT = {
    "the named cloud": (NAMED, 443),
    "the named cloud, IPv6": (NAMED_SIX, 443),
    "the named cloud, another port": (NAMED, 22),
    "another cloud": (UNNAMED, 443),
    "another cloud, IPv6": (UNNAMED_SIX, 443),
    "metadata": (METADATA, 443),
    "its node": (NODE[0], 443),
    **{name: (pod.address, 443) for name, pod in PODS.items()},
    "dns, its port": (PODS["dns"].address, 53),
    "gateway, its port": (PODS["gateway"].address, 8443),
    "beside the gateway, its port": (PODS["beside the gateway"].address, 8443),
}
INTO = {
    f"{name} on {port}": (address, port)
    for name, address in [*((n, p.address) for n, p in PODS.items()), ("its node", NODE[0])]
    for port in (8080, 9090)
}
ALWAYS = {"model", "dns, its port"}
"""What a route names in the cluster, and lookups."""
CLOUD = {"the named cloud", "the named cloud, IPv6"}
ANYBODY = {f"{name} on 8080" for name in PODS}
KUBELET = {"its node on 8080", "its node on 9090"}


def policies(**fields: Any) -> list[dict[str, Any]]:
    document = {**yaml.safe_load(POLICY), **fields}
    spec = load_policy(json.dumps(document).encode(), "p").spec
    return list(router_network_policies("r", "n", spec).values())


def let_through(*made: dict[str, Any]) -> tuple[set[str], set[str]]:
    """Return what a process in the pod reaches, and who reaches the pod, by the names above."""
    rules = ruleset(made, PODS.values(), NAMES, LINK, NODE)
    answer = asked(rules, OUT.values(), INTO.values())
    assert answer["before"] == {"out": [True] * len(OUT), "into": [True] * len(INTO)}
    out = {name for name, got in zip(OUT, answer["after"]["out"], strict=True) if got}
    into = {name for name, got in zip(INTO, answer["after"]["into"], strict=True) if got}
    return out, into


def test_a_taken_over_proxy_reaches_the_named_cloud_and_no_other() -> None:
    blocks = {"cidrs": [f"{NAMED}/32", f"{NAMED_SIX}/128"]}
    out, into = let_through(*policies(proxy={"egress": blocks}))
    assert out == ALWAYS | CLOUD
    assert into == ANYBODY | KUBELET


def test_with_the_names_of_a_cni_the_same() -> None:
    out, _ = let_through(*policies(proxy={"egress": {"fqdnPolicy": "cilium"}}))
    assert out == ALWAYS | CLOUD


def test_behind_a_gateway_it_reaches_the_gateways_pods_and_no_cloud() -> None:
    gateway = {"namespace": "egress", "pods": {"app": "gw"}, "port": 8443}
    out, _ = let_through(*policies(proxy={"egress": {"gateway": gateway}}))
    assert out == ALWAYS | {"gateway, its port"}


def test_a_name_alone_is_its_port_to_public_addresses_and_to_nothing_of_the_cluster() -> None:
    out, _ = let_through(*policies())
    assert out == ALWAYS | CLOUD | {"another cloud", "another cloud, IPv6"}


def test_without_a_cloud_it_reaches_none() -> None:
    local = yaml.safe_load(POLICY)["backends"][:1]
    rules = [{"name": "all", "route": {"backends": ["qwen"]}}]
    out, _ = let_through(*policies(backends=local, rules=rules))
    assert out == ALWAYS


def test_who_may_call_and_who_may_read_the_admin_port() -> None:
    said = {
        "from": [{"namespace": "agents", "pods": {"app": "agent"}}, {"cidr": "10.244.7.0/24"}],
        "adminFrom": [{"namespace": "monitoring"}],
    }
    _, into = let_through(*policies(endpoint=said))
    assert into == KUBELET | {"agent on 8080", "stranger on 8080", "prometheus on 9090"}
