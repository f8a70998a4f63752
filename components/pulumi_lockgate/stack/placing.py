"""Fills into a policy what its surroundings know: namespaces, and the cluster's LiteLLM."""

import ipaddress
from collections.abc import Iterator
from urllib.parse import urlsplit

from attrs import evolve
from lockgate.policy.loaded import LoadedPolicy
from lockgate.policy.reading.load import recheck
from lockgate.policy.reading.paths import joined
from lockgate.policy.reading.problem import PolicyRefusedError, Problem
from lockgate.policy.spec.backends import Backend
from lockgate.policy.spec.model_router import RouterSpec


def place(
    policy: LoadedPolicy, namespace: str, litellm_url: str | None, path: str, name: str
) -> LoadedPolicy:
    """Return `policy` with the namespace of its model servers and the URL of the LiteLLM.

    `path` is its place in the file `name`. PolicyRefusedError says which backend has no address.
    """
    backends = tuple(_placed(backend, namespace, litellm_url) for backend in policy.spec.backends)
    missing = tuple(
        Problem(
            joined(path, f"backends[{number}].external.url"),
            policy.line_of(f"backends[{number}].external"),
            "is missing: a litellm backend has no address of its own",
            "add `url: https://HOST`, or `lockgate:litellmUrl: https://HOST` for all of them",
        )
        for number, backend in enumerate(backends)
        if backend.external is not None
        and backend.external.provider == "litellm"
        and backend.external.url is None
    )
    if missing:
        raise PolicyRefusedError(name, missing)
    spec: RouterSpec = evolve(policy.spec, backends=backends)
    return recheck(policy, spec, path, name)  # a URL from the stack is held to the same rules


def _placed(backend: Backend, namespace: str, litellm_url: str | None) -> Backend:
    service = backend.inference_service_ref
    if service is not None and service.namespace is None:
        return evolve(backend, inference_service_ref=evolve(service, namespace=namespace))
    external = backend.external
    if external is not None and external.provider == "litellm" and external.url is None:
        return evolve(backend, external=evolve(external, url=litellm_url))
    return backend


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
