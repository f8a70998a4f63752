"""A Mac outside the cluster as a Pulumi component: Service, EndpointSlice, files for the Mac."""

from collections.abc import Mapping
from typing import Any

import attrs
import pulumi
from attrs import evolve
from lockgate.policy.spec.fields import wire_name
from pulumi import Input, ResourceOptions
from pulumi_kubernetes.core.v1 import ConfigMap, Service
from pulumi_kubernetes.discovery.v1 import EndpointSlice

from pulumi_lockgate.draft import RefusedError
from pulumi_lockgate.manifests.launchd import machine_files
from pulumi_lockgate.manifests.metal import Metal, metal_manifests
from pulumi_lockgate.resource import body
from pulumi_lockgate.stack.metal import MetalSettings, read_metal


class MetalHost(pulumi.ComponentResource):
    """A machine outside the cluster that serves one model to it.

    The settings are those of a stack's `lockgate:metal`, in either spelling:
    `address="10.20.0.7", model="/models/q.gguf", memory="64Gi", user="_llama",
    declaration={"owner": "...", "place": "..."}`. `namespace` may be an Output.

    Outputs: `url`, the base URL at its address; `files`, what is installed on the machine, by name.
    `backend()` is the machine as a backend of a ModelRouter. Raises RefusedError for settings that
    a stack file would be refused for.
    """

    url: str
    files: Mapping[str, str]

    def __init__(
        self,
        name: str,
        metal: Metal | None = None,
        namespace: Input[str] = "default",
        opts: ResourceOptions | None = None,
        **settings: Any,
    ) -> None:
        self._metal = _read(name, settings) if metal is None else metal
        space: Any = namespace if metal is None else metal.namespace
        super().__init__("lockgate:index:MetalHost", name, None, opts)
        self.files = machine_files(self._metal)
        self.url = self._metal.machine.url
        made = metal_manifests(evolve(self._metal, namespace=space), dict(self.files))
        child = ResourceOptions(parent=self)
        service = Service(f"{name}-service", **body(made["service"]), opts=child)
        after = ResourceOptions.merge(child, ResourceOptions(depends_on=[service]))
        EndpointSlice(f"{name}-endpoints", **body(made["endpoints"]), opts=after)
        ConfigMap(f"{name}-files", **body(made["files"]), opts=child)
        self.register_outputs({"url": self.url, "files": self.files})

    def backend(self, name: str | None = None, **fields: Any) -> dict[str, Any]:
        """Return this machine as a backend of a ModelRouter, called `name` or as it is itself.

        `fields` are further ones of the backend, as a policy has them: `capabilities=["code"]`.
        """
        machine = self._metal.machine
        external: dict[str, Any] = {"provider": "openai", "url": machine.url, "model": machine.name}
        if machine.credentials is not None:
            external["credentialsSecretRef"] = {"name": machine.credentials}
        trusted = machine.authority
        if trusted is not None:
            fields = {"tls": {"caSecretRef": {"name": trusted}}, **fields}
        return {
            "name": name or machine.name,
            "tier": "local",
            "external": external,
            "attestedLocal": machine.declared,
            "healthCheck": {},
            **fields,
        }


def _read(name: str, settings: Mapping[str, Any]) -> Metal:
    """Return a machine's settings, read as a stack file's."""
    names = {field.name: wire_name(field) for field in attrs.fields(MetalSettings)}
    stated = {names.get(key, key): value for key, value in settings.items() if value is not None}
    metal, problems = read_metal(name, stated)
    if metal is None:
        raise RefusedError(f"MetalHost {name!r}", problems)
    return metal
