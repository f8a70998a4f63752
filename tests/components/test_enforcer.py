"""What enforces a policy: facts of the rendered manifests, and which changes of them are listed."""

import attrs
import pytest
from lockgate.policy.reading.load import load_policy
from pulumi_lockgate.manifests.enforcer import Enforcer, changes, enforcer_of, read_enforcer

POLICY = """
backends:
- { name: l, inferenceServiceRef: { name: s, namespace: d } }
- { name: c, tier: cloud, external: { provider: openai, model: g, url: "https://203.0.114.7/v1" } }
defaultRoute: l
"""


def of(more: str = "", **replaced: str) -> Enforcer:
    text = POLICY + more
    for old, new in replaced.items():
        text = text.replace(old, new)
    return enforcer_of(load_policy(text.encode(), "policy.yaml"))


@pytest.mark.parametrize(
    ("new", "kind", "said"),
    [
        (of("proxy: { image: evil.example/proxy:1 }"), "enforcer", "image was ghcr.io/lockgate/lockgate-proxy:"),
        (of("endpoint: { type: LoadBalancer }"), "who_may_call", "the Service was ClusterIP, is LoadBalancer"),
        (of(**{"https://203.0.114.7/v1": "https://203.0.115.7/v1"}), "enforcer", "opens egress: 443/TCP, 203.0.115.7/32"),
        (attrs.evolve(of(), replicas=0), "enforcer", "no proxy runs any more"),
        (attrs.evolve(of(), args=(*of().args, "--address", "l=http://x")), "enforcer", "with --address l=http://x"),
        (attrs.evolve(of(), ingress=("{}",)), "enforcer", "opens ingress: {}"),
        (attrs.evolve(of(), security="{}"), "enforcer", "and is {}"),
    ],
)  # fmt: skip
def test_another_enforcer_is_listed(new: Enforcer, kind: str, said: str) -> None:
    (found,) = changes(of(), new)
    assert found[0] == kind
    assert said in found[2]


@pytest.mark.parametrize(
    "more", ["proxy: { replicas: 5 }", "proxy: { drainGrace: 5s }", "endpoint: { port: 80 }"]
)
def test_what_enforces_the_same_is_not(more: str) -> None:
    assert list(changes(of(), of(more))) == []


def test_what_closes_is_not() -> None:
    wide = of("endpoint: { type: LoadBalancer }")
    assert list(changes(wide, of())) == []


def test_it_is_read_as_it_was_written_and_nothing_else_is() -> None:
    one = of()
    assert read_enforcer(one.to_text()) == one
    for text in (None, "", "[]", "{}", "{", 7, {"image": "x"}):
        assert read_enforcer(text) is None
