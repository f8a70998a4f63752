"""How a model server's pods get files that lie elsewhere: fetched before the server starts.

An init container runs `lockgate fetch` into a volume that the server then reads: a claim, in which
each reference has a folder of its own, or the pod's own disk.
"""

from typing import Any, Final

from lockgate.fetching.source import HUB, Source, read_source
from lockgate.policy.spec.site import CA_KEY

from pulumi_lockgate.manifests.audit import ONE
from pulumi_lockgate.manifests.common import (
    Manifest,
    container_security_context,
    labels,
    metadata,
)
from pulumi_lockgate.manifests.model_server import MODEL_FOLDER, Fetch, Inference
from pulumi_lockgate.manifests.openings import MODEL, Opening, by_url, lookups
from pulumi_lockgate.manifests.router import DEFAULT_IMAGE

CLAIM: Final = "claim"
CONTAINER: Final = "fetch"
CREDENTIALS_FOLDER: Final = "/etc/lockgate/fetch/credentials"
CA_FOLDER: Final = "/etc/lockgate/fetch/ca"
_RESOURCES: Final = {
    "requests": {"cpu": "100m", "memory": "128Mi"},
    "limits": {"memory": "512Mi"},
}


def claim_name(inference: Inference) -> str | None:
    """Return the claim that the model's files lie on, None where they lie on the pod's own disk."""
    fetch = inference.fetch
    if fetch is None:
        return inference.claim
    if fetch.cache is None:
        return None
    return fetch.cache.existing or f"{inference.object_name}-models"


def claim(inference: Inference) -> Manifest | None:
    """Return the claim to make, None where there is none to make."""
    cache = inference.fetch.cache if inference.fetch is not None else None
    if cache is None or cache.size is None:
        return None
    made: dict[str, Any] = {
        "accessModes": [cache.access_mode or ONE],
        "resources": {"requests": {"storage": cache.size}},
    }
    if cache.storage_class is not None:
        made["storageClassName"] = cache.storage_class
    name = inference.object_name
    # a class may bind it only when a pod comes, which the engine would wait for in vain
    waits = {"pulumi.com/skipAwait": "true"}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": metadata(f"{name}-models", inference.namespace, labels(name, MODEL), waits),
        "spec": made,
    }


def model_volumes(inference: Inference) -> list[dict[str, Any]]:
    """Return the pods' volumes for the model, and for what fetches it."""
    fetch, named = inference.fetch, claim_name(inference)
    if fetch is None:
        if named is None:
            return []
        return [_on(named, read_only=True)]
    volumes = [{"name": "model", "emptyDir": {}} if named is None else _on(named, read_only=False)]
    if fetch.credentials is not None:
        secret = {"secretName": fetch.credentials, "defaultMode": 0o440}
        volumes.append({"name": "fetch-credentials", "secret": secret})
    if fetch.ca is not None:
        items = [{"key": fetch.ca.key, "path": CA_KEY}]
        volumes.append({"name": "fetch-ca", "configMap": {"name": fetch.ca.name, "items": items}})
    return volumes


def _on(claim: str, *, read_only: bool) -> dict[str, Any]:
    stated: dict[str, Any] = {"claimName": claim}
    if read_only:
        stated["readOnly"] = True
    return {"name": "model", "persistentVolumeClaim": stated}


def init_containers(inference: Inference) -> list[dict[str, Any]]:
    """Return the container that fetches, if there is something to fetch."""
    fetch = inference.fetch
    if fetch is None:
        return []
    mounts: list[dict[str, Any]] = [{"name": "model", "mountPath": MODEL_FOLDER}]
    if fetch.credentials is not None:
        at = {"name": "fetch-credentials", "mountPath": CREDENTIALS_FOLDER, "readOnly": True}
        mounts.append(at)
    if fetch.ca is not None:
        mounts.append({"name": "fetch-ca", "mountPath": CA_FOLDER, "readOnly": True})
    return [
        {
            "name": CONTAINER,
            "image": fetch.image or DEFAULT_IMAGE,
            "imagePullPolicy": "IfNotPresent",
            "args": _arguments(fetch),
            "resources": _RESOURCES,
            "securityContext": container_security_context(),
            "volumeMounts": mounts,
        }
    ]


def _arguments(fetch: Fetch) -> list[str]:
    words = ["fetch", fetch.source, "--to", f"{MODEL_FOLDER}/{fetch.folder}"]
    stated = {
        "--sha256": fetch.sha256,
        "--file": fetch.file,
        "--endpoint": fetch.endpoint,
        "--region": fetch.region,
        "--credentials": CREDENTIALS_FOLDER if fetch.credentials else None,
        "--ca": f"{CA_FOLDER}/{CA_KEY}" if fetch.ca else None,
    }
    return words + [w for name, value in stated.items() if value for w in (name, value)]


def openings(inference: Inference) -> tuple[Opening, ...]:
    """Return where the pods may connect to: nowhere, or to DNS and where the model is fetched."""
    fetch = inference.fetch
    if fetch is None:
        return ()
    url = place_of(read_source(fetch.source), fetch)
    return lookups(inference.site), by_url("its model", url, fetch.cidrs, goes_out=True)


def place_of(source: Source, fetch: Fetch) -> str:
    """Return the URL of what is asked for a model's files."""
    if fetch.endpoint is not None:
        return fetch.endpoint
    if source.scheme == "hf":
        return HUB
    if source.scheme == "s3":
        return f"https://{source.place}.s3.{fetch.region or 'us-east-1'}.amazonaws.com"
    if source.scheme == "oci":
        return f"https://{source.registry}"
    return source.text
