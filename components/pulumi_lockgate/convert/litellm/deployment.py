"""One deployment of a LiteLLM config as a backend: its provider, address, key, deadlines."""

import re
from collections.abc import Mapping
from typing import Any, Final

from attrs import frozen
from lockgate.policy.address import is_private, url_fault

from pulumi_lockgate.convert.difference import Notes

ENVIRONMENT: Final = "os.environ/"
_SLUG: Final = re.compile(r"[^a-z0-9]+")


@frozen
class Dialect:
    """How one of LiteLLM's providers is reached from here.

    `provider` is ours; `url` the provider's published base URL, None where ours is known or one
    must be stated (`needs_url`); `key` the variable that LiteLLM reads when no api_key is stated.
    """

    provider: str
    url: str | None = None
    key: str | None = None
    needs_url: bool = False
    suffix: str = ""


DIALECTS: Final[Mapping[str, Dialect]] = {
    "openai": Dialect("openai", key="OPENAI_API_KEY"),
    "anthropic": Dialect("anthropic", key="ANTHROPIC_API_KEY"),
    "groq": Dialect("openai", "https://api.groq.com/openai/v1", "GROQ_API_KEY"),
    "openrouter": Dialect("openai", "https://openrouter.ai/api/v1", "OPENROUTER_API_KEY"),
    "mistral": Dialect("openai", "https://api.mistral.ai/v1", "MISTRAL_API_KEY"),
    "deepseek": Dialect("openai", "https://api.deepseek.com/v1", "DEEPSEEK_API_KEY"),
    "xai": Dialect("openai", "https://api.x.ai/v1", "XAI_API_KEY"),
    "hosted_vllm": Dialect("openai", needs_url=True),
    "lm_studio": Dialect("openai", needs_url=True),
    "llamafile": Dialect("openai", needs_url=True),
    "openai_like": Dialect("openai", needs_url=True),
    "custom_openai": Dialect("openai", needs_url=True),
    "litellm_proxy": Dialect("litellm", needs_url=True),
    "ollama": Dialect("openai", needs_url=True, suffix="/v1"),
    "ollama_chat": Dialect("openai", needs_url=True, suffix="/v1"),
}
"""LiteLLM's provider prefixes that Lockgate can reach."""
UNPREFIXED: Final = (
    (re.compile(r"(gpt-|chatgpt-|o[0-9])"), "openai"),
    (re.compile(r"claude-"), "anthropic"),
)
"""Model names that LiteLLM takes without a prefix."""
CARRIED: Final = frozenset(
    {"model", "api_base", "base_url", "api_key", "weight", "timeout", "stream_timeout"}
)
RESTRICTS: Final = {
    "tags": "deployments by tag",
    "region_name": "deployments by region",
    "guardrails": "guardrails on content",
}
"""Parameters whose loss could send a request where it did not go."""


@frozen
class Deployment:
    """One entry of model_list. `name` is the backend's, `group` LiteLLM's model_name."""

    path: str
    name: str
    group: str
    params: Mapping[str, Any]


def slug(text: str, taken: set[str]) -> str:
    """Return a backend's or rule's name for `text` that is not among `taken`, and take it."""
    bare = _SLUG.sub("-", text.lower()).strip("-")[:50] or "model"
    name, number = bare, 2
    while name in taken:
        name, number = f"{bare}-{number}", number + 1
    taken.add(name)
    return name


def backend_of(
    deployment: Deployment, tiers: Mapping[str, str], notes: Notes
) -> dict[str, Any] | None:
    """Return the backend in wire form; None where something is refused."""
    external = _external(deployment, notes)
    tier = _tier(deployment, tiers, notes)
    _not_carried(deployment, notes)
    if external is None or tier is None:
        return None
    backend: dict[str, Any] = {"name": deployment.name, "external": external, "tier": tier}
    url = external.get("url", "")
    if tier == "cloud" and url_fault(url or "https://x") is None:
        private = bool(url) and is_private(url)
        if private or url.startswith("http:"):
            external["allowPrivateAddress"] = True
            message = "tier cloud, and plain http or private: allowPrivateAddress is written"
            notes.differs(f"{deployment.path}.litellm_params.api_base", message)
    timeouts = _timeouts(deployment, notes)
    return backend | ({"timeouts": timeouts} if timeouts else {})


def _tier(deployment: Deployment, tiers: Mapping[str, str], notes: Notes) -> str | None:
    stated = tiers.get(deployment.name) or tiers.get(deployment.group)
    if stated is None:
        name = deployment.name
        message = "LiteLLM does not say whether it is local or in the cloud"
        mend = f"pass --tier {name}=local or --tier {name}=cloud"
        notes.refused(deployment.path, message, mend)
    return stated


