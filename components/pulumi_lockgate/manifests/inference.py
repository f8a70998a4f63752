"""The manifests of one InferenceService: a model server that only routers can reach."""

from collections.abc import Mapping
from typing import Any, Final, Literal

from attrs import frozen

from pulumi_lockgate.manifests.common import (
    Manifest,
    container_security_context,
    labels,
    metadata,
    pod_security_context,
    probe,
    selector,
    service_account,
)
from pulumi_lockgate.manifests.network import model_network_policy
from pulumi_lockgate.manifests.openings import MODEL, SERVICE_PORT

Runtime = Literal["llamacpp", "vllm"]
IMAGES: Final = {
    "llamacpp": "ghcr.io/ggml-org/llama.cpp:server-b6800",
    "vllm": "vllm/vllm-openai:v0.11.0",
}
CONTAINER_PORTS: Final = {"llamacpp": 8080, "vllm": 8000}
MODEL_FOLDER: Final = "/models"
LOAD_PERIOD_S: Final = 10
LOAD_TRIES: Final = 180
"""Half an hour: a large model from a slow disk."""


@frozen
class Inference:
    """One model server. `claim` and `path` are where the model's files are."""

    name: str
    namespace: str
    claim: str
    path: str
    runtime: Runtime = "llamacpp"
    image: str | None = None
    replicas: int = 1
    gpu: int = 0
    context_size: int | None = None
    parallel_slots: int | None = None
    resources: Mapping[str, Any] | None = None
    extra_args: tuple[str, ...] = ()
    node_selector: Mapping[str, str] | None = None
    tolerations: tuple[Mapping[str, Any], ...] = ()

    @property
    def object_name(self) -> str:
        """The objects' name: a Service's may have no dot."""
        return self.name.replace(".", "-")

    @property
    def port(self) -> int:
        """The port that the runtime listens on."""
        return CONTAINER_PORTS[self.runtime]


def inference_manifests(inference: Inference) -> dict[str, Manifest]:
    """Return every manifest of a model server, by a stable short name."""
    name, namespace = inference.object_name, inference.namespace
    return {
        "account": service_account(name, namespace, MODEL),
        "deployment": deployment(inference),
        "service": service(inference),
        "network-policy": model_network_policy(name, namespace, inference.port),
    }


def deployment(inference: Inference) -> Manifest:
    """Return the model server's Deployment."""
    name = inference.object_name
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata(name, inference.namespace, labels(name, MODEL)),
        "spec": {
            "replicas": inference.replicas,
            "selector": {"matchLabels": selector(name, MODEL)},
            # a GPU is seldom free for a second pod beside the first
            "strategy": {"type": "Recreate"},
            "template": {"metadata": {"labels": labels(name, MODEL)}, "spec": _pod(inference)},
        },
    }


def service(inference: Inference) -> Manifest:
    """Return the Service: port 8080 whatever the runtime's own is."""
    name = inference.object_name
    port = {"name": "http", "port": SERVICE_PORT, "targetPort": "http", "protocol": "TCP"}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata(name, inference.namespace, labels(name, MODEL)),
        "spec": {"type": "ClusterIP", "selector": selector(name, MODEL), "ports": [port]},
    }


def _pod(inference: Inference) -> dict[str, Any]:
    pod: dict[str, Any] = {
        "serviceAccountName": inference.object_name,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": pod_security_context(),
        "containers": [_container(inference)],
        "volumes": [
            {
                "name": "model",
                "persistentVolumeClaim": {"claimName": inference.claim, "readOnly": True},
            },
            {"name": "scratch", "emptyDir": {"sizeLimit": "4Gi"}},
            {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": "2Gi"}},
        ],
    }
    if inference.node_selector:
        pod["nodeSelector"] = dict(inference.node_selector)
    if inference.tolerations:
        pod["tolerations"] = [dict(toleration) for toleration in inference.tolerations]
    return pod


def _container(inference: Inference) -> dict[str, Any]:
    return {
        "name": "model",
        "image": inference.image or IMAGES[inference.runtime],
        "imagePullPolicy": "IfNotPresent",
        "args": _arguments(inference),
        "env": [{"name": "HOME", "value": "/scratch"}, {"name": "TMPDIR", "value": "/scratch"}],
        "ports": [{"name": "http", "containerPort": inference.port, "protocol": "TCP"}],
        "resources": _resources(inference),
        "securityContext": container_security_context(),
        "startupProbe": probe("/health", "http", period=LOAD_PERIOD_S, failures=LOAD_TRIES),
        "readinessProbe": probe("/health", "http", period=10, failures=3, timeout=5),
        "livenessProbe": probe("/health", "http", period=30, failures=6, timeout=10),
        "volumeMounts": [
            {"name": "model", "mountPath": MODEL_FOLDER, "readOnly": True},
            {"name": "scratch", "mountPath": "/scratch"},
            {"name": "shm", "mountPath": "/dev/shm"},  # noqa: S108 - vLLM's shared memory
        ],
    }


def _arguments(inference: Inference) -> list[str]:
    model = f"{MODEL_FOLDER}/{inference.path}"
    context, slots = inference.context_size, inference.parallel_slots
    if inference.runtime == "vllm":
        arguments = ["--model", model, "--served-model-name", inference.name]
        arguments += ["--port", str(inference.port)]
        arguments += ["--max-model-len", str(context)] if context else []
        arguments += ["--max-num-seqs", str(slots)] if slots else []
        arguments += ["--tensor-parallel-size", str(inference.gpu)] if inference.gpu > 1 else []
    else:
        arguments = ["--model", model, "--alias", inference.name]
        arguments += ["--host", "0.0.0.0", "--port", str(inference.port)]  # noqa: S104 - a pod
        arguments += ["--ctx-size", str(context)] if context else []
        arguments += ["--parallel", str(slots)] if slots else []
        arguments += ["--n-gpu-layers", "999"] if inference.gpu else []
    return [*arguments, *inference.extra_args]


def _resources(inference: Inference) -> dict[str, Any]:
    resources: dict[str, Any] = {
        kind: dict(amounts) for kind, amounts in (inference.resources or {}).items()
    }
    if inference.gpu:
        resources.setdefault("limits", {})["nvidia.com/gpu"] = str(inference.gpu)
    return resources
