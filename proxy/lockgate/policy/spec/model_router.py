"""The ModelRouter spec as frozen types: what a policy says, before any of it is interpreted.

The wire form (camelCase, YAML or JSON) follows LLMKube's v1alpha1 ModelRouter with our
additions. `lockgate.policy.reading.load` reads it; `lockgate.policy.canonical` writes it.
"""

from collections.abc import Mapping
from typing import Any, Final, Literal

from attrs import frozen

from lockgate.policy.spec.backends import Backend, SecretRef, Timeouts
from lockgate.policy.spec.fields import Bytes, Rate, Seconds, spec_field
from lockgate.policy.spec.invariants import Invariant
from lockgate.policy.spec.network import Caller, Egress
from lockgate.policy.spec.rules import Rule
from lockgate.policy.spec.site import Site

DEFAULT_SENSITIVE = ("pii", "phi")
DEFAULT_KNOWN = ("public", "internal")
DEFAULT_HEADER_KEY = "x-llmkube-classification"


@frozen
class Classification:
    """How a request's labels are found."""

    mode: Literal["header-only", "detector", "hybrid"] = spec_field(
        "where labels come from", default="header-only"
    )
    header_key: str = spec_field("header that carries the labels", default=DEFAULT_HEADER_KEY)
    sensitive_classifications: tuple[str, ...] = spec_field(
        "labels whose requests never leave the local tier; pii, phi when empty", default=()
    )
    known_classifications: tuple[str, ...] = spec_field(
        "labels that are not sensitive; any other label counts as every sensitive one",
        default=DEFAULT_KNOWN,
    )

    @property
    def sensitive(self) -> frozenset[str]:
        """The sensitive labels in force."""
        return frozenset(self.sensitive_classifications or DEFAULT_SENSITIVE)

    @property
    def known(self) -> frozenset[str]:
        """Every label that is not unrecognised."""
        return self.sensitive | frozenset(self.known_classifications)


@frozen
class Jwt:
    """Clients prove themselves with a JSON Web Token."""

    provider: str | None = spec_field("name of the issuer, for people", default=None)
    issuer: str | None = spec_field("required `iss`", default=None)
    jwks_uri: str | None = spec_field("where the keys are", default=None, wire="jwksURI")
    team_claim: str | None = spec_field("claim that names the team", default=None)
    header_key: str = spec_field("header that carries the team", default="x-llmkube-team")


@frozen
class Allowlist:
    """The models that one team may ask for."""

    team: str = spec_field("the team")
    models: tuple[str, ...] = spec_field("patterns; empty: all", default=())


@frozen
class Auth:
    """Who may call."""

    jwt: Jwt | None = spec_field("token checks", default=None)
    allowlists: tuple[Allowlist, ...] = spec_field("models by team", default=())


@frozen
class Budget:
    """A cap on tokens or money over a window."""

    name: str = spec_field("unique")
    scope: Literal["router", "rule", "team"] = spec_field("what is counted together")
    rule_name: str | None = spec_field("the rule, for scope rule", default=None)
    header_key: str | None = spec_field("header that names the team", default=None)
    window_seconds: int = spec_field("length of the window", default=3600)
    max_tokens: int | None = spec_field("cap in tokens", default=None)
    max_usd: str | None = spec_field("cap in US dollars", default=None, wire="maxUSD")


REPLICAS: Final = 2
"""Pods of a router that says nothing of them."""


@frozen
class VolumeClaim:
    """What the audit file lies on in a cluster: a claim that exists, or one that is made."""

    existing: str | None = spec_field(
        "name of a claim; exactly one of this and `size`", default=None
    )
    size: str | None = spec_field(
        "size of the claim that is made, like 10Gi; `destroy` leaves it in the cluster",
        default=None,
    )
    storage_class: str | None = spec_field(
        "its storage class; the cluster's default when left out", default=None
    )


@frozen
class AuditLog:
    """Where the one record per request goes."""

    sink: Literal["stdout", "file", "otlp"] = spec_field("destination", default="stdout")
    file_path: str | None = spec_field("the file, for sink file", default=None)
    volume_claim: VolumeClaim | None = spec_field(
        "what the file lies on in a cluster, where sink file must have one; each pod writes into a "
        "folder there with the pod's own name",
        default=None,
    )
    include_request_body: bool = spec_field("also keep prompts", default=False)


