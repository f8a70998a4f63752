"""Which address a backend of which tier may have."""

import pytest

from proxy.net.addresses import permitted
from proxy.policy.backends import Backend, External, InferenceServiceRef

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
    assert permitted(address, LOCAL, ("8.8.8.0/24", "2606::/16")) is None


@pytest.mark.parametrize("address", HIDDEN)
def test_what_is_neither_is_never_a_clouds(address: str) -> None:
    assert permitted(address, CLOUD, ()) is not None


@pytest.mark.parametrize("address", ["169.254.169.254", "::ffff:169.254.169.254", "fd00:ec2::254"])
def test_u3_metadata_is_nobodys_address(address: str) -> None:
    for backend in (LOCAL, ATTESTED, CLOUD, ALLOWED):
        assert permitted(address, backend, ("169.254.0.0/16", "fd00::/8")) is not None
