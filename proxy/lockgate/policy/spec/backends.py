"""What a backend is: where a model runs, in which tier, and how it is reached."""

from collections.abc import Mapping
from typing import Literal

from attrs import frozen

from lockgate.policy.spec.fields import Seconds, spec_field

Tier = Literal["local", "cloud"]
Provider = Literal["openai", "anthropic", "bedrock", "vertex_ai", "litellm", "azure_openai"]

DEFAULT_URLS: Mapping[str, str] = {
    "openai": "https://api.openai.com/v1",
    "anthropic": "https://api.anthropic.com",
}
"""The base URL that each provider publishes for its own SDK."""
KEY_FILES: Mapping[str, str] = {
    "openai": "OPENAI_API_KEY",
    "anthropic": "ANTHROPIC_API_KEY",
    "litellm": "LITELLM_MASTER_KEY",
}
"""The variable that each provider's own tools read their key from: the key's name in a Secret."""


@frozen
class InferenceServiceRef:
    """A model server in the same cluster."""

    name: str = spec_field("name of the InferenceService")
    namespace: str | None = spec_field(
        "its namespace; the ModelRouter component fills in the stack's own", default=None
    )


@frozen
class ServiceRef:
    """A model server in the cluster that something else runs: KServe, vLLM's stack."""

    name: str = spec_field("name of its Kubernetes Service")
    namespace: str | None = spec_field(
        "its namespace; the ModelRouter component fills in the stack's own", default=None
    )
    port: int = spec_field("the Service's port", default=80)
    path: str = spec_field("base path of its OpenAI-compatible door", default="/v1")
    pod_labels: Mapping[str, str] | None = spec_field(
        "labels of the pods behind the Service, for the NetworkPolicy; left out: every pod of the "
        "namespace may be reached",
        default=None,
    )


@frozen
class SecretRef:
    """A Kubernetes Secret, by name. Its value never stands in the spec."""

    name: str = spec_field("name of the Secret")


@frozen
class External:
    """A model outside the cluster's InferenceServices."""

    provider: Provider = spec_field("whose dialect the backend speaks")
    model: str | None = spec_field(
        "the model name sent up; must be stated but for a cloud-tier backend with "
        "`servedModel: caller`",
        default=None,
    )
    url: str | None = spec_field(
        "base URL as the provider's own SDK takes it; openai and anthropic have "
        "published defaults, litellm the stack's cluster-wide URL",
        default=None,
    )
    credentials_secret_ref: SecretRef | None = spec_field(
        "Secret that holds the key; none: no key is sent", default=None
    )
    allow_private_address: bool = spec_field(
        "let a cloud-tier backend be plain http or resolve to a private address "
        "(an egress proxy, a stand-in under test)",
        default=False,
    )


@frozen
class Cost:
    """Price per million tokens, in US dollars, as decimal strings."""

    prompt_usd: str | None = spec_field("for tokens sent", default=None, wire="promptUSD")
    completion_usd: str | None = spec_field(
        "for tokens received", default=None, wire="completionUSD"
    )


@frozen
class HealthCheck:
    """An active probe of a backend."""

    path: str = spec_field(
        "path asked for with GET, from the server's root; any 2xx is healthy", default="/health"
    )
    interval_seconds: int = spec_field("seconds between probes", default=10)
    timeout_seconds: int = spec_field("seconds a probe may take", default=2)


@frozen
class Timeouts:
    """The named deadlines of an exchange; a field left out is inherited."""

    connect: Seconds | None = spec_field("DNS, TCP and TLS together, per attempt", default=None)
    first_token: Seconds | None = spec_field(
        "until the first content of a stream while nothing comes (five times as long while "
        "comments do), or until a whole response begins; per attempt. Left out: "
        "`responseHeaderTimeout`, 10m while comments come and for whole responses",
        default=None,
    )
    silence: Seconds | None = spec_field(
        "between two bytes of a stream, comments too, per attempt; 1m", default=None
    )
    idle: Seconds | None = spec_field(
        "between two data events, comments are none, per attempt; 5m", default=None
    )
    total: Seconds | None = spec_field("over all attempts and the whole response", default=None)
    heartbeat: Seconds | None = spec_field(
        "how often the client is sent a comment (white space where it does not stream) while a "
        "backend is waited for, first after this long; never when left out",
        default=None,
    )


