"""Model servers of a stack: `lockgate:models`, as types; with every fault at once."""

from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal

from attrs import evolve, fields, frozen, resolve_types
from lockgate.policy.reading.document import Member, from_plain
from lockgate.policy.reading.problem import Problem
from lockgate.policy.reading.site_faults import faults_of
from lockgate.policy.reading.structure import INVALID, Builder
from lockgate.policy.reading.suggestions import worded
from lockgate.policy.spec.backends import SecretRef
from lockgate.policy.spec.fields import Seconds, spec_field
from lockgate.policy.spec.site import Site

from pulumi_lockgate.manifests.model_server import (
    MOST_REPLICAS,
    NVIDIA,
    Inference,
    Runtime,
    Scaling,
)
from pulumi_lockgate.stack.fetch_settings import FetchSettings, fetch_faults, fetch_of, is_fetched

KEY: Final = "lockgate:models"
_ROOTLESS: Final = ("runAsNonRoot", "runAsUser", "runAsGroup", "seccompProfile")
"""Of a pod's security context: what the restricted profile is made of."""
_VOLUME: Final = "write `modelRef: pvc://CLAIM/PATH`, or where it is fetched from"
_FILES: Final = ("llamacpp",)
"""Runtimes that are given a file, and not a folder."""


@frozen
class ModelScaling:
    """How many pods of a model server there are, where that follows the load."""

    max_replicas: int = spec_field(f"pods at most, up to {MOST_REPLICAS}")
    min_replicas: int = spec_field("pods at least, 1 or more", default=1)
    cpu_percent: int = spec_field(
        "pods are added while they use more than this of the CPU that they request", default=80
    )
    by: Literal["hpa", "other"] = spec_field(
        "hpa: a HorizontalPodAutoscaler is made; other: none is, and something else, such as KEDA "
        "with the runtime's own metrics, sets the replicas between the two numbers",
        default="hpa",
    )


@frozen
class ModelSettings:
    """One model server of the stack."""

    model_ref: str | None = spec_field(
        "where the model's files are: pvc://CLAIM/PATH on a volume, file:///PATH in the image; or "
        "fetched before the server starts, hf://ORG/REPO[@REVISION][/PATH], https://HOST/PATH, "
        "s3://BUCKET/KEY, oci://REGISTRY/REPOSITORY:TAG; `runtime: generic` may have none",
        default=None,
    )
    fetch: FetchSettings | None = spec_field(
        "how a modelRef that is not in the cluster is fetched", default=None
    )
    runtime: Runtime = spec_field("what serves it; generic: the image's own", default="llamacpp")
    image: str | None = spec_field(
        "container image; the runtime's own for that kind of GPU when left out, and required with "
        "`runtime: generic`",
        default=None,
    )
    command: tuple[str, ...] = spec_field("instead of the runtime's own command", default=())
    replicas: int | None = spec_field(
        "pods, 0 to 10; left out: 1, or as many as `autoscaling` wants", default=None
    )
    autoscaling: ModelScaling | None = spec_field(
        "leaves the number of pods to an autoscaler; no `replicas` beside it", default=None
    )
    gpu: int = spec_field("GPUs of each pod", default=0)
    gpu_resource: str = spec_field(
        "how the GPUs' device plugin calls them, such as amd.com/gpu", default=NVIDIA
    )
    runtime_class_name: str | None = spec_field("Kubernetes RuntimeClass", default=None)
    context_size: int | None = spec_field("context window in tokens", default=None)
    parallel_slots: int | None = spec_field("requests served at once", default=None)
    resources: Mapping[str, Any] | None = spec_field("Kubernetes requests and limits", default=None)
    extra_args: tuple[str, ...] = spec_field("further arguments of the runtime", default=())
    env: tuple[Mapping[str, Any], ...] = spec_field(
        "further variables, as Kubernetes has them: `{ name: A, value: b }`", default=()
    )
    container_port: int | None = spec_field(
        "port that the runtime listens on; its own when left out; the Service's is 8080",
        default=None,
    )
    health_path: str = spec_field(
        "path that answers 200 once the model is loaded", default="/health"
    )
    startup_timeout: Seconds = spec_field(
        "how long the model may load; `up` gives up a little later", default=Seconds(1800.0)
    )
    rollout: Literal["recreate", "rolling"] | None = spec_field(
        "how a single pod is replaced. recreate: the old one stops first, and nobody serves the "
        "model until the new one has loaded; rolling: beside it, which needs room for both. With "
        "several pods it is one after another. Left out: recreate",
        default=None,
    )
    pool: str | None = spec_field(
        "pool of `lockgate:pools` on whose nodes it runs: labels, tolerations and the kind of GPU "
        "come from there",
        default=None,
    )
    node_selector: Mapping[str, str] | None = spec_field("node labels to run on", default=None)
    tolerations: tuple[Mapping[str, Any], ...] = spec_field("Kubernetes tolerations", default=())
    affinity: Mapping[str, Any] | None = spec_field("Kubernetes affinity", default=None)
    topology_spread_constraints: tuple[Mapping[str, Any], ...] = spec_field(
        "Kubernetes topology spread constraints", default=()
    )
    priority_class_name: str | None = spec_field("Kubernetes PriorityClass", default=None)
    image_pull_secrets: tuple[SecretRef, ...] = spec_field("Secrets to pull the image", default=())
    pod_labels: Mapping[str, str] | None = spec_field("further labels of the pods", default=None)
    pod_annotations: Mapping[str, str] | None = spec_field("annotations of the pods", default=None)
    site: Site | None = spec_field(
        "what the site asks of the pods; the stack's `lockgate:site` when left out", default=None
    )
    pod_security_context: Mapping[str, Any] | None = spec_field(
        "of the pods, over the component's own: `fsGroup`, `supplementalGroups` and the like; what "
        "the restricted profile wants cannot be changed",
        default=None,
    )


