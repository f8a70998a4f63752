"""The stack's configuration under ``lockgate:``, as types; every fault is told at once."""

from collections.abc import Mapping
from typing import Any, Final, Literal

from attrs import evolve, fields, frozen, resolve_types

from components.manifests.inference import Inference
from proxy.policy.backends import Backend
from proxy.policy.document import Node, from_plain
from proxy.policy.fields import spec_field, wire_name
from proxy.policy.load import compiled, load_object
from proxy.policy.loaded import LoadedPolicy
from proxy.policy.problem import PolicyRefusedError, Problem
from proxy.policy.spec import RouterSpec
from proxy.policy.structure import INVALID, Builder

PROJECT: Final = "lockgate"


@frozen
class ModelSettings:
    """One model server of the stack."""

    model_ref: str = spec_field("where the model's files are: pvc://CLAIM/PATH")
    runtime: Literal["llamacpp", "vllm"] = spec_field("what serves it", default="llamacpp")
    image: str | None = spec_field("container image; the runtime's own when left out", default=None)
    replicas: int = spec_field("pods", default=1)
    gpu: int = spec_field("GPUs of each pod (nvidia.com/gpu)", default=0)
    context_size: int | None = spec_field("context window in tokens", default=None)
    parallel_slots: int | None = spec_field("requests served at once", default=None)
    resources: Mapping[str, Any] | None = spec_field("Kubernetes requests and limits", default=None)
    extra_args: tuple[str, ...] = spec_field("further arguments of the runtime", default=())
    node_selector: Mapping[str, str] | None = spec_field("node labels to run on", default=None)
    tolerations: tuple[Mapping[str, Any], ...] = spec_field("Kubernetes tolerations", default=())


@frozen
class StackSettings:
    """Everything that a stack file may say under ``lockgate:``, the policy aside."""

    name: str = spec_field("the router's name", default="lockgate")
    namespace: str = spec_field("namespace of every object", default="lockgate")
    litellm_url: str | None = spec_field(
        "base URL of the cluster's LiteLLM, for litellm backends without a url", default=None
    )
    models: Mapping[str, Any] = spec_field("model servers, by name", default={})


def read_settings(
    config: Mapping[str, object],
) -> tuple[StackSettings, dict[str, Inference], LoadedPolicy]:
    """Return settings, model servers and the compiled policy of a stack's ``lockgate`` config.

    `config` maps keys without their namespace to plain values. PolicyRefusedError otherwise.
    """
    plain = {key: value for key, value in config.items() if key != "router"}
    builder = Builder()
    settings: Any = builder.build(StackSettings, from_plain(plain), "")
    if settings is INVALID:
        settings = StackSettings()
    models = {
        name: _inference(builder, name, settings.namespace, from_plain(value))
        for name, value in settings.models.items()
    }
    problems = [_known(problem) for problem in builder.problems]
    if "router" not in config:
        problems.append(Problem("lockgate:router", None, "is missing", "add the policy"))
    if problems:
        raise PolicyRefusedError("stack configuration", tuple(problems))
    policy = load_object(config["router"], "lockgate:router")
    return settings, {n: m for n, m in models.items() if m}, placed(policy, settings)


def placed(policy: LoadedPolicy, settings: StackSettings) -> LoadedPolicy:
    """Fill in what the stack knows: namespaces of model servers, the cluster's LiteLLM."""
    backends = tuple(_placed(backend, settings) for backend in policy.spec.backends)
    missing = tuple(
        Problem(
            f"backends[{number}].external.url",
            None,
            "a litellm backend has no url",
            "state it, or the stack's lockgate:litellmUrl",
        )
        for number, backend in enumerate(backends)
        if backend.external is not None
        and backend.external.provider == "litellm"
        and backend.external.url is None
    )
    if missing:
        raise PolicyRefusedError("lockgate:router", missing)
    # loaded again, for a URL that came from the stack is held to the same rules
    spec: RouterSpec = evolve(policy.spec, backends=backends)
    return _checked(spec)


def _checked(spec: RouterSpec) -> LoadedPolicy:
    from proxy.policy.load import load_policy  # noqa: PLC0415 - the bytes themselves are checked

    bare = compiled(spec)
    load_policy(bare.json, "policy.json")
    return bare


def _placed(backend: Backend, settings: StackSettings) -> Backend:
    service = backend.inference_service_ref
    if service is not None and service.namespace is None:
        return evolve(backend, inference_service_ref=evolve(service, namespace=settings.namespace))
    external = backend.external
    if external is not None and external.provider == "litellm" and external.url is None:
        return evolve(backend, external=evolve(external, url=settings.litellm_url))
    return backend


def _inference(builder: Builder, name: str, namespace: str, node: Node) -> Inference | None:
    path = f"models.{name}"
    held: Any = builder.build(ModelSettings, node, path)
    if held is INVALID:
        return None
    scheme, _, rest = held.model_ref.partition("://")
    claim, _, file = rest.partition("/")
    if scheme != "pvc":
        mend = "put the files on a volume and write pvc://CLAIM/PATH"
        message = f"{scheme}:// is not implemented in this version"
        builder.problems.append(Problem(f"{path}.modelRef", None, message, mend))
    elif not claim or not file or ".." in file.split("/"):
        message = f"{held.model_ref!r} is not pvc://CLAIM/PATH"
        builder.problems.append(
            Problem(
                f"{path}.modelRef", None, message, "name claim and file, like pvc://models/q.gguf"
            )
        )
    names = [field.name for field in fields(resolve_types(ModelSettings))]
    rest_of = {n: getattr(held, n) for n in names if n != "model_ref"}
    return Inference(name=name, namespace=namespace, claim=claim, path=file, **rest_of)


def _known(problem: Problem) -> Problem:
    return Problem(f"lockgate:{problem.path}", problem.line, problem.message, problem.mend)


KEYS: Final = ("router", *(wire_name(f) for f in fields(StackSettings)))
"""The configuration keys there are."""