@frozen
class BackendTls:
    """TLS material for one backend."""

    ca_secret_ref: SecretRef | None = spec_field(
        "Secret whose `ca.crt` holds the only authorities that are trusted for this backend",
        default=None,
    )
    client_cert_secret_ref: SecretRef | None = spec_field(
        "Secret whose `tls.crt` and `tls.key` the proxy shows to this backend", default=None
    )


@frozen
class Backend:
    """One place that a request can be sent to."""

    name: str = spec_field("unique; `^[a-z0-9][a-z0-9-]{0,62}$`")
    display_name: str | None = spec_field(
        "id published on /v1/models; the name when left out", default=None
    )
    inference_service_ref: InferenceServiceRef | None = spec_field(
        "a model server that Lockgate or LLMKube runs in the cluster; exactly one of this, "
        "`serviceRef` and `external`",
        default=None,
    )
    service_ref: ServiceRef | None = spec_field(
        "a model server that something else runs in the cluster; exactly one of this, "
        "`inferenceServiceRef` and `external`",
        default=None,
    )
    external: External | None = spec_field(
        "a provider or a server elsewhere; exactly one of this, `inferenceServiceRef` and "
        "`serviceRef`",
        default=None,
    )
    tier: Tier = spec_field(
        "local or cloud; must be stated for an external backend, one in the cluster is local",
        default="local",
    )
    served_model: str | None = spec_field(
        "model name sent up to a server in the cluster, or `caller` to leave the client's; "
        "the service's name when left out. An external backend of tier cloud takes `caller` too",
        default=None,
    )
    capabilities: tuple[str, ...] = spec_field(
        "what the model can do, for `requiredCapabilities`", default=()
    )
    weight: int = spec_field("share under strategy weighted; 0: fallback only", default=1)
    cost_per_million_tokens: Cost | None = spec_field("price, for budgets", default=None)
    context_length: int | None = spec_field(
        "context window in tokens: a request too long for one backend goes on to a larger "
        "or an undeclared one",
        default=None,
    )
    health_check: HealthCheck | None = spec_field(
        "active probe: two failures in a row take the backend out, one success puts it back",
        default=None,
    )
    timeout: Seconds | None = spec_field("short for `timeouts.firstToken`", default=None)
    timeouts: Timeouts | None = spec_field("deadlines of this backend", default=None)
    attested_local: str | None = spec_field(
        "why an external backend with a public address counts as local; printed in every preview",
        default=None,
    )
    tls: BackendTls | None = spec_field("own CA, client certificate", default=None)
    keep_connections: bool = spec_field(
        "use an idle connection to a cloud backend again, within ten seconds and for at most five "
        "minutes after its certificate was checked, instead of a fresh one for each request; a "
        "second response that nobody asked for can then reach another client",
        default=False,
    )
    upward_headers: tuple[str, ...] = spec_field(
        "the client's headers that this backend may receive", default=()
    )
    downward_headers: tuple[str, ...] = spec_field(
        "this backend's headers that a client may receive", default=()
    )
    stream_usage: Literal["auto", True, False] = spec_field(
        "whether streams are asked for their usage where the client says nothing about it; auto: "
        "until this backend refuses `stream_options`",
        default="auto",
    )
    max_output_tokens: int | None = spec_field(
        "most tokens of one response; published on /v1/models as `max_output_tokens`",
        default=None,
    )

    @property
    def published_id(self) -> str:
        """The id under which clients see this backend on /v1/models."""
        return self.display_name or self.name

    @property  # cached, with slots, every read of every field would go through a __getattr__
    def upstream_model(self) -> str | None:
        """The model name sent up; None leaves the client's."""
        if self.served_model == "caller":
            return None
        if self.external is not None:
            return self.external.model
        if self.served_model is not None:
            return self.served_model
        service = self.service
        return service.name if service else self.name

    @property
    def service(self) -> InferenceServiceRef | ServiceRef | None:
        """The Service in the cluster, whoever runs it."""
        return self.inference_service_ref or self.service_ref
