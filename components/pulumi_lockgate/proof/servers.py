"""What server a backend is, whatever it is called: identity, standing, and its address in words.

Two backends are one when they are the same server asked for the same model in the same way. Whether
it is of the cloud, or counts as local and why, is its standing: a server can change that and be the
same server all the same.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from lockgate.policy.address import local_by
from lockgate.policy.loaded import LoadedPolicy
from lockgate.policy.spec.backends import DEFAULT_URLS, Backend, ServiceRef

from pulumi_lockgate.proof.route_points import RoutePoint

Identity = tuple[Any, ...]


def is_outside(backend: Backend) -> bool:
    """Whether a backend is of the cloud, or local by nothing but what the policy says of it."""
    return local_by(backend) != "itself"


def key_of(backend: Backend) -> Identity:
    """Return what makes two places of a chain the same: the server and its standing."""
    return (*identity(backend), backend.tier, local_by(backend))


def shown(backend: Backend) -> str:
    """Return a backend by name with its tier, and what makes it local where that is a word."""
    by = local_by(backend)
    word = "" if by in (None, "itself") else f" by {by}"
    return f"{backend.name} ({backend.tier}{word})"


def identity(backend: Backend) -> Identity:
    """Return the server, the model and the way in which it is asked; a default URL is a URL."""
    external = backend.external
    if external is None:
        service = backend.service
        if isinstance(service, ServiceRef):  # its pods' labels tell no two servers apart
            place = (service.namespace, service.name, service.port, service.path)
            return (place, backend.upstream_model)
        return (service, backend.upstream_model)
    key = external.credentials_secret_ref
    allows = external.allow_private_address
    return (external.provider, address_of(backend), external.model, key, allows)


def address_of(backend: Backend) -> str:
    """Return where a backend is: its URL, its service, or its provider where that has no URL."""
    service, external = backend.service, backend.external
    if isinstance(service, ServiceRef):
        place = f"{service.namespace}/{service.name}" if service.namespace else service.name
        return f"service {place}:{service.port}{service.path}"
    if service is not None:
        return f"service {service.namespace}/{service.name}" if service.namespace else service.name
    assert external is not None
    return external.url or DEFAULT_URLS.get(external.provider) or f"provider {external.provider}"


def details(backend: Backend) -> Mapping[str, str]:
    """Return everything that tells two backends of one name apart, in words."""
    external = backend.external
    found = {"at": address_of(backend), "model": backend.upstream_model or "the client's"}
    if external is not None:
        key = external.credentials_secret_ref
        found["provider"] = external.provider
        found["key"] = "no key" if key is None else f"key {key.name}"
        found["private"] = "private addresses allowed" if external.allow_private_address else ""
    if backend.attested_local:
        found["why"] = f"attested: {backend.attested_local}"
    return found


def share(point: RoutePoint, backend: Backend) -> float:
    """Return which part of the requests is sent to `backend` while nothing fails, from 0 to 1."""
    rule = point.rule
    own = [b for b in point.chain if rule is None or b.name in rule.route.backends]
    if backend not in own:
        return float(point.chain[0] is backend)
    strategy = "primary-fallback" if rule is None else rule.route.strategy
    if strategy == "weighted":
        weights = sum(b.weight for b in own)
        return backend.weight / weights if weights else float(own[0] is backend)
    if own[0] is backend:
        return 1.0
    return rule.route.shadow_percent / 100 if rule is not None and strategy == "shadow" else 0.0


def route_words(point: RoutePoint) -> str:
    """Return how a route spreads requests over its chain, empty where it is in order."""
    rule = point.rule
    if rule is None or rule.route.strategy == "primary-fallback":
        return ""
    if rule.route.strategy == "shadow":
        return f"shadow {rule.route.shadow_percent} %"
    own = [b for b in point.chain if b.name in rule.route.backends]
    return "weights " + " : ".join(str(b.weight) for b in own)


def local_by_word(policy: LoadedPolicy) -> Iterator[str]:
    """Yield a line for all that counts as local by nothing but what the policy says."""
    for backend in policy.spec.backends:
        if backend.attested_local:
            yield f"{backend.name} counts as local by attestation: {backend.attested_local}"
        elif local_by(backend) == "privateRanges":
            yield f"{backend.name} counts as local by proxy.privateRanges: {address_of(backend)}"
    for block in policy.spec.proxy.private_ranges:
        yield f"addresses in {block.cidr} count as local: {block.why}"
