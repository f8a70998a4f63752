"""What was open before: what narrows is no widening, and nothing that is wider passes for narrower."""

from ipaddress import IPv4Network, ip_address
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pulumi_lockgate.manifests.covering import Fact, was_open
from pulumi_lockgate.manifests.openings import open_block

TCP = {"port": 443, "protocol": "TCP"}
PUBLIC = [open_block("0.0.0.0/0", goes_out=True), open_block("::/0", goes_out=True)]
AGENTS = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "agents"}}}


def block(cidr: str, *but: str) -> dict[str, Any]:
    return {"ipBlock": {"cidr": cidr, **({"except": list(but)} if but else {})}}


def pods(**labels: str) -> dict[str, Any]:
    return {**AGENTS, "podSelector": {"matchLabels": labels}}


@pytest.mark.parametrize(
    ("before", "now", "was"),
    [
        ([None], AGENTS, True),
        ([None], None, True),
        ([AGENTS], None, False),
        ([], AGENTS, False),
        ([AGENTS], AGENTS, True),
        ([AGENTS], pods(app="a"), True),
        ([pods(app="a")], AGENTS, False),
        ([pods(app="a")], pods(app="a", role="b"), True),
        ([pods(app="a", role="b")], pods(app="a"), False),
        ([pods(app="a")], pods(app="b"), False),
        ([{"namespaceSelector": {}}], AGENTS, True),
        ([AGENTS], {"namespaceSelector": {}}, False),
        ([{"podSelector": {}}], AGENTS, False),
        ([{"namespaceSelector": {"matchExpressions": []}}], AGENTS, False),
        ([block("10.0.0.0/8")], block("10.1.0.0/16"), True),
        ([block("10.1.0.0/16")], block("10.0.0.0/8"), False),
        ([block("10.0.0.0/8", "10.1.0.0/16")], block("10.1.2.0/24"), False),
        ([block("10.0.0.0/8", "10.1.2.0/24")], block("10.1.0.0/16"), False),
        ([block("10.0.0.0/8", "10.1.2.0/24")], block("10.1.0.0/16", "10.1.2.0/23"), True),
        ([block("10.0.0.0/8")], block("fc00::/7"), False),
        ([block("0.0.0.0/0")], AGENTS, False),
        ([AGENTS], block("10.0.0.0/8"), False),
        (PUBLIC, {"fqdn": "api.example"}, True),
        (PUBLIC[:1], {"fqdn": "api.example"}, False),
        ([block("9.0.0.0/8"), PUBLIC[1]], {"fqdn": "api.example"}, False),
        ([{"fqdn": "api.example"}], {"fqdn": "api.example"}, True),
        ([{"fqdn": "api.example"}], {"fqdn": "other.example"}, False),
        ([{"fqdn": "api.example"}], block("9.9.9.9/32"), False),
        ([block("0.0.0.0/0", "169.254.0.0/16"), block("::/0", "fe80::/10")], PUBLIC[0], True),
        (PUBLIC, block("0.0.0.0/0", "169.254.0.0/16"), False),
    ],
)  # fmt: skip
def test_was_it_open(before: list[Any], now: Any, was: bool) -> None:
    facts = [Fact(TCP, peer) for peer in before]
    assert was_open(facts, Fact(TCP, now)) == was
    assert was_open([Fact(None, peer) for peer in before], Fact(TCP, now)) == was
    assert not was_open(facts, Fact({**TCP, "port": 80}, now))
    assert not was_open(facts, Fact(None, now)), "every port is more than one"


blocks = st.builds(
    lambda address, length: str(IPv4Network((address, length), strict=False)),
    st.integers(0, (1 << 32) - 1),
    st.integers(0, 8),
)


def taken(peer: dict[str, Any], address: str) -> bool:
    """Whether a block takes an address, as Kubernetes says it."""
    stated = peer["ipBlock"]
    inside = [ip_address(address) in IPv4Network(one) for one in stated.get("except", ())]
    return ip_address(address) in IPv4Network(stated["cidr"]) and not any(inside)


@given(blocks, st.lists(blocks, max_size=2), blocks, st.lists(blocks, max_size=2), st.integers(0, (1 << 32) - 1))  # fmt: skip
def test_what_was_open_takes_no_address_that_was_not(
    old: str, closed: list[str], new: str, still: list[str], number: int
) -> None:
    before, now = block(old, *closed), block(new, *still)
    if was_open([Fact(None, before)], Fact(None, now)):
        for one in (str(ip_address(number)), *(str(IPv4Network(c)[0]) for c in (*closed, new))):
            assert not taken(now, one) or taken(before, one)
