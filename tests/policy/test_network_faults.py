"""What a policy may not say of its NetworkPolicy: each fault with its place and its mend."""

import json
from typing import Any

import pytest
import yaml
from lockgate.policy.reading.load import load_policy
from lockgate.policy.reading.problem import PolicyRefusedError, Problem

POLICY = """
backends:
- { name: pods, inferenceServiceRef: { name: s, namespace: d } }
- { name: cloud, tier: cloud, external: { provider: openai, model: g } }
- { name: gate, tier: cloud, external: { provider: litellm, model: g, url: "https://litellm.gw.svc:4000" } }
- { name: fixed, tier: cloud, external: { provider: openai, model: g, url: "https://9.9.9.9/v1" } }
- { name: other, tier: cloud, external: { provider: openai, model: g, url: "https://other.example/v1" } }
defaultRoute: pods
"""
GATEWAY = {"namespace": "egress", "pods": {"app": "egress-gateway"}, "port": 443}


def problems(**fields: Any) -> tuple[Problem, ...]:
    document = {**yaml.safe_load(POLICY), **fields}
    try:
        load_policy(json.dumps(document).encode(), "p")
    except PolicyRefusedError as refused:
        return refused.problems
    return ()


def egress(*entries: Any, **fields: Any) -> dict[str, Any]:
    more = {"backends": list(entries)} if entries else {}
    return {"proxy": {"egress": {**fields, **more}}}


def callers(*entries: Any, key: str = "from") -> dict[str, Any]:
    return {"endpoint": {key: list(entries)}}


@pytest.mark.parametrize(
    "fields",
    [
        egress(cidrs=["203.0.113.0/24", "2001:db8::/32"]),
        egress(gateway=GATEWAY),
        egress(fqdnPolicy="cilium"),
        egress({"name": "other", "cidrs": ["203.0.113.7/32"]}, fqdnPolicy="cilium"),
        egress({"name": "gate", "gateway": GATEWAY}),
        callers({"namespace": "agents"}, {"namespace": "a", "pods": {"example.org/role": "x_1"}}),
        callers({"cidr": "10.0.0.0/8"}, key="adminFrom"),
        callers(key="adminFrom"),
    ],
)  # fmt: skip
def test_what_a_policy_may_say(fields: dict[str, Any]) -> None:
    assert problems(**fields) == ()


