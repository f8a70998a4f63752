"""What a policy's addresses come to in a cluster."""

import ipaddress
from collections.abc import Iterator
from urllib.parse import urlsplit

from lockgate.policy.spec.model_router import RouterSpec


def loopback_notices(spec: RouterSpec) -> Iterator[str]:
    """Yield a line for each backend whose address, in a cluster, is the router's own pod."""
    for backend in spec.backends:
        url = backend.external.url if backend.external is not None else None
        host = (urlsplit(url).hostname or "") if url is not None else ""
        if host == "localhost" or _is_loopback(host):
            why = f"{host} is the router's own pod there, and no model server runs in it"
            yield f"backend {backend.name}: {why}; name a Service: `http://NAME.NAMESPACE.svc/v1`"


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