def read_model(
    name: str, settings: Mapping[str, Any]
) -> tuple[Inference | None, tuple[Problem, ...]]:
    """Return the model server `name` out of plain `settings`, or None and every fault."""
    builder = Builder(ModelSettings)
    faults: list[Problem] = []
    found = inference_of(builder, faults, Member(name, None, from_plain(dict(settings))), "")
    above = f"{KEY}.{name}."
    problems = [*worded(builder.refusals), *faults]
    own = tuple(evolve(problem, path=problem.path.removeprefix(above)) for problem in problems)
    return (None if problems else found), own


def inference_of(
    builder: Builder, faults: list[Problem], member: Member, namespace: str
) -> Inference | None:
    """Return a model server as it stands in a tree; `faults` gets what its values may not say."""
    path = f"{KEY}.{member.key}"
    model: Any = builder.build(ModelSettings, member.node, path)
    if model is INVALID:
        return None
    for field, message, suggestion in _faults(model):
        place = f"{path}.{field}"
        if place not in builder.reported:
            line = builder.line_of(place) or member.line
            faults.append(Problem(place, line, message, suggestion))
    return _inference(model, member.key, namespace)


def _inference(model: ModelSettings, name: str, namespace: str) -> Inference:
    scheme, _, rest = (model.model_ref or "").partition("://")
    claim, _, path = rest.partition("/") if scheme == "pvc" else ("", "", rest)
    fetch, fetched = fetch_of(model.model_ref, model.fetch)
    kept = {field.name for field in fields(resolve_types(Inference))}
    values = {n: getattr(model, n) for n in kept & {f.name for f in fields(ModelSettings)}}
    scaled = model.autoscaling
    values |= {
        "name": name,
        "namespace": namespace,
        "claim": claim or None,
        "path": fetched or path,
        "fetch": fetch,
        "replicas": 1 if model.replicas is None else model.replicas,
        "image_pull_secrets": tuple(ref.name for ref in model.image_pull_secrets),
        "startup_timeout": float(model.startup_timeout),
        "autoscaling": scaled
        and Scaling(scaled.max_replicas, scaled.min_replicas, scaled.cpu_percent, scaled.by),
    }
    return Inference(**values)


def _faults(model: ModelSettings) -> Iterator[tuple[str, str, str]]:
    """Yield (field, what is wrong, the mend)."""
    yield from _runtime(model)
    if not model.health_path.startswith("/"):
        yield "healthPath", f"{model.health_path!r} is no path", "write `healthPath: /health`"
    if model.container_port is not None and not 1 <= model.container_port <= 65535:
        yield "containerPort", f"{model.container_port} is not a port", "leave it out"
    if model.gpu < 0:
        yield "gpu", f"{model.gpu} is less than 0", "write `gpu: 1`, or leave it out"
    if not 10 <= model.startup_timeout <= 86400:
        yield "startupTimeout", "is not from 10s to 24h", "write `startupTimeout: 30m`"
    yield from _pods(model)
    yield from _replicas(model)
    for field, message, mend in faults_of(model.site or Site()):
        yield f"site.{field}", message, mend