@pytest.mark.parametrize(
    ("fields", "place", "message", "suggestion"),
    [
        (egress(cidrs=["203.0.113.0/24"], gateway=GATEWAY), "proxy.egress", "both cidrs and gateway", "keep `cidrs:`"),
        (egress(gateway=GATEWAY, fqdnPolicy="cilium"), "proxy.egress", "both gateway and fqdnPolicy", "keep `gateway:`"),
        (egress(fqdnPolicy="calico"), "proxy.egress.fqdnPolicy", "not implemented", "Calico Enterprise and Calico Cloud"),
        (egress(fqdnPolicy="antrea"), "proxy.egress.fqdnPolicy", "is not one of cilium", "write `fqdnPolicy: cilium`"),
        (egress(cidrs=["203.0.113.7"]), None, None, None),
        (egress(cidrs=["203.0.113.7/24"]), "proxy.egress.cidrs[0]", "host bits set", "203.0.113.0/24"),
        (egress(cidrs=["everywhere"]), "proxy.egress.cidrs[0]", "does not appear to be", "203.0.113.0/24"),
        (egress(cidrs=["169.254.169.254/32"]), "proxy.egress.cidrs[0]", "is open to no backend", "203.0.113.0/24"),
        (egress(cidrs=["fe80::/64"]), "proxy.egress.cidrs[0]", "is open to no backend", "203.0.113.0/24"),
        (egress(gateway={**GATEWAY, "port": 0}), "proxy.egress.gateway.port", "0 is not a port", "port: 443"),
        (egress(gateway={**GATEWAY, "pods": {}}), "proxy.egress.gateway.pods", "is empty", "app: egress-gateway"),
        (egress(gateway={**GATEWAY, "namespace": "My_space"}), "proxy.egress.gateway.namespace", "not the name of a namespace", "namespace: my-space"),
        (egress(gateway={"namespace": "n", "port": 1}), "proxy.egress.gateway.pods", "is missing", "pods:"),
        (egress({"name": "cluod", "gateway": GATEWAY}), "proxy.egress.backends[0].name", "no backend 'cluod'", "name: cloud"),
        (egress({"name": "pods", "gateway": GATEWAY}), "proxy.egress.backends[0].name", "the pods of its service", "leave the entry out"),
        (egress({"name": "fixed", "cidrs": ["9.0.0.0/8"]}), "proxy.egress.backends[0].name", "the address in its url", "leave the entry out"),
        (egress({"name": "gate", "cidrs": ["10.0.0.0/8"]}), "proxy.egress.backends[0].cidrs", "a Service's pods", "gateway:"),
        (egress({"name": "cloud"}), "proxy.egress.backends[0]", "neither of cidrs and gateway", "keep one"),
        (egress({"name": "cloud", "gateway": GATEWAY, "cidrs": ["9.0.0.0/8"]}), "proxy.egress.backends[0]", "both of cidrs and gateway", "keep one"),
        (egress({"name": "cloud", "gateway": GATEWAY}, {"name": "cloud", "gateway": GATEWAY}), "proxy.egress.backends[1].name", "already proxy.egress.backends[0]'s", "leave one"),
        (egress(dns={"port": 0}), "proxy.egress.dns.port", "0 is not a port", "port: 53"),
        (egress(dns={"namespace": "a.b"}), "proxy.egress.dns.namespace", "not the name of a namespace", "namespace: a-b"),
        (callers(), "endpoint.from", "nobody could call", "leave it out for anybody"),
        (callers({}), "endpoint.from[0]", "neither of namespace and cidr", "keep one"),
        (callers({"namespace": "a", "cidr": "10.0.0.0/8"}), "endpoint.from[0]", "both of namespace and cidr", "keep one"),
        (callers({"cidr": "10.0.0.1/8"}), "endpoint.from[0].cidr", "host bits set", "cidr: 10.0.0.0/8"),
        (callers({"cidr": "10.0.0.0/8", "pods": {"a": "b"}}), "endpoint.from[0].pods", "without a namespace", "namespace:"),
        (callers({"namespace": "a", "pods": {}}), "endpoint.from[0].pods", "is empty", "leave it out"),
        (callers({"namespace": "a", "pods": {"a b": "c"}}), "endpoint.from[0].pods.a b", "not the key of a label", "app: NAME"),
        (callers({"namespace": "a", "pods": {"app": "b c"}}), "endpoint.from[0].pods.app", "not the value of a label", "app: NAME"),
        (callers({"namespace": "-a"}, key="adminFrom"), "endpoint.adminFrom[0].namespace", "not the name", "namespace: a"),
        ({"endpoint": {"from": {"namespace": "a"}}}, "endpoint.from", "not a list", "write"),
    ],
)  # fmt: skip
def test_what_is_refused_has_its_place_and_its_mend(
    fields: dict[str, Any], place: str | None, message: str, suggestion: str
) -> None:
    found = problems(**fields)
    if place is None:  # one address is a block of one
        assert found == ()
        return
    (problem,) = found
    assert problem.path == place
    assert message in problem.message
    assert suggestion in problem.suggestion


@pytest.mark.parametrize("way", [{"cidrs": ["9.0.0.0/8"]}, {"gateway": GATEWAY}, {"fqdnPolicy": "cilium"}])  # fmt: skip
def test_what_would_narrow_nothing_is_refused(way: dict[str, Any]) -> None:
    backends = [b for b in yaml.safe_load(POLICY)["backends"] if b["name"] in {"pods", "fixed"}]
    (problem,) = problems(backends=backends, **egress(**way))
    assert problem.path == f"proxy.egress.{next(iter(way))}"
    assert "there is none" in problem.message


def test_it_shapes_the_cluster_and_not_the_policy() -> None:
    plain = load_policy(POLICY.encode(), "p")
    more = {**egress(fqdnPolicy="cilium"), **callers({"namespace": "agents"})}
    shaped = load_policy(json.dumps({**yaml.safe_load(POLICY), **more}).encode(), "p")
    assert shaped.digest == plain.digest
