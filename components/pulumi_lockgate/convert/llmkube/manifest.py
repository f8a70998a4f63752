"""LLMKube's ModelRouter, v1alpha1, in its own schema, read out of a file.

Field by field: https://github.com/defilantech/LLMKube (api/v1alpha1/modelrouter_types.go). What the
two schemas spell alike and mean alike passes through as it is, and our own loader judges it.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal

from attrs import evolve, frozen
from lockgate.policy.loaded import nearest_line
from lockgate.policy.reading.document import Node
from lockgate.policy.reading.problem import PolicyRefusedError, Problem
from lockgate.policy.reading.structure import INVALID, Builder
from lockgate.policy.reading.suggestions import worded
from lockgate.policy.spec.fields import Seconds, spec_field

KIND: Final = "ModelRouter"
API: Final = "inference.llmkube.dev/v1alpha1"
_WITHOUT: Final = (
    "put the ModelRouter into it; an InferenceService or a Model is written under `lockgate:models`"
)
DEFAULT_HEADER_TIMEOUT: Final = Seconds(120.0)


@frozen
class Named:
    """A reference by name."""

    name: str = spec_field("name of the object")


@frozen
class External:
    """A provider, or a server elsewhere."""

    provider: Literal["anthropic", "openai", "bedrock", "vertex_ai", "litellm"] = spec_field(
        "whose server it is"
    )
    model: str = spec_field("the model name sent up")
    url: str | None = spec_field("base URL, without /v1", default=None)
    credentials_secret_ref: Named | None = spec_field("Secret with the key", default=None)


@frozen
class Backend:
    """One destination."""

    name: str = spec_field("unique")
    display_name: str | None = spec_field("id on /v1/models", default=None)
    inference_service_ref: Named | None = spec_field("a server in the cluster", default=None)
    external: External | None = spec_field("a server elsewhere", default=None)
    tier: Literal["local", "cloud"] | None = spec_field("local when left out", default=None)
    capabilities: tuple[str, ...] = spec_field("what it can do", default=())
    weight: int | None = spec_field("accepted and ignored", default=None)
    cost_per_million_tokens: Mapping[str, Any] | None = spec_field("ignored", default=None)
    health_check: Mapping[str, Any] | None = spec_field("accepted and ignored", default=None)
    timeout: Seconds | None = spec_field("for head and body", default=None)


@frozen
class Match:
    """Which requests."""

    data_classification: tuple[str, ...] = spec_field("equal to the header", default=())
    task_complexity: Literal["simple", "moderate", "complex"] | None = spec_field(
        "equal to the header in lower case", default=None
    )
    required_capabilities: tuple[str, ...] = spec_field(
        "the rule matches if any one backend has all", default=()
    )
    latency_slo_ms: int | None = spec_field("ignored", default=None, wire="latencySLOMs")
    headers: Mapping[str, str] = spec_field("exact, first value", default={})
    models: tuple[str, ...] = spec_field("path.Match; a bad one is ignored", default=())


@frozen
class RouteTo:
    """Where they go."""

    backends: tuple[str, ...] = spec_field("names, in order")
    strategy: Literal["primary-fallback", "weighted", "shadow"] = spec_field(
        "all run as primary-fallback", default="primary-fallback"
    )


@frozen
class Rule:
    """One rule."""

    name: str = spec_field("its name")
    match: Match | None = spec_field("none: always", default=None)
    route: RouteTo = spec_field("where to")
    fail_closed: bool | None = spec_field("the status of a total failure", default=None)
    timeout: Seconds | None = spec_field("for head and body", default=None)


@frozen
class Classification:
    """How a request's label is found."""

    mode: str | None = spec_field("only header-only acts", default=None)
    header_key: str | None = spec_field("the header", default=None)
    sensitive_classifications: tuple[str, ...] = spec_field("pii, phi when empty", default=())


@frozen
class Governance:
    """Policy."""

    classification: Classification = spec_field("labels", default=Classification())
    auth: Mapping[str, Any] | None = spec_field("gateway mode only", default=None)
    budgets: tuple[Mapping[str, Any], ...] = spec_field("ignored", default=())
    audit_log: Mapping[str, Any] | None = spec_field("ignored: always stdout", default=None)


@frozen
class Proxy:
    """The proxy's Deployment."""

    replicas: int = spec_field("pods", default=1)
    revision_history_limit: int | None = spec_field("old ReplicaSets", default=None)
    image: str | None = spec_field("LLMKube's own image", default=None)
    image_pull_secrets: tuple[Mapping[str, Any], ...] = spec_field("Secrets", default=())
    node_selector: Mapping[str, str] | None = spec_field("node labels", default=None)
    resources: Mapping[str, Any] | None = spec_field("requests and limits", default=None)
    quarantine_duration: Seconds | None = spec_field("opens after one failure", default=None)
    response_header_timeout: Seconds | None = spec_field("120s; also a cap", default=None)


@frozen
class Gateway:
    """Gateway mode."""

    enabled: bool = spec_field("whether it is on", default=False)
    gateway_ref: Mapping[str, Any] | None = spec_field("the Gateway", default=None)
    model_name: str | None = spec_field("model name there", default=None)


