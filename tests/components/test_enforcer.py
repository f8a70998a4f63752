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


NAMED = {"https://203.0.114.7/v1": "https://api.example/v1"}
"""The cloud backend at a name."""
NARROWER = (
    "proxy: { egress: { cidrs: [9.9.9.0/24] } }",
    "proxy: { egress: { fqdnPolicy: cilium } }",
    "endpoint: { from: [{ namespace: agents }] }",
)


def test_what_closes_is_not() -> None:
    wide = of("endpoint: { type: LoadBalancer }")
    assert list(changes(wide, of())) == []
    assert list(changes(of(**NAMED), of())) == []
    for more in NARROWER:
        assert list(changes(of(**NAMED), of(more, **NAMED))) == []


@pytest.mark.parametrize(
    ("more", "place", "said"),
    [
        (NARROWER[0], "backends", "opens egress: 443/TCP, 0.0.0.0/0 without 0.0.0.0/8, "),
        (NARROWER[1], "backends", "opens egress: 443/TCP, ::/0 without "),
        (NARROWER[2], "endpoint.from", "opens ingress: 8080/TCP, anybody"),
    ],
)
def test_what_opens_again_is_listed_in_words(more: str, place: str, said: str) -> None:
    found = list(changes(of(more, **NAMED), of(**NAMED)))
    assert all(path == place for _, path, _ in found)
    assert any(said in text for _, _, text in found)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (NARROWER[0], "proxy: { egress: { cidrs: [9.9.9.0/24, 9.9.8.0/24] } }", "opens egress: 443/TCP, 9.9.8.0/24"),
        (NARROWER[0], "proxy: { egress: { gateway: { namespace: e, pods: { app: g }, port: 80 } } }", "opens egress: 80/TCP, pods app=g in e"),
        (NARROWER[0], NARROWER[1], "opens egress: 443/TCP, what api.example resolves to"),
        ("", "endpoint: { adminFrom: [{ namespace: monitoring }] }", "opens ingress: 9090/TCP, every pod in monitoring"),
        (NARROWER[2], "endpoint: { from: [{ namespace: agents }, { cidr: 10.0.0.0/8 }] }", "opens ingress: 8080/TCP, 10.0.0.0/8"),
    ],
)  # fmt: skip
def test_each_opening_of_the_spec_is_listed(old: str, new: str, said: str) -> None:
    (found,) = changes(of(old, **NAMED), of(new, **NAMED))
    assert said in found[2]


def test_what_an_earlier_version_put_out_in_words_is_compared_as_words() -> None:
    earlier = attrs.evolve(of(), egress=("443/TCP, 203.0.114.7/32",))
    assert [text for _, _, text in changes(earlier, earlier)] == []
    assert len(list(changes(earlier, of()))) == len(of().egress)


def test_it_is_read_as_it_was_written_and_nothing_else_is() -> None:
    one = of()
    assert read_enforcer(one.to_text()) == one
    for text in (None, "", "[]", "{}", "{", 7, {"image": "x"}):
        assert read_enforcer(text) is None
