"""The manifests of one InferenceService: a model server that only routers can reach."""

from collections.abc import Iterable, Iterator
from typing import Any, Final

from pulumi_lockgate.manifests import runtimes
from pulumi_lockgate.manifests.common import (
    Manifest,
    container_security_context,
    disruption_budget,
    labels,
    metadata,
    pod_security_context,
    probe,
    scaler,
    selector,
    service_account,
)
from pulumi_lockgate.manifests.fetching import (
    CLAIM,
    claim,
    init_containers,
    model_volumes,
    openings,
)
from pulumi_lockgate.manifests.model_server import MODEL_FOLDER, PULL_S, SCRATCH, Inference
from pulumi_lockgate.manifests.network import model_network_policy
from pulumi_lockgate.manifests.openings import MODEL, SERVICE_PORT
from pulumi_lockgate.manifests.site import at_site

DISRUPTION_BUDGET: Final = "disruption-budget"
SCALER: Final = "autoscaler"
PODS: Final = "pods"


def inference_manifests(inference: Inference) -> dict[str, Manifest]:
    """Return every manifest of a model server, by a stable short name."""
    name, namespace = inference.object_name, inference.namespace
    made = {
        "account": service_account(name, namespace, MODEL),
        "deployment": deployment(inference),
        "service": service(inference),
        PODS: _pods_service(inference),
        "network-policy": model_network_policy(
            name, namespace, inference.port, openings(inference)
        ),
    }
    cache = claim(inference)
    if cache is not None:
        made[CLAIM] = cache
    if inference.least_replicas > 1:
        made[DISRUPTION_BUDGET] = disruption_budget(name, namespace, MODEL)
    scaled = inference.autoscaling
    if scaled is not None and scaled.by == "hpa":
        pods = (scaled.min_replicas, scaled.max_replicas)
        made[SCALER] = scaler(name, namespace, MODEL, pods, scaled.cpu_percent)
    return at_site(inference.site, made)


def manifests_of(servers: Iterable[Inference]) -> Iterator[Manifest]:
    """Yield every manifest of several model servers."""
    for server in servers:
        yield from inference_manifests(server).values()


def deployment(inference: Inference) -> Manifest:
    """Return the model server's Deployment."""
    name = inference.object_name
    pods: dict[str, Any] = {"labels": {**(inference.pod_labels or {}), **labels(name, MODEL)}}
    if inference.pod_annotations:
        pods["annotations"] = dict(inference.pod_annotations)
    spec: dict[str, Any] = {
        "progressDeadlineSeconds": PULL_S + inference.ready_s,
        "selector": {"matchLabels": selector(name, MODEL)},
        "strategy": _strategy(inference),
        "template": {"metadata": pods, "spec": _pod(inference)},
    }
    if inference.autoscaling is None:
        spec["replicas"] = inference.replicas
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata(name, inference.namespace, labels(name, MODEL)),
        "spec": spec,
    }


def service(inference: Inference) -> Manifest:
    """Return the Service: port 8080 whatever the runtime's own is."""
    name = inference.object_name
    port = {"name": "http", "port": SERVICE_PORT, "targetPort": "http", "protocol": "TCP"}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        # the router never waits for a model to load, and nor does `up` for its address
        "metadata": metadata(
            name, inference.namespace, labels(name, MODEL), {"pulumi.com/skipAwait": "true"}
        ),
        "spec": {"type": "ClusterIP", "selector": selector(name, MODEL), "ports": [port]},
    }


def _pods_service(inference: Inference) -> Manifest:
    """Return the headless Service: one address a pod, at the runtime's own port."""
    made = service(inference)
    name = f"{inference.object_name}-{PODS}"
    port = {"name": "http", "port": inference.port, "targetPort": "http", "protocol": "TCP"}
    selected = made["spec"]["selector"]
    spec = {"clusterIP": "None", "selector": selected, "ports": [port]}
    return {**made, "metadata": {**made["metadata"], "name": name}, "spec": spec}


def _strategy(inference: Inference) -> dict[str, Any]:
    """Return how pods are replaced: a GPU is seldom free for another one beside the first."""
    if inference.stops_to_change:
        return {"type": "Recreate"}
    surges = inference.rollout == "rolling"
    stated = {"maxSurge": int(surges), "maxUnavailable": int(not surges)}
    return {"type": "RollingUpdate", "rollingUpdate": stated}


def _pod(inference: Inference) -> dict[str, Any]:
    pod: dict[str, Any] = {
        "serviceAccountName": inference.object_name,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {**pod_security_context(), **(inference.pod_security_context or {})},
        "containers": [_container(inference)],
        "volumes": _volumes(inference),
    }
    optional = {
        "initContainers": init_containers(inference),
        "nodeSelector": dict(inference.node_selector or {}),
        "tolerations": [dict(toleration) for toleration in inference.tolerations],
        "affinity": dict(inference.affinity or {}),
        "topologySpreadConstraints": [dict(o) for o in inference.topology_spread_constraints],
        "imagePullSecrets": [{"name": name} for name in inference.image_pull_secrets],
        "priorityClassName": inference.priority_class_name,
        "runtimeClassName": inference.runtime_class_name,
    }
    return pod | {key: value for key, value in optional.items() if value}


def _volumes(inference: Inference) -> list[dict[str, Any]]:
    return [
        *model_volumes(inference),
        {"name": "scratch", "emptyDir": {"sizeLimit": "4Gi"}},
        {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": "2Gi"}},
    ]


def _container(inference: Inference) -> dict[str, Any]:
    path = inference.health_path
    model = [{"name": "model", "mountPath": MODEL_FOLDER, "readOnly": True}]
    command = runtimes.command(inference)
    return {
        "name": "model",
        "image": runtimes.image(inference),
        "imagePullPolicy": "IfNotPresent",
        **({"command": command} if command else {}),
        "args": runtimes.arguments(inference),
        "env": runtimes.environment(inference),
        "ports": [{"name": "http", "containerPort": inference.port, "protocol": "TCP"}],
        "resources": resources_of(inference),
        "securityContext": container_security_context(),
        # each second: a model that is loaded waits for nothing
        "startupProbe": probe(path, "http", period=1, failures=int(inference.startup_timeout)),
        "readinessProbe": probe(path, "http", period=10, failures=3, timeout=5),
        "livenessProbe": probe(path, "http", period=30, failures=6, timeout=10),
        "volumeMounts": [
            *(model if model_volumes(inference) else []),
            {"name": "scratch", "mountPath": SCRATCH},
            {"name": "shm", "mountPath": "/dev/shm"},  # noqa: S108 - vLLM's shared memory
        ],
    }


def resources_of(inference: Inference) -> dict[str, Any]:
    """Return the requests and limits of one pod, GPUs among them."""
    resources: dict[str, Any] = {
        kind: dict(amounts) for kind, amounts in (inference.resources or {}).items()
    }
    if inference.gpu:
        resources.setdefault("limits", {})[inference.gpu_resource] = str(inference.gpu)
    return resources
