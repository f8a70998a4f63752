"""Where a LiteLLM deployment runs, as its address says it; LiteLLM itself knows no tiers."""

import re
from ipaddress import ip_address, ip_network
from typing import Final
from urllib.parse import urlsplit

from attrs import frozen
from lockgate.policy.address import is_inside, url_fault
from lockgate.policy.spec.backends import Tier

from pulumi_lockgate.convert.litellm.providers import PUBLISHED_HOSTS

_BARE: Final = re.compile(r"[a-z_][a-z0-9_-]*\Z")
"""A name without a dot; begins with a letter, since ``http://134744072`` is a public address."""
_INSIDE: Final = (".local", ".internal", ".home.arpa")
_SHARED: Final = ip_network("100.64.0.0/10")
_MARK: Final = "written by import, to be confirmed"


@frozen
class Locality:
    """A tier; `attested`: the sentence that a local one needs; `note`: what the reader is told."""

    tier: Tier
    attested: str | None = None
    note: str | None = None


def locality(url: str, stated: str | None) -> Locality | None:
    """Return where `url` is; empty: at a provider's own address. `stated`: by the command line.

    None where local is stated of a provider's own address, which is not local.
    """
    host = _host(url)
    if not url or host in PUBLISHED_HOSTS:
        return None if stated == "local" else Locality("cloud")
    if stated == "cloud":
        return Locality("cloud")
    if url_fault(url) is None and is_inside(url, ()):
        return Locality("local")
    why = _named_inside(host)
    if why is not None:
        sentence = f"{_MARK}: {host} {why}"
        return Locality("local", sentence, f"{host} {why}: tier local, attestedLocal is written")
    if stated == "local":
        sentence = f"{_MARK}: --tier local was stated for {host}"
        return Locality("local", sentence, f"{host} is local as stated, attestedLocal is written")
    note = f"{host} is taken for cloud, since nothing says that it is local"
    return Locality("cloud", note=f"{note}; --tier NAME=local where it is yours")


def _host(url: str) -> str:
    try:
        return (urlsplit(url).hostname or "").rstrip(".")
    except ValueError:
        return ""


def _named_inside(host: str) -> str | None:
    if _BARE.match(host):
        return "is a name without a dot, which is on its own network"
    if host.endswith(_INSIDE):
        return "ends in ." + host.rpartition(".")[2] + ", which is no public name"
    try:
        if ip_address(host) in _SHARED:
            return "is in 100.64.0.0/10, which is not routed in public"
    except (ValueError, TypeError):
        pass
    return None