@frozen
class Governance:
    """Classification, authentication, budgets, audit, invariants."""

    classification: Classification = spec_field("labels", default=Classification())
    auth: Auth | None = spec_field("who may call", default=None)
    budgets: tuple[Budget, ...] = spec_field("caps", default=())
    audit_log: AuditLog = spec_field("where records go", default=AuditLog())
    invariants: tuple[Invariant, ...] = spec_field("statements to prove", default=())
    strict: bool = spec_field(
        "true: a rule that takes no request, and one that can only refuse what it takes, are "
        "errors of the proof; else warnings",
        default=False,
    )
    mode: Literal["enforce", "observe"] = spec_field(
        "observe: where only `failClosed` keeps a request from the default route, it goes there "
        "after all else, and its record says `would_refuse`; not by a rule that names a sensitive "
        "label",
        default="enforce",
    )


@frozen
class CallerMemory:
    """How much of the memory budget one client may use while another one waits for room."""

    share: float = spec_field("of the budget, over 0 and up to 1; 1: all of it", default=0.5)
    excepted: tuple[str, ...] = spec_field(
        "CIDRs of the proxies in front of this one, each of which carries many clients",
        default=(),
        wire="except",
    )


@frozen
class PrivateRange:
    """Addresses that count as private for the local tier, and why they do."""

    cidr: str = spec_field(
        "address block that nobody outside can have, like 100.64.0.0/10 (RFC 6598); public space "
        "is refused: attest the one backend that is there"
    )
    why: str = spec_field("who has these addresses; printed in every preview")


@frozen
class Autoscaling:
    """How many pods there are, where that follows the load."""

    max_replicas: int = spec_field("pods at most, up to 100")
    min_replicas: int = spec_field("pods at least", default=2)
    cpu_percent: int = spec_field(
        "pods are added while they use more than this of the CPU that they request", default=70
    )
    by: Literal["hpa", "other"] = spec_field(
        "hpa: a HorizontalPodAutoscaler is made; other: none is, and something else, such as KEDA, "
        "sets the replicas between the two numbers",
        default="hpa",
    )


@frozen
class Proxy:
    """The proxy's own Deployment and its defaults."""

    replicas: int | None = spec_field(
        "pods, 1 to 10; left out: 2, or as many as `autoscaling` wants", default=None
    )
    autoscaling: Autoscaling | None = spec_field(
        "leaves the number of pods to an autoscaler; no `replicas` beside it", default=None
    )
    image: str | None = spec_field("container image; the release's own when left out", default=None)
    image_pull_secrets: tuple[SecretRef, ...] = spec_field("Secrets to pull it", default=())
    resources: Mapping[str, Any] | None = spec_field("Kubernetes requests and limits", default=None)
    quarantine_duration: Seconds = spec_field(
        "longest time that a breaker stays open; failures are counted for one to two of it",
        default=Seconds(15.0),
    )
    response_header_timeout: Seconds = spec_field(
        "default of `timeouts.firstToken`", default=Seconds(120.0)
    )
    retry_after_max: Seconds = spec_field(
        "longest Retry-After that is waited for on the same backend", default=Seconds(3.0)
    )
    timeouts: Timeouts | None = spec_field("default deadlines", default=None)
    memory_budget: Bytes | None = spec_field(
        "bound over all bodies and buffers of a pod; beyond it 503 with Retry-After. Left out: "
        "three quarters of what the container's limit leaves beyond 96Mi, 512Mi without a limit",
        default=None,
    )
    caller_memory: CallerMemory = spec_field(
        "share of the memory budget for one client", default=CallerMemory()
    )
    min_read_rate: Rate = spec_field(
        "a client that reads less, over a minute in which bytes wait for it, is cut off; 0: none",
        default=Rate(1024),
    )
    max_event_bytes: Bytes = spec_field(
        "largest single event of a stream: models that draw send a picture in one",
        default=Bytes(8 << 20),
    )
    private_ranges: tuple[PrivateRange, ...] = spec_field(
        "further blocks that count as private for the local tier, beside loopback, RFC 1918 and "
        "fc00::/7",
        default=(),
    )
    drain_delay: Seconds = spec_field(
        "how long a stopping pod still accepts, since endpoints lag", default=Seconds(5.0)
    )
    drain_grace: Seconds = spec_field(
        "how long running responses may take to finish", default=Seconds(60.0)
    )
    revision_history_limit: int | None = spec_field(
        "old ReplicaSets and policy ConfigMaps kept", default=3
    )
    node_selector: Mapping[str, str] | None = spec_field("node labels to run on", default=None)
    rollout: Literal["rolling", "hot"] = spec_field(
        "rolling: a pod sees one policy for life; hot: the ConfigMap is changed in place and "
        "running proxies read it again, a minute or so later",
        default="rolling",
    )
    egress: Egress | None = spec_field(
        "how far the NetworkPolicy lets requests for external backends go; left out: to the "
        "address in the URL, and where that is a name, to its port at all but private addresses",
        default=None,
    )
    site: Site | None = spec_field(
        "what the site asks of the pods; a stack's `lockgate:site` when left out", default=None
    )

    @property
    def least_replicas(self) -> int:
        """How many pods there are at least."""
        if self.autoscaling is not None:
            return self.autoscaling.min_replicas
        return REPLICAS if self.replicas is None else self.replicas

    @property
    def most_replicas(self) -> int:
        """How many pods there are at most."""
        scaled = self.autoscaling
        return self.least_replicas if scaled is None else scaled.max_replicas

    @property
    def private_cidrs(self) -> tuple[str, ...]:
        """The blocks of `private_ranges`."""
        return tuple(block.cidr for block in self.private_ranges)


