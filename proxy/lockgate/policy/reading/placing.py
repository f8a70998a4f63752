"""What surrounds a policy in a stack: where its model servers are, the cluster's LiteLLM.

A backend whose `inferenceServiceRef` names one of the stack's machines outside the cluster
(`lockgate:metal`) is that machine: its address, asked for the machine's model, local because the
stack declares who runs it and where it stands, and looked after by a health check.
"""

from collections.abc import Mapping
from typing import Any, Final

from attrs import evolve, frozen

from lockgate.policy.reading.document import Node
from lockgate.policy.spec.backends import Backend, BackendTls, External, HealthCheck, SecretRef
from lockgate.policy.spec.model_router import RouterSpec
from lockgate.policy.spec.site import CA_KEY, ConfigMapRef, Site

METAL: Final = "lockgate:metal"
SITE: Final = "lockgate:site"
MACHINE_PORT: Final = 8080
NAMESPACE: Final = "lockgate"
"""The namespace of a stack that names none."""
Fault = tuple[str, str, str]
"""(path, message, suggestion), as the checks of a spec yield them."""


@frozen
class Machine:
    """A machine outside the cluster that serves one model, as a router sees it.

    `credentials` and `authority` are Secrets' names: of its key, of who signed its certificate.
    """

    name: str
    address: str
    port: int
    owner: str
    place: str
    tls: bool = False
    credentials: str | None = None
    authority: str | None = None

    @property
    def url(self) -> str:
        """Its base URL."""
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"{'https' if self.tls else 'http'}://{host}:{self.port}/v1"

    @property
    def declared(self) -> str:
        """Who says that it is local, and why: the text of `attestedLocal`."""
        return f"{self.name}: {self.place}; declared by {self.owner}"

    def backend(self, stated: Backend) -> Backend:
        """Return a backend that is this machine, with all else as it is stated."""
        key = None if self.credentials is None else SecretRef(name=self.credentials)
        ca = self.authority
        model = stated.served_model or self.name
        found: Backend = evolve(
            stated,
            inference_service_ref=None,
            external=External(
                provider="openai", model=model, url=self.url, credentials_secret_ref=key
            ),
            served_model=None,
            attested_local=self.declared,
            health_check=stated.health_check or HealthCheck(),
            tls=None if ca is None else BackendTls(ca_secret_ref=SecretRef(name=ca)),
        )
        return found


@frozen
class Surroundings:
    """The namespace of a stack, its LiteLLM's base URL, its machines by name, its site."""

    namespace: str = NAMESPACE
    litellm_url: str | None = None
    machines: Mapping[str, Machine] = {}
    site: Site | None = None


def surroundings_of(config: Node) -> Surroundings:
    """Return what a stack's ``config`` says; what is no text there, plan-time checks refuse."""
    values = {member.key: member.node for member in config.value} if config.is_mapping else {}
    url = values.get("lockgate:litellmUrl")
    stated = values.get("lockgate:namespace")
    if stated is not None and stated.is_mapping:
        stated = next((m.node for m in stated.value if m.key == "name"), None)
    metal = values.get(METAL)
    members = metal.value if metal is not None and metal.is_mapping else ()
    found = {m.key: _machine(m.key, m.node) for m in members}
    machines = {name: machine for name, machine in found.items() if machine is not None}
    site = _site(values.get(SITE))
    return Surroundings(_text(stated) or NAMESPACE, _text(url), machines, site)


def _site(node: Node | None) -> Site | None:
    values = _values(node)
    trusted = _values(values.get("caConfigMapRef"))
    name, key = _text(trusted.get("name")), _text(trusted.get("key")) or CA_KEY
    found: Site = Site(
        platform="openshift" if _text(values.get("platform")) == "openshift" else "vanilla",
        registry=_text(values.get("registry")),
        ca_config_map_ref=None if name is None else ConfigMapRef(name=name, key=key),
    )
    return None if found == Site() else found


def _machine(name: str, node: Node) -> Machine | None:
    values = _values(node)
    declared, secret = (_values(values.get(key)) for key in ("declaration", "credentialsSecretRef"))
    address, port = _text(values.get("address")), _plain(values.get("port"), MACHINE_PORT)
    owner, place = (_text(declared.get(key)) for key in ("owner", "place"))
    if address is None or owner is None or place is None or type(port) is not int:
        return None
    tls = values.get("tls")
    ca = _text(_values(_values(tls).get("caSecretRef")).get("name"))
    key = _text(secret.get("name"))
    return Machine(name, address, port, owner, place, tls is not None, key, ca)


def _values(node: Node | None) -> dict[str, Node]:
    is_mapping = node is not None and node.is_mapping
    return {member.key: member.node for member in node.value} if node and is_mapping else {}


def _plain(node: Node | None, default: Any) -> Any:
    return default if node is None else node.value


def _text(node: Node | None) -> str | None:
    return node.value if node is not None and isinstance(node.value, str) and node.value else None


def placed(spec: RouterSpec, around: Surroundings) -> RouterSpec:
    """Return `spec` with the namespaces and URLs that its surroundings know."""
    backends = tuple(_placed(backend, around) for backend in spec.backends)
    found: RouterSpec = evolve(spec, backends=backends)
    if around.site is not None and spec.proxy.site is None:
        found = evolve(found, proxy=evolve(spec.proxy, site=around.site))
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
    if service is not None and service.namespace in {None, around.namespace}:
        machine = around.machines.get(service.name)
        if machine is not None:
            return machine.backend(backend)
    if service is not None and service.namespace is None:
        return evolve(backend, inference_service_ref=evolve(service, namespace=around.namespace))
    if other is not None and other.namespace is None:
        return evolve(backend, service_ref=evolve(other, namespace=around.namespace))
    if external is not None and external.provider == "litellm" and external.url is None:
        return evolve(backend, external=evolve(external, url=around.litellm_url))
    return backend
