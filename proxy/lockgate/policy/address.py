"""Which addresses a backend of which tier may have: when a policy is loaded, and at every connect.

A local backend stays inside: loopback, RFC 1918, fc00::/7 and the policy's own private ranges,
unless it is attested. A cloud backend must be outside, so that nobody's DNS turns the proxy on the
cluster's own network (server-side request forgery), unless the policy allows it a private address.
Neither may be where a cloud hands out credentials, whatever the policy says. An IPv6 address that
carries an IPv4 one is outside only where both are; it is inside where it is so itself, since where
a tunnel or a translator ends cannot be known here. A mapped one is the IPv4 address it names.
"""

from ipaddress import ip_address
from typing import Final, Literal
from urllib.parse import SplitResult, urlsplit

from lockgate.policy.spec.backends import DEFAULT_URLS, Backend
from lockgate.policy.special_addresses import (
    METADATA,
    Address,
    carried,
    guessed,
    holds_reachable,
    is_reachable,
    networks,
    plain,
    within,
)

_CLUSTER_SUFFIXES: Final = (".svc", ".svc.cluster.local")
INSIDE: Final = (
    "127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "::1/128", "fc00::/7",
)  # fmt: skip
NOBODYS: Final = ("0.0.0.0/8", "224.0.0.0/4", "255.255.255.255/32", "::/128", "ff00::/8")


LocalBy = Literal["itself", "attestation", "privateRanges"]
"""What makes a backend of the local tier local: its address alone, or what the policy says."""

Whereabouts = Literal["address", "cluster", "name"]
"""What the host of an external backend's URL is: an address, a Service's name, another name."""


def permitted(address: str, backend: Backend, private_ranges: tuple[str, ...]) -> str | None:
    """Return None when `backend` may be reached at `address`, else the reason."""
    parsed = _parsed(address)
    reason = _never(parsed)
    if reason is not None:
        return reason
    if backend.tier == "local":
        if backend.attested_local or _is_inside(parsed, private_ranges):
            return None
        return "a local-tier backend must be at a private address, or be attested"
    if backend.external is not None and backend.external.allow_private_address:
        return None
    if not _is_outside(parsed):
        return "a cloud-tier backend must not be at a private address"
    return None


def _never(address: Address) -> str | None:
    if not METADATA.isdisjoint((address, *carried(address), *guessed(address))):
        return "no backend may have a cloud's metadata address"
    if within(address, networks(NOBODYS)):
        return "no backend may have this address"
    return None


def _is_inside(address: Address, private_ranges: tuple[str, ...]) -> bool:
    return within(address, networks(INSIDE)) or within(address, networks(private_ranges))


def _is_outside(address: Address) -> bool:
    return is_reachable(address) and all(map(is_reachable, carried(address)))


def _parsed(address: str) -> Address:
    return plain(ip_address(address.partition("%")[0]))


def url_fault(url: str) -> str | None:
    """Return what is wrong with a base URL, None when nothing is."""
    try:
        parts = urlsplit(url)
        port_ok = parts.port is None or parts.port > 0
    except ValueError:
        return "is not a URL"
    if parts.scheme not in {"http", "https"} or not parts.hostname or not port_ok:
        return "is not an http or https URL"
    if parts.username or parts.password:
        return "carries a user or a password"
    if parts.query or parts.fragment:
        return "has a query or a fragment"
    if not url.isascii() or any(char.isspace() for char in url):
        return "has characters that a URL may not have"
    return None


def is_inside(url: str, private_ranges: tuple[str, ...]) -> bool:
    """Whether the URL's host is a cluster name or a literal address of the local tier."""
    host = _host(urlsplit(url))
    if _is_cluster_name(host):
        return True
    address = _literal(host)
    return address is not None and _never(address) is None and _is_inside(address, private_ranges)


def local_by(backend: Backend) -> LocalBy | None:
    """Return what makes `backend` a local one, None where it is of the cloud tier.

    The policy has been loaded: an address that is neither inside nor attested is in a range of its
    own. A name that is attested is local by that alone: no address it resolves to is refused.
    """
    if backend.tier == "cloud":
        return None
    url = None if backend.external is None else backend.external.url
    address = None if url is None else _literal(_host(urlsplit(url)))
    if address is not None and _is_inside(address, ()):
        return "itself"
    if backend.attested_local:
        return "attestation"
    return "itself" if address is None else "privateRanges"


def whereabouts(backend: Backend) -> Whereabouts | None:
    """Return what the host of a backend's URL is; None for one that has no URL."""
    if backend.external is None:
        return None
    url = backend.external.url or DEFAULT_URLS.get(backend.external.provider)
    return None if url is None else kind_of(url)


def kind_of(url: str) -> Whereabouts:
    """Return what the host of a URL is."""
    host = _host(urlsplit(url))
    if _literal(host) is not None:
        return "address"
    return "cluster" if host.endswith(_CLUSTER_SUFFIXES) else "name"


def is_private(url: str) -> bool:
    """Whether the URL's host is a cluster name or a literal address that no cloud can have."""
    host = _host(urlsplit(url))
    address = _literal(host)
    return _is_cluster_name(host) or (address is not None and not _is_outside(address))


def literal_fault(url: str, backend: Backend, private_ranges: tuple[str, ...]) -> str | None:
    """Return why `backend` may not have the address that its URL states, None for a name."""
    host = _host(urlsplit(url))
    return None if _literal(host) is None else permitted(host, backend, private_ranges)


def cidr_fault(block: str) -> str | None:
    """Return what is wrong with a CIDR block, None when nothing is."""
    try:
        networks((block,))
    except ValueError as problem:
        return str(problem)
    return None


def is_public(block: str) -> bool:
    """Whether an address of the CIDR block may be anybody's; ValueError where it is no block."""
    return any(map(holds_reachable, networks((block,))))


def _host(parts: SplitResult) -> str:
    return (parts.hostname or "").rstrip(".")


def _is_cluster_name(host: str) -> bool:
    return host == "localhost" or host.endswith(_CLUSTER_SUFFIXES)


def _literal(host: str) -> Address | None:
    try:
        return _parsed(host)
    except ValueError:
        return None