def _runtime(model: ModelSettings) -> Iterator[tuple[str, str, str]]:
    if model.model_ref is not None:
        fault = _model_ref_fault(model.model_ref)
        if fault is not None:
            yield "modelRef", *fault
    elif model.runtime != "generic":
        yield "modelRef", "is missing", _VOLUME
    scaled = model.autoscaling
    most = (model.replicas or 1) if scaled is None else scaled.max_replicas
    most += model.rollout == "rolling"  # the new one stands beside the old one
    needs_file = model.runtime in _FILES
    yield from fetch_faults(model.model_ref, model.fetch, most, needs_file=needs_file)
    if model.runtime != "generic":
        return
    if model.image is None:
        yield "image", "is missing: runtime is generic", "write `image: REGISTRY/NAME:TAG`"
    unknown = {"contextSize": model.context_size, "parallelSlots": model.parallel_slots}
    for field, value in unknown.items():
        if value is not None:
            message = "means nothing to a runtime that is not known"
            yield field, message, "write the runtime's own flag under `extraArgs:`"


def _pods(model: ModelSettings) -> Iterator[tuple[str, str, str]]:
    for key in _ROOTLESS:
        if key in (model.pod_security_context or {}):
            message = "is what the restricted profile wants, and stays as it is"
            yield f"podSecurityContext.{key}", message, "leave it out"
    for key in model.pod_labels or {}:
        if key.startswith("app.kubernetes.io/"):
            message = "is set by the component: pods are found by it"
            yield f"podLabels.{key}", message, "take another name"
    for number, one in enumerate(model.env):
        if not isinstance(one.get("name"), str):
            yield f"env[{number}]", "has no name", "write `{ name: A, value: b }`"


def _replicas(model: ModelSettings) -> Iterator[tuple[str, str, str]]:
    scaled, stated = model.autoscaling, model.replicas
    if scaled is None:
        if stated is not None and not 0 <= stated <= MOST_REPLICAS:
            yield "replicas", f"{stated} is not from 0 to {MOST_REPLICAS}", "write `replicas: 1`"
        return
    if stated is not None:
        yield "replicas", "has autoscaling beside it, which sets them", "leave replicas out"
    if not 1 <= scaled.min_replicas <= scaled.max_replicas <= MOST_REPLICAS:
        stated_range = f"{scaled.min_replicas} to {scaled.max_replicas}"
        message = f"{stated_range} is no range of pods from 1 to {MOST_REPLICAS}"
        yield "autoscaling", message, "write `autoscaling: { minReplicas: 1, maxReplicas: 4 }`"
    if not 1 <= scaled.cpu_percent <= 100:
        message = f"{scaled.cpu_percent} is not from 1 to 100"
        yield "autoscaling.cpuPercent", message, "write `cpuPercent: 80`"
    requests = (model.resources or {}).get("requests") or {}
    if scaled.by == "hpa" and "cpu" not in requests:
        message = "requests no CPU, of which autoscaling counts a share"
        yield "resources", message, 'write `resources: { requests: { cpu: "4" } }`'


def _model_ref_fault(model_ref: str) -> tuple[str, str] | None:
    """Return (what is wrong with a modelRef, its suggestion), None when nothing is."""
    scheme, slashes, rest = model_ref.partition("://")
    claim, _, file = rest.partition("/")
    if is_fetched(model_ref):
        return None
    if scheme == "file":
        is_path = rest.startswith("/") and rest.strip("/") and ".." not in rest.split("/")
        return None if is_path else (f"{model_ref!r} is not file:///PATH", "write the image's path")
    if slashes and scheme != "pvc":
        known = "pvc, file, hf, https, s3 and oci"
        return f"{scheme}:// is no scheme that is known here: {known} are", _VOLUME
    if not slashes or not claim or not file or ".." in file.split("/"):
        return f"{model_ref!r} is not pvc://CLAIM/PATH", _VOLUME
    return None