@frozen
class Cors:
    """Which web pages may call from a browser; none: no page of another origin."""

    origins: tuple[str, ...] = spec_field(
        "origins of those pages, each written exactly as a browser sends it, like "
        "`https://chat.example`",
        default=(),
    )


@frozen
class Route:
    """An OpenShift Route to the Service: TLS ends at the cluster's own router."""

    host: str = spec_field("its host name")


@frozen
class Endpoint:
    """Shapes the Service, and says who may call; the container listens on 8080."""

    port: int = spec_field("Service port", default=8080)
    type: Literal["ClusterIP", "NodePort", "LoadBalancer"] = spec_field(
        "Service type", default="ClusterIP"
    )
    node_port: int | None = spec_field("fixed node port, for type NodePort", default=None)
    route: Route | None = spec_field(
        "makes a Route with TLS, where `proxy.site.platform` is openshift", default=None
    )
    keep_alive: Seconds = spec_field(
        "how long a client's connection is kept without a request", default=Seconds(75.0)
    )
    cors: Cors = spec_field("web pages that may call", default=Cors())
    callers: tuple[Caller, ...] | None = spec_field(
        "who may open connections to the pods on 8080; anybody when left out",
        default=None,
        wire="from",
    )
    admin_callers: tuple[Caller, ...] = spec_field(
        "who may open connections to the admin port 9090, with /metrics and /status; nobody when "
        "left out, but the kubelet's probes, which come from the pod's own node",
        default=(),
        wire="adminFrom",
    )
    path: str | None = spec_field("LLMKube's path prefix", default=None)
    gateway: Mapping[str, Any] | None = spec_field("LLMKube's gateway mode", default=None)


@frozen
class RouterSpec:
    """A policy: backends, rules, and the settings of the proxy and its Service."""

    backends: tuple[Backend, ...] = spec_field("every place a request can go; at least one")
    rules: tuple[Rule, ...] = spec_field("first match wins", default=())
    default_route: str | None = spec_field(
        "backend for what no rule matches, and last resort of rules that do not fail closed; "
        "none: 404 `model_not_found` where no backend publishes the model, else 503 `no_route`",
        default=None,
    )
    default_route_strategy: Literal["Static", "BackendNameMatch"] = spec_field(
        "BackendNameMatch: what no rule matches goes to the backend whose id is the model",
        default="Static",
    )
    policy: Governance = spec_field("labels, audit and governance", default=Governance())
    proxy: Proxy = spec_field("the proxy itself", default=Proxy())
    endpoint: Endpoint = spec_field("the Service", default=Endpoint())
    data_plane: str | None = spec_field("LLMKube's data plane choice", default=None)
    gateway_ref: Mapping[str, Any] | None = spec_field("LLMKube's gateway mode", default=None)
    mcp_server: Mapping[str, Any] | None = spec_field("LLMKube's MCP server", default=None)

    def holds_closed(self, rule: Rule) -> bool:
        """Whether `rule` keeps what it takes from the default route, in the mode that is stated."""
        if self.policy.mode == "enforce" or not rule.fail_closed:
            return rule.fail_closed
        labels = rule.match.data_classification if rule.match is not None else ()
        return not self.policy.classification.sensitive.isdisjoint(labels)

    def backend(self, name: str) -> Backend:
        """Return the backend called `name`; KeyError when there is none."""
        for backend in self.backends:
            if backend.name == name:
                return backend
        raise KeyError(name)
