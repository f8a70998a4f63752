"""Which address a backend of which tier may have, by IANA's registries and every embedding."""

import re
from ipaddress import IPv4Address, IPv4Network, IPv6Network, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lockgate.policy.address import is_inside, is_private, is_public, local_by, permitted
from lockgate.policy.reading.load import load_policy
from lockgate.policy.reading.problem import PolicyRefusedError
from lockgate.policy.spec.backends import Backend, External, InferenceServiceRef
from lockgate.policy.special_addresses import METADATA, REGISTRY, is_reachable

LOCAL = Backend(name="l", inference_service_ref=InferenceServiceRef(name="l"))
ATTESTED = Backend(
    name="a", external=External(provider="openai", model="m"), attested_local="rack 7"
)
CLOUD = Backend(name="c", tier="cloud", external=External(provider="openai", model="m"))
ALLOWED = Backend(
    name="p",
    tier="cloud",
    external=External(provider="openai", model="m", allow_private_address=True),
)

INSIDE = ["127.0.0.1", "10.1.2.3", "172.31.0.1", "192.168.1.1", "::1", "fd00::1", "::ffff:10.0.0.1"]
OUTSIDE = ["8.8.8.8", "2606:4700::1", "::ffff:8.8.8.8", "64:ff9b::808:808"]
HIDDEN = [
    "169.254.1.1", "100.64.0.1", "fe80::1", "0.0.0.0", "::", "224.0.0.1", "255.255.255.255", "192.0.2.1",
    "64:ff9b::a00:1", "2002:7f00:1::", "::ffff:127.0.0.1", "::ffff:169.254.169.254",
]  # fmt: skip


@pytest.mark.parametrize("address", INSIDE)
def test_inside_is_for_local_backends(address: str) -> None:
    assert permitted(address, LOCAL, ()) is None
    assert permitted(address, CLOUD, ()) is not None
    assert permitted(address, ALLOWED, ()) is None


@pytest.mark.parametrize("address", OUTSIDE)
def test_outside_is_for_cloud_backends(address: str) -> None:
    assert permitted(address, CLOUD, ()) is None
    assert permitted(address, LOCAL, ()) is not None
    assert permitted(address, ATTESTED, ()) is None
    assert permitted(address, LOCAL, ("8.8.8.0/24", "2606::/16", "64:ff9b::808:800/120")) is None


@pytest.mark.parametrize("address", HIDDEN)
def test_what_is_neither_is_never_a_clouds(address: str) -> None:
    assert permitted(address, CLOUD, ()) is not None


def embedded(address: IPv4Address) -> dict[str, str]:
    """Return every IPv6 address that carries `address`, by its kind."""
    bits = int(address)
    high, low = bits >> 16, bits & 0xFFFF
    octets = address.packed
    return {
        "mapped": f"::ffff:{high:x}:{low:x}",
        "mapped, dotted": f"::ffff:{address}",
        "compatible": f"::{high:x}:{low:x}",
        "translated": f"::ffff:0:{high:x}:{low:x}",
        "NAT64": f"64:ff9b::{high:x}:{low:x}",
        "NAT64, local use /96": f"64:ff9b:1::{high:x}:{low:x}",
        "NAT64, local use /96 of its own": f"64:ff9b:1:aa:bb:cc:{high:x}:{low:x}",
        "NAT64, local use /64": f"64:ff9b:1:7:{octets[0]:x}:{octets[1]:02x}{octets[2]:02x}:{octets[3]:02x}00:0",
        "NAT64, local use /56": f"64:ff9b:1:7{octets[0]:02x}:{octets[1]:x}:{octets[2]:02x}{octets[3]:02x}::",
        "NAT64, local use /48": f"64:ff9b:1:{high:x}:{octets[2]:x}:{octets[3]:02x}00::",
        "6to4": f"2002:{high:x}:{low:x}::1",
        "Teredo client": f"2001:0:808:808:0:0:{high ^ 0xFFFF:x}:{low ^ 0xFFFF:x}",
        "Teredo server": f"2001:0:{high:x}:{low:x}:0:0:f7f7:f7f7",
        "ISATAP": f"2606:4700::5efe:{high:x}:{low:x}",
        "ISATAP, universal": f"2606:4700::200:5efe:{high:x}:{low:x}",
    }


