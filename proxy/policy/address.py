"""Whether a URL in a policy can be told to be inside, before any name is resolved."""

import ipaddress
from typing import Final
from urllib.parse import SplitResult, urlsplit

_CLUSTER_SUFFIXES: Final = (".svc", ".svc.cluster.local")


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
    """Whether the URL's host is a cluster name or a literal private address."""
    host = _host(urlsplit(url))
    if host == "localhost" or host.endswith(_CLUSTER_SUFFIXES):
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    ranges = (ipaddress.ip_network(block) for block in private_ranges)
    inside = address.is_private and not address.is_unspecified and not address.is_link_local
    return inside or any(address in block for block in ranges if block.version == address.version)


def cidr_fault(block: str) -> str | None:
    """Return what is wrong with a CIDR block, None when nothing is."""
    try:
        ipaddress.ip_network(block)
    except ValueError as problem:
        return str(problem)
    return None


def _host(parts: SplitResult) -> str:
    return (parts.hostname or "").rstrip(".")
