"""What surrounds a policy in a stack: the namespace of its model servers, the cluster's LiteLLM."""

from typing import Final

from attrs import evolve, frozen

from lockgate.policy.reading.document import Node
from lockgate.policy.spec.backends import Backend
from lockgate.policy.spec.model_router import RouterSpec

NAMESPACE: Final = "lockgate"
"""The namespace of a stack that names none."""
Fault = tuple[str, str, str]
"""(path, message, suggestion), as the checks of a spec yield them."""


@frozen
class Surroundings:
    """The namespace of a stack, and the base URL of its LiteLLM where it names one."""

    namespace: str = NAMESPACE
    litellm_url: str | None = None


def surroundings_of(config: Node) -> Surroundings:
    """Return what a stack's ``config`` says; what is no text there, plan-time checks refuse."""
    values = {member.key: member.node for member in config.value} if config.is_mapping else {}
    url = values.get("lockgate:litellmUrl")
    stated = values.get("lockgate:namespace")
    if stated is not None and stated.is_mapping:
        stated = next((m.node for m in stated.value if m.key == "name"), None)
    return Surroundings(_text(stated) or NAMESPACE, _text(url))


def _text(node: Node | None) -> str | None:
    return node.value if node is not None and isinstance(node.value, str) and node.value else None


def placed(spec: RouterSpec, around: Surroundings) -> RouterSpec:
    """Return `spec` with the namespaces and URLs that its surroundings know."""
    backends = tuple(_placed(backend, around) for backend in spec.backends)
    found: RouterSpec = evolve(spec, backends=backends)
    return found


def without_an_address(spec: RouterSpec) -> list[tuple[int, Fault]]:
    """Return the LiteLLM backends that have no URL, by number, each with its fault."""
    fault = (
        "external.url",
        "is missing: a litellm backend has no address of its own",
        "add `url: https://HOST`, or `lockgate:litellmUrl: https://HOST` for all of them",
    )
    return [
        (number, fault)
        for number, backend in enumerate(spec.backends)
        if backend.external is not None
        and backend.external.provider == "litellm"
        and backend.external.url is None
    ]


def _placed(backend: Backend, around: Surroundings) -> Backend:
    service, other, external = backend.inference_service_ref, backend.service_ref, backend.external
    if service is not None and service.namespace is None:
        return evolve(backend, inference_service_ref=evolve(service, namespace=around.namespace))
    if other is not None and other.namespace is None:
        return evolve(backend, service_ref=evolve(other, namespace=around.namespace))
    if external is not None and external.provider == "litellm" and external.url is None:
        return evolve(backend, external=evolve(external, url=around.litellm_url))
    return backend