@pytest.mark.parametrize("address", sorted(map(str, METADATA)))
def test_r66_metadata_is_nobodys_address(address: str) -> None:
    """langflow-ai/langflow#14174, nuxt-modules/og-image#624: each embedding was found by itself."""
    found = ip_address(address)
    shown = [address, f"{address}%eth0"] if ":" in address else [address]
    shown += embedded(found).values() if isinstance(found, IPv4Address) else []
    ranges = ("0.0.0.0/0", "::/0")
    for one in shown:
        for backend in (LOCAL, ATTESTED, CLOUD, ALLOWED):
            assert permitted(one, backend, ranges) is not None, one


@given(st.ip_addresses(v=4))
def test_r66_an_embedding_is_no_way_around_the_registry(address: IPv4Address) -> None:
    reachable = is_reachable(address)
    for kind, shown in embedded(address).items():
        cloud = permitted(shown, CLOUD, ()) is None
        assert not cloud or reachable, kind
        if kind.startswith("mapped"):
            assert cloud == (permitted(str(address), CLOUD, ()) is None)
            assert permitted(shown, LOCAL, ()) == permitted(str(address), LOCAL, ())
        elif int(address) > 0xFFFF:  # ::1 is the loopback
            assert permitted(shown, LOCAL, ()) is not None, kind


@pytest.mark.parametrize("kind", ["NAT64", "ISATAP"])
def test_r66_a_public_address_may_be_reached_through_a_translator(kind: str) -> None:
    assert permitted(embedded(IPv4Address("8.8.8.8"))[kind], CLOUD, ()) is None


def _edges(block: IPv4Network | IPv6Network) -> list[str]:
    return [str(block[0]), str(block[-1])]


@pytest.mark.parametrize(("block", "rfc", "reachable"), REGISTRY)
def test_r66_every_block_of_the_registries(block: str, rfc: str, reachable: bool) -> None:
    network = ip_network(block)
    inner = [ip_network(b) for b, _, _ in REGISTRY if b != block]
    inner = [i for i in inner if i.version == network.version and i.subnet_of(network)]  # type: ignore[arg-type]
    assert rfc.startswith("RFC ")
    for edge in _edges(network):
        found = ip_address(edge)
        if any(found in i for i in inner):
            continue
        assert is_reachable(found) == reachable, edge
        if not reachable:
            assert permitted(edge, CLOUD, ()) is not None
            assert permitted(edge, ALLOWED, ()) is None or edge in NOBODYS
            assert is_private(f"https://[{edge}]/" if ":" in edge else f"https://{edge}/")


NOBODYS = {
    "0.0.0.0", "0.255.255.255", "255.255.255.255", "::", "::ffff:0.0.0.0", "::ffff:255.255.255.255",
    "::ffff:0:0", "::ffff:ffff:ffff",
    "224.0.0.0", "239.255.255.255", "ff00::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
}  # fmt: skip


@pytest.mark.parametrize(
    "address",
    [
        "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.0",
        "172.15.255.255", "172.32.0.0", "192.0.1.0", "192.0.3.0", "198.17.255.255", "198.20.0.0",
        "223.255.255.255", "2001:200::1", "2003::1", "3ffe::1", "2620:4f:7fff::1", "2001:db9::1",
    ],
)  # fmt: skip
def test_r66_beside_the_blocks_is_the_internet(address: str) -> None:
    assert permitted(address, CLOUD, ()) is None


@pytest.mark.parametrize("address", ["4000::1", "1::1", "fec0::1", "::2", "64:ff9b:2::1"])
def test_r66_what_is_given_to_nobody_is_no_clouds(address: str) -> None:
    assert permitted(address, CLOUD, ()) is not None
    assert permitted(address, LOCAL, ()) is not None


@pytest.mark.parametrize(
    "address", ["169.254.1.1", "fe80::1", "100.64.0.1", "198.18.0.1", "192.0.2.1"]
)
def test_r66_local_is_what_is_named_and_no_more(address: str) -> None:
    shown = f"http://[{address}]/v1" if ":" in address else f"http://{address}/v1"
    assert permitted(address, LOCAL, ()) is not None
    assert not is_inside(shown, ())
    ranges = ("169.254.0.0/16", "fe80::/10", "100.64.0.0/10", "198.18.0.0/15", "192.0.2.0/24")
    assert permitted(address, LOCAL, ranges) is None
    assert is_inside(shown, ranges)


@pytest.mark.parametrize(
    "block",
    ["8.0.0.0/8", "0.0.0.0/0", "100.0.0.0/8", "192.0.0.0/24", "2000::/4", "::/0", "64:ff9b::/96", "11.0.0.1/32"],
)  # fmt: skip
def test_a_block_with_a_public_address_in_it_is_public(block: str) -> None:
    assert is_public(block)


