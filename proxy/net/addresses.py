"""Which addresses a backend of which tier may have, checked at connect time.

A local backend stays inside: loopback, RFC 1918, fc00::/7 and the policy's own private ranges,
unless it is attested. A cloud backend must be outside, so that nobody's DNS turns the proxy on the
cluster's own network (server-side request forgery), unless the policy allows it a private address.
"""

import ipaddress
from typing import Final

from proxy.policy.backends import Backend

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def _networks(*blocks: str) -> tuple[Network, ...]:
    return tuple(ipaddress.ip_network(block) for block in blocks)


INSIDE: Final = _networks(
    "127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "::1/128", "fc00::/7"
)
METADATA: Final = _networks("169.254.169.254/32", "fd00:ec2::254/128")
"""Where clouds hand out credentials to whoever asks: no backend lives there."""


def permitted(address: str, backend: Backend, private_ranges: tuple[str, ...]) -> str | None:
    """Return None when `backend` may be reached at `address`, else the reason."""
    found = _plain(ipaddress.ip_address(address.partition("%")[0]))
    if _within(found, METADATA) or found.is_multicast or found.is_unspecified:
        return "no backend may have this address"
    if backend.tier == "local":
        if backend.attested_local or _within(found, (*INSIDE, *_networks(*private_ranges))):
            return None
        return "a local-tier backend must be at a private address, or be attested"
    if backend.external is not None and backend.external.allow_private_address:
        return None
    if not found.is_global:
        return "a cloud-tier backend must not be at a private address"
    return None


def _plain(address: Address) -> Address:
    """Return the IPv4 address inside an IPv6 one that carries it: mapped, 6to4, NAT64."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in ipaddress.ip_network("64:ff9b::/96"):
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address


def _within(address: Address, networks: tuple[Network, ...]) -> bool:
    return any(address.version == n.version and address in n for n in networks)
