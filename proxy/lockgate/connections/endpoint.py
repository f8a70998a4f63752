"""Where a backend is: its endpoint out of the policy."""

from typing import Final
from urllib.parse import urlsplit

from attrs import frozen

from lockgate.policy.spec.backends import DEFAULT_URLS, Backend, ServiceRef

SERVICE_PORT: Final = 8080
"""Every InferenceService listens here."""


@frozen
class Endpoint:
    """Where to connect to, and the base path under which the provider's doors are."""

    scheme: str
    host: str
    port: int
    base_path: str
    host_header: str


class NoAddressError(Exception):
    """The policy names no address for a backend, and nothing stands in for it."""


def endpoint_of(backend: Backend, override: str | None = None) -> Endpoint:
    """Return where `backend` is; NoAddressError when there is nothing to go by.

    `override` (``--address``) replaces scheme, host and port, and the base path when it has one.
    """
    base = base_url(backend)
    if override is None:
        if base is None:
            raise NoAddressError(f"backend {backend.name} has no url")
        return _parse(base)
    stated = _parse(override)
    if stated.base_path or base is None:
        return stated
    host, path = stated.host_header, _parse(base).base_path
    return Endpoint(stated.scheme, stated.host, stated.port, path, host)


def base_url(backend: Backend) -> str | None:
    """Return the address that the policy says, None where it says none."""
    if backend.external is not None:
        return backend.external.url or DEFAULT_URLS.get(backend.external.provider)
    service = backend.service
    if service is None:
        return None
    name = service.name.replace(".", "-")
    host = f"{name}.{service.namespace}.svc.cluster.local" if service.namespace else name
    if isinstance(service, ServiceRef):
        return f"http://{host}:{service.port}{service.path.rstrip('/')}"
    return f"http://{host}:{SERVICE_PORT}/v1"


def _parse(url: str) -> Endpoint:
    parts = urlsplit(url)
    host = parts.hostname or ""
    default = 443 if parts.scheme == "https" else 80
    port = parts.port or default
    shown = f"[{host}]" if ":" in host else host
    header = shown if port == default else f"{shown}:{port}"
    return Endpoint(parts.scheme, host, port, parts.path.rstrip("/"), header)