def _external(deployment: Deployment, notes: Notes) -> dict[str, Any] | None:
    params, place = deployment.params, f"{deployment.path}.litellm_params"
    stated = params.get("model")
    if not isinstance(stated, str) or not stated:
        notes.refused(f"{place}.model", "is missing", "write `model: openai/gpt-4o`")
        return None
    prefix, model = _provider(stated, params)
    dialect = DIALECTS.get(prefix or "")
    if dialect is None:
        message = f"{stated!r}: Lockgate does not speak to that provider"
        mend = "keep LiteLLM before it: write `model: litellm_proxy/NAME` and its api_base"
        notes.refused(f"{place}.model", message, mend)
        return None
    if "*" in stated or "*" in deployment.group or stated.startswith(ENVIRONMENT):
        message = f"{stated!r} names no one model"
        notes.refused(f"{place}.model", message, "write an entry for each model")
        return None
    url = _url(dialect, params, place, notes)
    key = _key(dialect, deployment, place, notes)
    if url is None:
        return None
    external: dict[str, Any] = {"provider": dialect.provider, "model": model}
    external |= {"url": url} if url else {}
    return external | ({"credentialsSecretRef": {"name": key}} if key else {})


def _provider(stated: str, params: Mapping[str, Any]) -> tuple[str | None, str]:
    """Return (LiteLLM's prefix, the model sent up)."""
    prefix, slash, model = stated.partition("/")
    if params.get("custom_llm_provider"):
        return str(params["custom_llm_provider"]), stated
    if slash:
        return prefix, model
    implied = next((name for pattern, name in UNPREFIXED if pattern.match(stated)), None)
    return implied, stated


def _url(dialect: Dialect, params: Mapping[str, Any], place: str, notes: Notes) -> str | None:
    """Return the base URL, empty for the provider's own; None where it is refused."""
    stated = params.get("api_base") or params.get("base_url")
    if isinstance(stated, str) and stated.startswith(ENVIRONMENT):
        message = f"stands in the environment, as {stated.removeprefix(ENVIRONMENT)}"
        notes.refused(f"{place}.api_base", message, "write the address itself")
        return None
    if isinstance(stated, str) and stated:
        bare = stated.rstrip("/")
        if dialect.provider == "anthropic":  # whose SDK's base ends before /v1
            return bare.removesuffix("/messages").removesuffix("/v1")
        return bare if bare.endswith(dialect.suffix) else bare + dialect.suffix
    if dialect.needs_url:
        notes.refused(f"{place}.api_base", "is missing", "write `api_base: http://HOST:PORT/v1`")
        return None
    return dialect.url or ""


def _key(dialect: Dialect, deployment: Deployment, place: str, notes: Notes) -> str | None:
    """Return the name of the Secret that is to hold the key. The key itself is never copied."""
    stated = deployment.params.get("api_key")
    if stated is None and (dialect.key is None or deployment.params.get("api_base")):
        return None
    is_written = isinstance(stated, str) and not stated.startswith(ENVIRONMENT)
    if is_written:
        name = f"{deployment.name}-key"
        notes.differs(f"{place}.api_key", f"is not copied: put it into a Secret {name!r}")
        return name
    variable = str(stated or dialect.key).removeprefix(ENVIRONMENT)
    name = slug(variable, set())
    notes.differs(f"{place}.api_key", f"was {variable}: put it into a Secret {name!r}")
    return name


def _timeouts(deployment: Deployment, notes: Notes) -> dict[str, str]:
    out = {}
    for theirs, ours in (("timeout", "total"), ("stream_timeout", "firstToken")):
        value = deployment.params.get(theirs)
        place = f"{deployment.path}.litellm_params.{theirs}"
        if isinstance(value, int | float) and not isinstance(value, bool) and value > 0:
            out[ours] = f"{value}s"
            notes.differs(place, f"is timeouts.{ours} {value}s, of this backend")
        elif value is not None:
            notes.refused(place, f"{value!r} is not seconds", "write a number, or leave it out")
    return out


def _not_carried(deployment: Deployment, notes: Notes) -> None:
    for name in deployment.params:
        place = f"{deployment.path}.litellm_params.{name}"
        if name in RESTRICTS:
            message = f"LiteLLM chooses or checks by it ({RESTRICTS[name]}), Lockgate does not"
            notes.refused(place, message, "leave it out, where its loss is right")
        elif name not in CARRIED and name != "custom_llm_provider":
            notes.differs(place, "is not carried: clients send what the model needs")
