"""What IANA's registries say of an address, and which IPv4 addresses an IPv6 one carries.

The tables are the IANA IPv4 and IPv6 Special-Purpose Address Registries (RFC 6890, RFC 8190), each
block with its RFC and what its column "Globally Reachable" says; "N/A" is read as no. The most
specific block counts. Of IPv6, only 2000::/3 is given out to anybody (RFC 4291, section 2.4).
`ipaddress.is_global` reads such tables too, other ones in each version of Python.
"""

from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

REGISTRY: Final = (
    # block, RFC, globally reachable
    ("0.0.0.0/8", "RFC 791, section 3.2", False),
    ("0.0.0.0/32", "RFC 1122, section 3.2.1.3", False),
    ("10.0.0.0/8", "RFC 1918", False),
    ("100.64.0.0/10", "RFC 6598", False),
    ("127.0.0.0/8", "RFC 1122, section 3.2.1.3", False),
    ("169.254.0.0/16", "RFC 3927", False),
    ("172.16.0.0/12", "RFC 1918", False),
    ("192.0.0.0/24", "RFC 6890, section 2.1", False),
    ("192.0.0.0/29", "RFC 7335", False),
    ("192.0.0.8/32", "RFC 7600", False),
    ("192.0.0.9/32", "RFC 7723", True),
    ("192.0.0.10/32", "RFC 8155", True),
    ("192.0.0.170/32", "RFC 8880", False),
    ("192.0.0.171/32", "RFC 8880", False),
    ("192.0.2.0/24", "RFC 5737", False),
    ("192.31.196.0/24", "RFC 7535", True),
    ("192.52.193.0/24", "RFC 7450", True),
    ("192.88.99.0/24", "RFC 7526", False),
    ("192.88.99.2/32", "RFC 6751", False),
    ("192.168.0.0/16", "RFC 1918", False),
    ("192.175.48.0/24", "RFC 7534", True),
    ("198.18.0.0/15", "RFC 2544", False),
    ("198.51.100.0/24", "RFC 5737", False),
    ("203.0.113.0/24", "RFC 5737", False),
    ("240.0.0.0/4", "RFC 1112, section 4", False),
    ("255.255.255.255/32", "RFC 8190", False),
    ("::1/128", "RFC 4291", False),
    ("::/128", "RFC 4291", False),
    ("::ffff:0:0/96", "RFC 4291", False),
    ("64:ff9b::/96", "RFC 6052", True),
    ("64:ff9b:1::/48", "RFC 8215", False),
    ("100::/64", "RFC 6666", False),
    ("100:0:0:1::/64", "RFC 9780", False),
    ("2001::/23", "RFC 2928", False),
    ("2001::/32", "RFC 4380", False),
    ("2001:1::1/128", "RFC 7723", True),
    ("2001:1::2/128", "RFC 8155", True),
    ("2001:1::3/128", "RFC 9665", True),
    ("2001:2::/48", "RFC 5180", False),
    ("2001:3::/32", "RFC 7450", True),
    ("2001:4:112::/48", "RFC 7535", True),
    ("2001:10::/28", "RFC 4843", False),
    ("2001:20::/28", "RFC 7343", True),
    ("2001:30::/28", "RFC 9374", True),
    ("2001:db8::/32", "RFC 3849", False),
    ("2002::/16", "RFC 3056", False),
    ("2620:4f:8000::/48", "RFC 7534", True),
    ("3fff::/20", "RFC 9637", False),
    ("5f00::/16", "RFC 9602", False),
    ("fc00::/7", "RFC 4193", False),
    ("fe80::/10", "RFC 4291", False),
    # no part of the registries, and nobody's address either
    ("224.0.0.0/4", "RFC 5771", False),
    ("ff00::/8", "RFC 4291, section 2.7", False),
)
METADATA: Final = frozenset(
    map(
        ip_address,
        (
            "169.254.169.254",  # Amazon, Google, Microsoft, Oracle, DigitalOcean, OpenStack, others
            "169.254.170.2",  # Amazon ECS: a task's credentials
            "169.254.170.23",  # Amazon EKS: Pod Identity
            "169.254.0.23",  # Tencent
            "169.254.10.10",  # Tencent
            "169.254.42.42",  # Scaleway
            "100.100.100.200",  # Alibaba
            "168.63.129.16",  # Microsoft Azure: WireServer
            "192.0.0.192",  # Oracle Cloud Classic
            "fd00:ec2::254",  # Amazon
            "fd00:ec2::23",  # Amazon EKS: Pod Identity
            "fd20:ce::254",  # Google
            "fd00:c1::a9fe:a9fe",  # Oracle
            "fd00:42::42",  # Scaleway
            "fd00:a9fe:a9fe::1",  # Akamai
            "fd00:100::100:200",  # Alibaba
            "fe80::a9fe:a9fe",  # OpenStack, Akamai
        ),
    )
)
"""Addresses where clouds hand out credentials to whoever asks: no backend may have one."""

