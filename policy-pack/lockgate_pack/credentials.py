"""A cloud backend's credential is mounted by the router, and by nothing else.

Whoever holds the key can speak to the cloud without the policy. Which Secrets are meant stands in
the policies of the stack itself: policy.json in a router's ConfigMap names them.
"""

import json
from collections.abc import Iterable, Iterator

from lockgate_pack.resources import (
    ROUTER,
    Pod,
    Props,
    Resource,
    kind_of,
    made_by,
    namespace_of,
    pod_of,
)


def misplaced(resources: Iterable[Resource]) -> Iterator[tuple[str, str]]:
    """Yield sentence and URN for each pod outside a router that is given a cloud credential."""
    held = list(resources)
    secrets = {name for r in held for name in _credentials(r)}
    for resource in held:
        pod = pod_of(resource.resource_type, resource.props)
        if pod is None or made_by(resource.urn, ROUTER):
            continue
        for place, name in given(pod):
            if (pod.namespace, name) in secrets:
                fault = f"{place} gives the cloud credential {name!r} to a pod that is no router"
                yield f"{fault}: call the router's URL instead", resource.urn


def _credentials(resource: Resource) -> Iterator[tuple[str, str]]:
    """Yield namespace and name of each Secret with a cloud backend's credential."""
    if kind_of(resource.resource_type) != "ConfigMap" or not made_by(resource.urn, ROUTER):
        return
    text = (resource.props.get("data") or {}).get("policy.json")
    for backend in json.loads(text).get("backends", ()) if text else ():
        reference = (backend.get("external") or {}).get("credentialsSecretRef")
        if reference and backend.get("tier") == "cloud":
            yield namespace_of(resource.props), reference["name"]


def given(pod: Pod) -> Iterator[tuple[str, str]]:
    """Yield place and name of each Secret that a pod's containers can read."""
    for number, volume in enumerate(pod.spec.get("volumes") or ()):
        place = f"volumes[{number}]"
        name = (volume.get("secret") or {}).get("secretName")
        if name:
            yield place, name
        for source in (volume.get("projected") or {}).get("sources") or ():
            if source.get("secret"):
                yield place, source["secret"].get("name")
    for place, container in pod.containers():
        yield from _environment(place, container)


def _environment(place: str, container: Props) -> Iterator[tuple[str, str]]:
    for variable in container.get("env") or ():
        reference = (variable.get("valueFrom") or {}).get("secretKeyRef")
        if reference:
            yield f"{place}.env {variable.get('name')}", reference.get("name")
    for source in container.get("envFrom") or ():
        if source.get("secretRef"):
            yield f"{place}.envFrom", source["secretRef"].get("name")