@frozen
class Endpoint:
    """The Service."""

    port: int = spec_field("its port", default=8080)
    type: str = spec_field("its type", default="ClusterIP")
    node_port: int | None = spec_field("ignored", default=None)
    path: str = spec_field("shown in the status", default="/v1/chat/completions")
    gateway: Gateway | None = spec_field("gateway mode", default=None)


@frozen
class Switch:
    """Something that is on or off."""

    enabled: bool = spec_field("whether it is on", default=False)


@frozen
class Spec:
    """The spec of a ModelRouter."""

    backends: tuple[Backend, ...] = spec_field("destinations")
    rules: tuple[Rule, ...] = spec_field("first match wins", default=())
    default_route: str | None = spec_field("where the rest goes", default=None)
    default_route_strategy: Literal["Static", "BackendNameMatch"] = spec_field(
        "how the rest is routed", default="Static"
    )
    policy: Governance = spec_field("labels and governance", default=Governance())
    proxy: Proxy = spec_field("the Deployment", default=Proxy())
    endpoint: Endpoint = spec_field("the Service", default=Endpoint())
    data_plane: Literal["Proxy", "Gateway"] = spec_field("who serves", default="Proxy")
    gateway_ref: Mapping[str, Any] | None = spec_field("the Gateway", default=None)
    mcp_server: Switch | None = spec_field("an MCP server", default=None)


@frozen
class Manifest:
    """A ModelRouter object; `metadata` and `status` as they are."""

    api_version: str = spec_field("inference.llmkube.dev/v1alpha1")
    kind: str = spec_field("ModelRouter")
    metadata: Mapping[str, Any] = spec_field("name, namespace")
    spec: Spec = spec_field("the router")
    status: Mapping[str, Any] = spec_field("not read", default={})


@frozen
class Source:
    """A manifest with the name of its file and its lines.

    `others` are the objects beside it in the file: (kind, name, line).
    """

    name: str
    manifest: Manifest
    lines: dict[str, int]
    others: tuple[tuple[str, str, int | None], ...] = ()

    def line_of(self, path: str) -> int | None:
        """Return the line of `path`, or of the nearest thing around it."""
        return nearest_line(self.lines, path)


def routers(documents: tuple[Node, ...]) -> Iterator[Node]:
    """Return every ModelRouter of a file, those in a List included."""
    return (node for node in _objects(documents) if _value(node, "kind") == KIND)


def _objects(documents: tuple[Node, ...]) -> Iterator[Node]:
    """Yield every object of a file, those in a List one by one."""
    for document in documents:
        kind = _value(document, "kind")
        if isinstance(kind, str) and kind.endswith("List"):
            items = _value(document, "items")
            nodes = items if isinstance(items, tuple) else ()
            yield from _objects(tuple(node for node in nodes if isinstance(node, Node)))
        else:
            yield document


def _others(documents: tuple[Node, ...]) -> Iterator[tuple[str, str, int | None]]:
    """Yield (kind, name, line) of every object that is no ModelRouter."""
    for node in _objects(documents):
        kind = _value(node, "kind")
        if isinstance(kind, str) and kind != KIND:
            metadata = next((m.node for m in node.value if m.key == "metadata"), node)
            yield kind, str(_value(metadata, "name") or "without a name"), node.line


def read_manifest(documents: tuple[Node, ...], name: str) -> Source:
    """Return the one ModelRouter among `documents`; PolicyRefusedError has every fault."""
    manifests = list(routers(documents))
    if len(manifests) != 1:
        message = f"has {len(manifests) or 'no'} objects of kind ModelRouter"
        line = manifests[1].line if len(manifests) > 1 else None
        mend = "keep one in the file" if manifests else _WITHOUT
        raise PolicyRefusedError(name, (Problem("", line, message, mend),))
    builder = Builder(Manifest)
    manifest: Any = builder.build(Manifest, _without_nulls(manifests[0]), "")
    problems = worded(builder.refusals)
    if (
        manifest is not INVALID
        and "apiVersion" not in builder.reported
        and manifest.api_version != API
    ):
        line = builder.line_of("apiVersion")
        problems.append(Problem("apiVersion", line, "is not known", f"write `apiVersion: {API}`"))
    if builder.reported.isdisjoint({"", "metadata"}) and not _is_named(manifest.metadata):
        line = builder.line_of("metadata")
        problems.append(Problem("metadata.name", line, "is missing", "write `name: NAME`"))
    if problems:
        raise PolicyRefusedError(name, tuple(sorted(problems, key=lambda p: p.line or 0)))
    return Source(name, manifest, builder.lines, tuple(_others(documents)))


def _is_named(metadata: Any) -> bool:
    return isinstance(metadata, Mapping) and isinstance(metadata.get("name"), str)


def _value(node: Node, key: str) -> Any:
    members = node.value if node.is_mapping else ()
    return next((member.node.value for member in members if member.key == key), None)


def _without_nulls(node: Node) -> Node:
    """Return the tree without empty fields: to Kubernetes they are not there."""
    if node.is_mapping:
        kept = (m for m in node.value if m.node.value is not None)
        return evolve(node, value=tuple(evolve(m, node=_without_nulls(m.node)) for m in kept))
    if isinstance(node.value, tuple):
        return evolve(node, value=tuple(_without_nulls(item) for item in node.value))
    return node