_ASSIGNED: Final = IPv6Network("2000::/3")
_BLOCKS: Final = sorted(
    ((ip_network(block), reachable) for block, _, reachable in REGISTRY),
    key=lambda entry: -entry[0].prefixlen,
)
_LOW: Final = 0xFFFFFFFF


def is_reachable(address: Address) -> bool:
    """Whether the registries call `address` globally reachable, whatever it carries."""
    for block, reachable in _BLOCKS:
        if address.version == block.version and address in block:
            return reachable
    return address.version == 4 or address in _ASSIGNED


def holds_reachable(block: Network) -> bool:
    """Whether an address of `block` is one that the registries call globally reachable."""
    within_one = False
    for known, reachable in _BLOCKS:
        if known.version != block.version or not known.overlaps(block):
            continue
        if reachable:
            return True
        within_one = within_one or block.subnet_of(known)  # type: ignore[arg-type]
    return not within_one and (block.version == 4 or block.overlaps(_ASSIGNED))


def plain(address: Address) -> Address:
    """Return the address that a connection goes to: the IPv4 one where it is mapped."""
    return (isinstance(address, IPv6Address) and address.ipv4_mapped) or address


def carried(address: Address) -> tuple[IPv4Address, ...]:
    """Return the IPv4 addresses that tunnels and translators would read out of an IPv6 one."""
    if isinstance(address, IPv4Address):
        return ()
    bits = int(address)
    addresses: list[int] = []
    for prefix, read in _EMBEDDINGS:
        if address in prefix:
            addresses += read(bits)
    if bits >> 32 & 0xFDFFFFFF == 0x00005EFE:  # ISATAP under any prefix (RFC 5214, section 6.1)
        addresses.append(bits & _LOW)
    return tuple(map(IPv4Address, addresses))


def guessed(address: Address) -> tuple[IPv4Address, ...]:
    """Return the IPv4 addresses that a NAT64 of local use may read out of an IPv6 one.

    RFC 8215 leaves the length of the prefix open; each of RFC 6052, section 2.2, reads another one.
    """
    if isinstance(address, IPv4Address) or address not in _LOCAL_NAT64:
        return ()
    bits = int(address)
    return tuple(
        map(
            IPv4Address,
            (
                bits & _LOW,  # /96
                bits >> 24 & _LOW,  # /64
                (bits >> 64 & 0xFF) << 24 | (bits >> 32 & 0xFFFFFF),  # /56: the octet before u
                (bits >> 64 & 0xFFFF) << 16 | (bits >> 40 & 0xFFFF),  # /48
            ),
        )
    )


def _last(bits: int) -> list[int]:
    return [] if bits in {0, 1} else [bits & _LOW]  # :: and ::1 carry nothing


def _six_to_four(bits: int) -> list[int]:
    return [bits >> 80 & _LOW]


def _teredo(bits: int) -> list[int]:
    """Return the server, and the client, whose bits are inverted (RFC 4380, section 4)."""
    return [bits >> 64 & _LOW, bits & _LOW ^ _LOW]


_LOCAL_NAT64: Final = IPv6Network("64:ff9b:1::/48")
_EMBEDDINGS: Final = (
    (IPv6Network("::/96"), _last),  # compatible (RFC 4291, section 2.5.5.1)
    (IPv6Network("::ffff:0:0/96"), _last),  # mapped (RFC 4291, section 2.5.5.2)
    (IPv6Network("::ffff:0:0:0/96"), _last),  # translated (RFC 2765, section 2.1)
    (IPv6Network("64:ff9b::/96"), _last),  # NAT64 (RFC 6052, section 2.1)
    (IPv6Network("2002::/16"), _six_to_four),  # 6to4 (RFC 3056, section 2)
    (IPv6Network("2001::/32"), _teredo),
)


@lru_cache(maxsize=64)
def networks(blocks: tuple[str, ...]) -> tuple[Network, ...]:
    """Return CIDR blocks as networks; ValueError where one is none."""
    return tuple(ip_network(block) for block in blocks)


def within(address: Address, blocks: tuple[Network, ...]) -> bool:
    """Whether `address` is in one of `blocks`."""
    return any(address.version == block.version and address in block for block in blocks)