@pytest.mark.parametrize(
    "block",
    ["100.64.0.0/10", "100.65.0.0/16", "198.18.0.0/15", "10.0.0.0/8", "192.0.2.0/24", "fd00::/8", "fec0::/10", "2001:db8::/48", "169.254.0.0/16"],
)  # fmt: skip
def test_a_block_that_nobody_outside_can_have_is_not(block: str) -> None:
    assert not is_public(block)


@pytest.mark.parametrize("block", [block for block, _, reachable in REGISTRY if reachable])
def test_every_reachable_block_of_the_registries_is_public(block: str) -> None:
    assert is_public(block)


LOCALS = [
    ("inferenceServiceRef: { name: s, namespace: d }", "itself"),
    ('external: { provider: openai, model: m, url: "http://10.1.2.3/v1" }', "itself"),
    ('external: { provider: openai, model: m, url: "http://[fd00::7]/v1" }', "itself"),
    ('external: { provider: openai, model: m, url: "http://localhost:1/v1" }', "itself"),
    ('external: { provider: openai, model: m, url: "http://a.b.svc/v1" }', "itself"),
    ('attestedLocal: x, external: { provider: openai, model: m, url: "http://10.1.2.3/v1" }', "itself"),
    ('attestedLocal: x, external: { provider: openai, model: m, url: "http://a.b.svc/v1" }', "attestation"),
    ('attestedLocal: x, external: { provider: openai, model: m, url: "https://e.example/v1" }', "attestation"),
    ('external: { provider: openai, model: m, url: "http://100.64.1.1/v1" }', "privateRanges"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "by"), LOCALS)
def test_what_makes_a_backend_local(text: str, by: str) -> None:
    ranges = "proxy: { privateRanges: [{ cidr: 100.64.0.0/10, why: mesh }] }"
    loaded = load_policy(f"backends:\n- {{ name: a, tier: local, {text} }}\n{ranges}".encode(), "p")
    assert local_by(loaded.spec.backends[0]) == by


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ("100.64.0.0/10", 'write `{ cidr: "100.64.0.0/10", why: WHY }`'),
        ("{ cidr: 8.0.0.0/8, why: ours }", "may be anybody's"),
        ("{ cidr: 100.64.0.0/10 }", "privateRanges[0].why: is missing"),
        ("{ cidr: nonsense, why: x }", "write `cidr: 100.64.0.0/10`"),
    ],
)
def test_a_range_that_is_no_private_one_is_refused(entry: str, words: str) -> None:
    text = LOADED % ("local", "weight: 1", "http://10.0.0.1/v1")
    with pytest.raises(PolicyRefusedError, match=re.escape(words)):
        load_policy(f"{text}proxy: {{ privateRanges: [{entry}] }}".encode(), "p.yaml")


LOADED = """\
backends:
- name: a
  tier: %s
  %s
  external: { provider: openai, model: m, url: "%s" }
"""
ATTEST = "attestedLocal: it is"


@pytest.mark.parametrize(
    ("tier", "more", "url", "words"),
    [
        ("local", "", "http://169.254.169.254/v1", "a cloud's metadata address"),
        ("local", ATTEST, "http://169.254.169.254/v1", "a cloud's metadata address"),
        ("local", ATTEST, "http://[2002:a9fe:a9fe::]/v1", "a cloud's metadata address"),
        ("local", ATTEST, "http://[fd00:ec2::254]/v1", "a cloud's metadata address"),
        ("cloud", "", "https://100.100.100.200/v1", "a cloud's metadata address"),
        ("local", ATTEST, "http://0.0.0.0/v1", "no backend may have this address"),
        ("cloud", "", "https://10.0.0.1/v1", "add `allowPrivateAddress: true`"),
        ("cloud", "", "https://[64:ff9b::a00:1]/v1", "add `allowPrivateAddress: true`"),
        ("local", "", "http://100.64.0.1/v1", "is not a private or cluster address"),
        ("local", "", "http://192.0.2.1/v1", "is not a private or cluster address"),
        ("local", "", "http://[64:ff9b::a00:1]/v1", "is not a private or cluster address"),
    ],
)
def test_r66_a_literal_is_refused_when_the_policy_is_loaded(
    tier: str, more: str, url: str, words: str
) -> None:
    text = LOADED % (tier, more or "weight: 1", url)
    with pytest.raises(PolicyRefusedError, match=words):
        load_policy(text.encode(), "p.yaml")
