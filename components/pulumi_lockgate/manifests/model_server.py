"""A model server as it was stated: what its manifests are made of."""

from collections.abc import Mapping
from typing import Any, Final, Literal

from attrs import frozen
from lockgate.policy.spec.site import ConfigMapRef, Site

Runtime = Literal["llamacpp", "vllm", "sglang", "generic"]
CONTAINER_PORTS: Final = {"llamacpp": 8080, "vllm": 8000, "sglang": 30000, "generic": 8080}
MODEL_FOLDER: Final = "/models"
SCRATCH: Final = "/scratch"
NVIDIA: Final = "nvidia.com/gpu"
PULL_S: Final = 900
"""To schedule a pod and to pull its image: that of vLLM has eight gigabytes."""
MOST_REPLICAS: Final = 10


@frozen
class Scaling:
    """How many pods there are, where that follows the load."""

    max_replicas: int
    min_replicas: int = 1
    cpu_percent: int = 80
    by: Literal["hpa", "other"] = "hpa"


@frozen
class Cache:
    """The claim that fetched files lie on: one that exists, or one of `size` that is made."""

    existing: str | None = None
    size: str | None = None
    storage_class: str | None = None
    access_mode: str | None = None


@frozen
class Fetch:
    """Where a model's files come from, before the server starts.

    `folder` is theirs in the cache; `credentials` is a Secret's name.
    """

    source: str
    folder: str
    sha256: str | None = None
    file: str | None = None
    endpoint: str | None = None
    region: str | None = None
    credentials: str | None = None
    ca: ConfigMapRef | None = None
    cache: Cache | None = None
    cidrs: tuple[str, ...] = ()
    image: str | None = None
    timeout: float = 3600.0


@frozen
class Inference:
    """One model server. `claim` and `path` are where the model's files are, if it has any.

    `path` begins with a slash where they lie in the image itself.
    """

    name: str
    namespace: str
    claim: str | None = None
    path: str = ""
    fetch: Fetch | None = None
    site: Site | None = None
    runtime: Runtime = "llamacpp"
    image: str | None = None
    command: tuple[str, ...] = ()
    replicas: int = 1
    autoscaling: Scaling | None = None
    gpu: int = 0
    gpu_resource: str = NVIDIA
    runtime_class_name: str | None = None
    context_size: int | None = None
    parallel_slots: int | None = None
    resources: Mapping[str, Any] | None = None
    extra_args: tuple[str, ...] = ()
    env: tuple[Mapping[str, Any], ...] = ()
    container_port: int | None = None
    health_path: str = "/health"
    startup_timeout: float = 1800.0
    rollout: Literal["recreate", "rolling"] | None = None
    pool: str | None = None
    node_selector: Mapping[str, str] | None = None
    tolerations: tuple[Mapping[str, Any], ...] = ()
    affinity: Mapping[str, Any] | None = None
    topology_spread_constraints: tuple[Mapping[str, Any], ...] = ()
    priority_class_name: str | None = None
    image_pull_secrets: tuple[str, ...] = ()
    pod_labels: Mapping[str, str] | None = None
    pod_annotations: Mapping[str, str] | None = None
    pod_security_context: Mapping[str, Any] | None = None

    @property
    def object_name(self) -> str:
        """The objects' name: a Service's may have no dot."""
        return self.name.replace(".", "-")

    @property
    def port(self) -> int:
        """The port that the runtime listens on."""
        return self.container_port or CONTAINER_PORTS[self.runtime]

    @property
    def least_replicas(self) -> int:
        """How many pods there are at least."""
        return self.replicas if self.autoscaling is None else self.autoscaling.min_replicas

    @property
    def most_replicas(self) -> int:
        """How many pods there are at most."""
        return self.replicas if self.autoscaling is None else self.autoscaling.max_replicas

    @property
    def stops_to_change(self) -> bool:
        """Whether nobody serves the model from the end of the old pod to the load of the new."""
        return self.least_replicas == 1 and self.rollout != "rolling"

    @property
    def ready_s(self) -> int:
        """How long one pod may take from its first container to ready, in seconds."""
        fetches = 0.0 if self.fetch is None else self.fetch.timeout
        return int(fetches + self.startup_timeout)

    @property
    def rollout_s(self) -> int:
        """How long all pods may take, in seconds: a little over what their probes allow."""
        return PULL_S + self.ready_s * max(self.most_replicas, 1)
